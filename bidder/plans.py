"""What a person is worth to each advertiser, before any campaign is looked at.

Campaigns of one advertiser differ in where, to whom and what they show, not in what somebody is
worth: that follows from the segment and the offer. So a plan is made for each of those, and says
the most that any campaign could gain with it. Plans are tried from the best downwards, and none is
tried that cannot win any more.
"""

from collections.abc import Iterator
from itertools import islice
from operator import attrgetter
from typing import Final

import msgspec

from bidder.desk import Desk, Standing
from bidder.offers import Choice, choices, is_allowed
from models.campaign_facts import ANYTHING, offer_names
from models.catalog_records import Campaign, Segment
from models.features import yearly_value_of
from models.templates import Goal
from models.value.conversion import p_conversion
from models.value.customer import value_multiplier
from models.value.price import Factors, value_cpm_micros

__all__ = ["Plan", "plan_for", "plans_of"]

GOALS: Final[tuple[Goal, ...]] = ("flight", "product")


class Plan(msgspec.Struct, frozen=True):
    """A segment that holds the person, and an offer that it may see.

    Attributes:
        segment: the policy.
        standing: with the segment's advertiser.
        choice: the offer.
        before: choices that come first, for whoever may show them.
        factors: of the price, before exposure and full lines, which only lower it.
        most_cpm_micros: the most that an impression of it can be worth, a thousand times.
    """

    segment: Segment
    standing: Standing
    choice: Choice
    before: tuple[Choice, ...]
    factors: Factors
    most_cpm_micros: float

    @property
    def offers(self) -> tuple[str, ...]:
        """The offer in the campaign index: by its names, and first of all by none."""
        names = offer_names(self.choice.offer)
        return names if self.before else (ANYTHING, *names)

    def is_for(self, campaign: Campaign) -> bool:
        """Whether a campaign that may show the offer to the segment has no earlier choice."""
        if self.standing.segment_for(campaign.segments) is not self.segment:
            return False
        return not any(is_allowed(one.offer, campaign.offers) for one in self.before)


def plans_of(desk: Desk) -> list[Plan]:
    """Every plan for the request's person, the best first."""
    found: list[Plan] = []
    for name in desk.person.header.dealings:
        standing = desk.standing_with(name)
        if standing.lost is None and standing.segments:
            for goal in GOALS:
                found += _plans_with(desk, standing, name, goal)
    found.sort(key=attrgetter("most_cpm_micros"), reverse=True)
    return found


def _plans_with(desk: Desk, standing: Standing, advertiser: str, goal: Goal) -> Iterator[Plan]:
    offered = choices(standing.dealings, advertiser, goal, desk.catalog, desk.now_ms)
    servable = tuple(offered if desk.catalog.offers_are_limited else islice(offered, 1))
    for segment in standing.segments.values():
        before: tuple[Choice, ...] = ()
        for choice in servable:
            if is_allowed(choice.offer, segment.offers):
                yield _plan(desk, standing, segment, choice, before)
                before = (*before, choice)


def _plan(
    desk: Desk, standing: Standing, segment: Segment, choice: Choice, before: tuple[Choice, ...]
) -> Plan:
    buyer = standing.dealings.buyer
    multiplier = 1.0
    if buyer is not None:
        value_micros = yearly_value_of(buyer, desk.now_ms)
        multiplier = value_multiplier(value_micros, segment.mean_value_micros)
    factors = Factors(
        target_cpa_micros=segment.target_cpa_micros,
        p_conversion=p_conversion(
            desk.now_ms - choice.intent.seen_ms,
            in_cart=choice.intent.in_cart,
            is_customer=buyer is not None,
        ),
        value_multiplier=multiplier,
        trip_horizon_factor=choice.trip_horizon_factor,
        seat_pressure=choice.seat_pressure,
        presence_ratio=desk.person.presence_ratio,
    )
    most = value_cpm_micros(factors)
    return Plan(segment, standing, choice, before, factors, most)


def plan_for(desk: Desk, campaign: Campaign) -> Plan | None:
    """The plan by which a campaign would bid; None where it has nothing to show its segment."""
    standing = desk.standing_with(campaign.advertiser)
    segment = standing.segment_for(campaign.segments)
    if segment is None:
        return None
    offered = choices(
        standing.dealings, campaign.advertiser, campaign.goal, desk.catalog, desk.now_ms
    )
    for choice in offered:
        allowed = (segment.offers, campaign.offers)
        if all(is_allowed(choice.offer, offers) for offers in allowed):
            return _plan(desk, standing, segment, choice, ())
    return None
