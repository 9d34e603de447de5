"""What a person is worth to each advertiser, before any campaign is looked at.

Campaigns of one advertiser differ in where, to whom and what they show, not in what somebody is
worth: that follows from the segment and the offer. So a plan is made for each of those, and says
the most that any campaign could gain with it. Plans are tried from the best downwards, and none is
tried that cannot win any more.
"""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from operator import attrgetter

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
        if self.standing.segments.first_of(campaign.segments) is not self.segment:
            return False
        return not any(is_allowed(one.offer, campaign.offers) for one in self.before)


class _Worth(msgspec.Struct, frozen=True):
    """What an offer is worth for a person, whatever the segment.

    Attributes:
        factors: of the price, as far as they are known.
        value_micros: what the person will spend in a year; None before their first order.
    """

    factors: Factors
    value_micros: float | None


def plans_of(desk: Desk) -> Iterator[Plan]:
    """Every plan for the request's person, the best first; made as far as they are asked for."""
    streams: list[Iterator[Plan]] = []
    for name, dealings in desk.person.header.dealings.items():
        standing = desk.standing_with(name)
        if standing.lost is None and standing.segments:
            if dealings.routes:
                streams += _streams(desk, standing, name, "flight")
            if dealings.items:
                streams += _streams(desk, standing, name, "product")
    if len(streams) < 2:
        return streams[0] if streams else iter(())
    return merge(*streams, key=attrgetter("most_cpm_micros"), reverse=True)


def _streams(
    desk: Desk, standing: Standing, advertiser: str, goal: Goal
) -> Iterator[Iterator[Plan]]:
    """The plans with one advertiser, in streams that each fall."""
    offered = choices(standing.dealings, advertiser, goal, desk.catalog, desk.now_ms)
    servable = tuple(offered if desk.catalog.offers_are_limited else islice(offered, 1))
    for place, choice in enumerate(servable):
        worth = _worth(desk, standing, choice)
        for group in standing.segments.by_mean_value():
            yield _plans(standing, worth, servable[: place + 1], group)


def _plans(
    standing: Standing, worth: _Worth, upto: tuple[Choice, ...], segments: Iterator[Segment]
) -> Iterator[Plan]:
    *earlier, choice = upto
    for segment in segments:
        if is_allowed(choice.offer, segment.offers):
            before = tuple(one for one in earlier if is_allowed(one.offer, segment.offers))
            yield _plan(standing, worth, segment, choice, before)


def _worth(desk: Desk, standing: Standing, choice: Choice) -> _Worth:
    buyer = standing.dealings.buyer
    factors = Factors(
        target_cpa_micros=0,
        p_conversion=p_conversion(
            desk.now_ms - choice.intent.seen_ms,
            in_cart=choice.intent.in_cart,
            is_customer=buyer is not None,
        ),
        trip_horizon_factor=choice.trip_horizon_factor,
        seat_pressure=choice.seat_pressure,
        presence_ratio=desk.person.presence_ratio,
    )
    return _Worth(factors, None if buyer is None else yearly_value_of(buyer, desk.now_ms))


def _plan(
    standing: Standing, worth: _Worth, segment: Segment, choice: Choice, before: tuple[Choice, ...]
) -> Plan:
    multiplier = 1.0
    if worth.value_micros is not None:
        multiplier = value_multiplier(worth.value_micros, segment.mean_value_micros)
    factors = msgspec.structs.replace(
        worth.factors, target_cpa_micros=segment.target_cpa_micros, value_multiplier=multiplier
    )
    return Plan(segment, standing, choice, before, factors, value_cpm_micros(factors))


def plan_for(desk: Desk, campaign: Campaign) -> Plan | None:
    """The plan by which a campaign would bid; None where it has nothing to show its segment."""
    standing = desk.standing_with(campaign.advertiser)
    segment = standing.segments.first_of(campaign.segments)
    if segment is None:
        return None
    offered = choices(
        standing.dealings, campaign.advertiser, campaign.goal, desk.catalog, desk.now_ms
    )
    for choice in offered:
        allowed = (segment.offers, campaign.offers)
        if all(is_allowed(choice.offer, offers) for offers in allowed):
            return _plan(standing, _worth(desk, standing, choice), segment, choice, ())
    return None
