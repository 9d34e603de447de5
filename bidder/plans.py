"""What a person is worth to each advertiser, before any campaign is looked at.

Campaigns of one advertiser differ in where, to whom and what they show, not in what somebody is
worth: that follows from the segment and the offer. So a plan is made for each of those, and says
the most that any campaign could gain with it. Plans are tried from the best downwards, and none is
tried that cannot win any more.
"""

from collections.abc import Iterator
from itertools import islice

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

__all__ = ["Plan", "plan_for", "plans_of"]


class _Worth(msgspec.Struct, frozen=True, gc=False):
    """What an offer is worth for a person, whatever the segment.

    Attributes:
        p_conversion: see :class:`models.value.price.Factors`.
        value_micros: what the person will spend in a year; None before their first order.
        presence_ratio: see there.
    """

    p_conversion: float
    value_micros: float | None
    presence_ratio: float


class Plan(msgspec.Struct, frozen=True):
    """A segment that holds the person, and an offer that it may see.

    Attributes:
        segment: the policy.
        standing: with the segment's advertiser.
        choice: the offer.
        before: choices that come first, for whoever may show them.
        worth: of the offer.
        multiplier: what the customer's value makes of it.
        most_cpm_micros: the most that an impression of it can be worth, a thousand times: exposure,
            pacing and full lines only lower it.
    """

    segment: Segment
    standing: Standing
    choice: Choice
    before: tuple[Choice, ...]
    worth: _Worth
    multiplier: float
    most_cpm_micros: float

    def factors(self, exposure_factor: float, control: float, line_factor: float) -> Factors:
        """Of a price; its value is ``most_cpm_micros`` times these three, in this order."""
        return Factors(
            target_cpa_micros=self.segment.target_cpa_micros,
            p_conversion=self.worth.p_conversion,
            value_multiplier=self.multiplier,
            exposure_factor=exposure_factor,
            trip_horizon_factor=self.choice.trip_horizon_factor,
            seat_pressure=self.choice.seat_pressure,
            presence_ratio=self.worth.presence_ratio,
            control=control,
            line_factor=line_factor,
        )

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


def plans_of(desk: Desk) -> Iterator[Plan]:
    """Every plan for the request's person, the best first; made as far as they are asked for."""
    streams: list[_Stream] = []
    for name, dealings in desk.person.header.dealings.items():
        standing = desk.standing_with(name)
        if standing.lost is None and standing.segments.mask:
            if dealings.routes:
                _add_streams(streams, desk, standing, name, "flight")
            if dealings.items:
                _add_streams(streams, desk, standing, name, "product")
    while streams:
        best = streams[0] if len(streams) == 1 else max(streams, key=_most_cpm_micros)
        yield best.head
        if not best.advance():
            streams.remove(best)


class _Stream:
    """The plans for one offer and segments whose customers are worth the same on average.

    Their target CPAs fall, so the plans do.
    """

    __slots__ = ("_before", "_choice", "_segments", "_standing", "_worth", "head")

    def __init__(
        self, standing: Standing, worth: _Worth, upto: tuple[Choice, ...],
        segments: Iterator[Segment],
    ) -> None:  # fmt: skip
        self._standing = standing
        self._worth = worth
        self._before, self._choice = upto[:-1], upto[-1]
        self._segments = segments
        self.head: Plan

    def advance(self) -> bool:
        """Goes on to the next plan, if there is one."""
        offer = self._choice.offer
        for segment in self._segments:
            if not segment.offers or is_allowed(offer, segment.offers):
                before = self._before
                if before and segment.offers:
                    before = tuple(one for one in before if is_allowed(one.offer, segment.offers))
                self.head = _plan(self._standing, self._worth, segment, self._choice, before)
                return True
        return False


def _most_cpm_micros(stream: _Stream) -> float:
    return stream.head.most_cpm_micros


def _add_streams(
    streams: list[_Stream], desk: Desk, standing: Standing, advertiser: str, goal: Goal
) -> None:
    """The plans with one advertiser."""
    offered = choices(standing.dealings, advertiser, goal, desk.catalog, desk.now_ms)
    servable = tuple(offered if desk.catalog.offers_are_limited else islice(offered, 1))
    for place, choice in enumerate(servable):
        worth = _worth(desk, standing, choice)
        for group in standing.segments.by_mean_value():
            stream = _Stream(standing, worth, servable[: place + 1], group)
            if stream.advance():
                streams.append(stream)


def _worth(desk: Desk, standing: Standing, choice: Choice) -> _Worth:
    buyer = standing.dealings.buyer
    intent = choice.intent
    p = p_conversion(
        desk.now_ms - intent.seen_ms, in_cart=intent.in_cart, is_customer=buyer is not None
    )
    value_micros = None if buyer is None else yearly_value_of(buyer, desk.now_ms)
    return _Worth(p, value_micros, desk.person.presence_ratio)


def _plan(
    standing: Standing, worth: _Worth, segment: Segment, choice: Choice, before: tuple[Choice, ...]
) -> Plan:
    multiplier = 1.0
    if worth.value_micros is not None:
        multiplier = value_multiplier(worth.value_micros, segment.mean_value_micros)
    most = (
        1000.0
        * segment.target_cpa_micros
        * worth.p_conversion
        * multiplier
        * choice.trip_horizon_factor
        * choice.seat_pressure
        * worth.presence_ratio
    )
    return Plan(segment, standing, choice, before, worth, multiplier, most)


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
