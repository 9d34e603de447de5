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


class Plan(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A segment that holds the person, and an offer that it may see.

    Attributes:
        segment: the policy.
        standing: with the segment's advertiser.
        choice: the offer.
        earlier: choices that come first, for whoever may show them.
        p_conversion, value_multiplier, presence_ratio: see :class:`models.value.price.Factors`.
        worth: the target CPA times that is ``most_cpm_micros``, of all segments whose customers are
            worth the same on average.
        most_cpm_micros: the most that an impression of it can be worth, a thousand times: exposure,
            pacing and full lines only lower it.
        left: segments whose plans for the same offer come after it, a mask: their target CPAs are
            no higher, and their customers are worth the same on average.
    """

    segment: Segment
    standing: Standing
    choice: Choice
    earlier: tuple[Choice, ...]
    p_conversion: float
    value_multiplier: float
    presence_ratio: float
    worth: float
    most_cpm_micros: float
    left: int = 0

    def following(self) -> "Plan | None":
        """The plan for the next segment that may see the offer."""
        segments, offer, left = self.standing.index.segments, self.choice.offer, self.left
        while left:
            lowest = left & -left
            left ^= lowest
            segment = segments[lowest.bit_length() - 1]
            if not segment.offers or is_allowed(offer, segment.offers):
                return Plan(
                    segment, self.standing, self.choice, self.earlier, self.p_conversion,
                    self.value_multiplier, self.presence_ratio, self.worth,
                    segment.target_cpa_micros * self.worth, left,
                )  # fmt: skip
        return None

    def factors(self, exposure_factor: float, control: float, line_factor: float) -> Factors:
        """Of a price; its value is ``most_cpm_micros`` times these three."""
        choice = self.choice
        return Factors(  # by place: by name it takes 0.3 us more
            self.segment.target_cpa_micros, self.p_conversion, self.value_multiplier,
            exposure_factor, choice.trip_horizon_factor, choice.seat_pressure, self.presence_ratio,
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
        following = plan.following() if plan.left else None
        if following is not None:
            insort(heads, following, key=_rank)


_rank: Final = attrgetter("most_cpm_micros")


def _add_heads(
    heads: list[Plan], desk: Desk, standing: Standing, advertiser: str, goal: Goal
) -> None:
    """The best plan of each offer of an advertiser, in each group of segments."""
    what = desk.catalog
    offered = choices(standing.dealings, advertiser, goal, what, desk.now_ms)
    servable = tuple(offered if what.offers_are_limited else islice(offered, 1))
    for place, choice in enumerate(servable):
        for mean_value_micros, group in standing.index.groups:
            mask = standing.mask & group
            if mask:
                earlier = servable[:place] if place else ()
                plan = _plan(desk, standing, choice, earlier, (mean_value_micros, mask))
                if plan is not None:
                    heads.append(plan)


def _plan(
    desk: Desk,
    standing: Standing,
    choice: Choice,
    earlier: tuple[Choice, ...],
    held: tuple[float, int],
) -> Plan | None:
    """The plan of the first that may see the offer, of segments whose customers are worth the same.

    Args:
        desk: the request.
        standing: with the advertiser.
        choice: the offer.
        earlier: choices that come first.
        held: what the customers are worth on average, and the segments, a mask.
    """
    mean_value_micros, mask = held
    buyer, now_ms, presence_ratio = standing.dealings.buyer, desk.now_ms, desk.person.presence_ratio
    p = p_conversion(now_ms - choice.seen_ms, in_cart=choice.in_cart, is_customer=buyer is not None)
    multiplier = 1.0
    if buyer is not None:
        multiplier = value_multiplier(yearly_value_of(buyer, now_ms), mean_value_micros)
    worth = (
        1000.0 * p * multiplier * choice.trip_horizon_factor * choice.seat_pressure * presence_ratio
    )
    lowest = mask & -mask
    segment = standing.index.segments[lowest.bit_length() - 1]
    plan = Plan(
        segment, standing, choice, earlier, p, multiplier, presence_ratio, worth,
        segment.target_cpa_micros * worth, mask ^ lowest,
    )  # fmt: skip
    if segment.offers and not is_allowed(choice.offer, segment.offers):
        return plan.following()
    return plan


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
            own = standing.index.bits[segment.id]
            return _plan(desk, standing, choice, (), (segment.mean_value_micros, own))
    return None
