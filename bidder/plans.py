"""What a person is worth to each advertiser, before any campaign is looked at.

Campaigns of one advertiser differ in where, to whom and what they show, not in what somebody is
worth: that follows from the segment and the offer. So a plan is made for each of those, and says
the most that any campaign could gain with it. Plans are tried from the best downwards, and none is
tried that cannot win any more.
"""

from bisect import insort
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
from models.value.price import Factors

__all__ = ["Plan", "heads_of", "plan_for", "plans_from"]


class _Worth(msgspec.Struct, frozen=True, gc=False):
    """What an offer is worth for a person, in all segments whose customers are worth the same.

    Attributes:
        p_conversion, presence_ratio: see :class:`models.value.price.Factors`.
        multiplier: what the customer's value makes of it.
        factor: the target CPA times that is the most that a thousand impressions can be worth.
    """

    p_conversion: float
    multiplier: float
    presence_ratio: float
    factor: float


class Plan(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A segment that holds the person, and an offer that it may see.

    Attributes:
        segment: the policy.
        standing: with the segment's advertiser.
        choice: the offer.
        earlier: choices that come first, for whoever may show them.
        worth: of the offer.
        most_cpm_micros: the most that an impression of it can be worth, a thousand times: exposure,
            pacing and full lines only lower it.
        left: segments whose plans for the same offer come after it, a mask: their target CPAs are
            no higher, and their customers are worth the same on average.
    """

    segment: Segment
    standing: Standing
    choice: Choice
    earlier: tuple[Choice, ...]
    worth: _Worth
    most_cpm_micros: float
    left: int = 0

    def factors(self, exposure_factor: float, control: float, line_factor: float) -> Factors:
        """Of a price; its value is ``most_cpm_micros`` times these three."""
        worth, choice = self.worth, self.choice
        return Factors(  # by place: by name it takes 0.3 us more
            self.segment.target_cpa_micros, worth.p_conversion, worth.multiplier, exposure_factor,
            choice.trip_horizon_factor, choice.seat_pressure, worth.presence_ratio,
            control, line_factor,
        )  # fmt: skip

    @property
    def offers(self) -> tuple[str, ...]:
        """The offer in the campaign index: by its names, and first of all by none."""
        names = offer_names(self.choice.offer)
        return names if any(map(self._may_see, self.earlier)) else (ANYTHING, *names)

    def is_for(self, campaign: Campaign) -> bool:
        """Whether a campaign that may show the offer to the segment has no earlier choice."""
        if len(campaign.segments) > 1 and (
            self.standing.first_of(campaign.segments) is not self.segment
        ):
            return False
        return not self.earlier or not any(
            self._may_see(one) and is_allowed(one.offer, campaign.offers) for one in self.earlier
        )

    def _may_see(self, choice: Choice) -> bool:
        return is_allowed(choice.offer, self.segment.offers)


def heads_of(desk: Desk) -> list[Plan]:
    """The plans for the request's person from which all others follow; the best is the last."""
    heads: list[Plan] = []
    for name, dealings in desk.person.header.dealings.items():
        standing = desk.standing_with(name)
        if standing.mask:
            if dealings.routes:
                _add_heads(heads, desk, standing, name, "flight")
            if dealings.items:
                _add_heads(heads, desk, standing, name, "product")
    heads.sort(key=_rank)
    return heads


def plans_from(heads: list[Plan]) -> Iterator[Plan]:
    """Every plan, the best first; made as far as they are asked for."""
    heads = heads.copy()
    while heads:
        plan = heads.pop()
        yield plan
        if plan.left:
            following = _first_plan(plan.standing, plan.choice, plan.earlier, plan.worth, plan.left)
            if following is not None:
                insort(heads, following, key=_rank)


_rank: Final = attrgetter("most_cpm_micros")


def _add_heads(
    heads: list[Plan], desk: Desk, standing: Standing, advertiser: str, goal: Goal
) -> None:
    """The best plan of each offer of an advertiser, in each group of segments."""
    what, held = desk.catalog, standing.mask
    offered = choices(standing.dealings, advertiser, goal, what, desk.now_ms)
    servable = tuple(offered if what.offers_are_limited else islice(offered, 1))
    for place, choice in enumerate(servable):
        for mean_value_micros, group in standing.index.groups:
            mask = held & group
            if mask:
                worth = _worth(desk, standing, choice, mean_value_micros)
                plan = _first_plan(standing, choice, servable[:place], worth, mask)
                if plan is not None:
                    heads.append(plan)


def _first_plan(
    standing: Standing, choice: Choice, earlier: tuple[Choice, ...], worth: _Worth, mask: int
) -> Plan | None:
    """The plan of the first of some segments that may see the offer."""
    segments = standing.index.segments
    while mask:
        lowest = mask & -mask
        mask ^= lowest
        segment = segments[lowest.bit_length() - 1]
        if not segment.offers or is_allowed(choice.offer, segment.offers):
            most_cpm_micros = segment.target_cpa_micros * worth.factor
            return Plan(segment, standing, choice, earlier, worth, most_cpm_micros, mask)
    return None


def _worth(desk: Desk, standing: Standing, choice: Choice, mean_value_micros: int) -> _Worth:
    buyer, now_ms, presence = standing.dealings.buyer, desk.now_ms, desk.person.presence_ratio
    age_ms, in_cart, multiplier = now_ms - choice.seen_ms, choice.in_cart, 1.0
    if buyer is None:
        p = p_conversion(age_ms, in_cart=in_cart, is_customer=False)
    else:
        p = p_conversion(age_ms, in_cart=in_cart, is_customer=True)
        multiplier = value_multiplier(yearly_value_of(buyer, now_ms), mean_value_micros)
    factor = 1000.0 * p * multiplier * choice.trip_horizon_factor * choice.seat_pressure * presence
    return _Worth(p, multiplier, presence, factor)


def plan_for(desk: Desk, campaign: Campaign) -> Plan | None:
    """The plan by which a campaign would bid; None where it has nothing to show its segment."""
    standing = desk.standing_with(campaign.advertiser)
    segment = standing.first_of(campaign.segments)
    if segment is None:
        return None
    offered = choices(
        standing.dealings, campaign.advertiser, campaign.goal, desk.catalog, desk.now_ms
    )
    for choice in offered:
        allowed = (segment.offers, campaign.offers)
        if all(is_allowed(choice.offer, offers) for offers in allowed):
            worth = _worth(desk, standing, choice, segment.mean_value_micros)
            most_cpm_micros = segment.target_cpa_micros * worth.factor
            return Plan(segment, standing, choice, (), worth, most_cpm_micros)
    return None
