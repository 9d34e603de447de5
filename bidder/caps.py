"""How much room a person has under all limits that apply to one campaign. Pure.

A segment's caps are adjusted to the person; a campaign's and an advertiser's hold as they are.
Spacing is a cap of one. Of a pressure cap, ads have what messages and calls leave. The strictest of
all decides; where one is near, all are checked again in Redis, in one step.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bidder.bids import Bid, Loss, Lost
from models.approaches import Approaches
from models.caps import count_used
from models.catalog_records import Advertiser, Campaign, Segment
from models.limits import Cap, Limit, adjusted
from models.profile import Person
from models.reservations import Reservation
from models.units import DAY_MS, SECOND_MS, epoch_day
from models.value.customer import yearly_value_micros

__all__ = ["CapRoom", "cap_room"]

NOBODY: Final[frozenset[str]] = frozenset()
NO_APPROACHES: Final = Approaches()


class CapRoom(msgspec.Struct, frozen=True):
    """The limits of a bid that is about to be made.

    Attributes:
        limits: on its impressions: the segment's caps, spacing, the campaign's, the advertiser's.
        pressure: what messages and calls leave, as limits on the advertiser's impressions.
        lost: why there is no room; None where there is some.
    """

    limits: tuple[Limit, ...]
    pressure: tuple[Limit, ...] = ()
    lost: Lost | None = None

    @property
    def used_count(self) -> int:
        """Impressions used of the segment's first cap, which lower the value of the next one."""
        return self.limits[0].used


class _Case(msgspec.Struct):
    """One person and one campaign.

    Attributes:
        ours: nonces of open reservations for the campaign.
        theirs: nonces of those for any campaign of the advertiser.
    """

    person: Person
    campaign: Campaign
    advertiser: Advertiser
    segment: Segment
    now_ms: int
    ours: frozenset[str] = NOBODY
    theirs: frozenset[str] = NOBODY

    def campaign_limit(self, impressions: int, window_seconds: int) -> Limit:
        """A cap of the campaign, with what is used of it."""
        since_ms = self.now_ms - window_seconds * SECOND_MS
        billed = self.person.ledger.of_campaign(self.campaign.id)
        used = count_used((billed,), self.ours, since_ms) if billed else len(self.ours)
        return Limit(impressions, window_seconds, False, used)  # noqa: FBT003 - by place, for speed

    def advertiser_limit(self, impressions: int, window_seconds: int) -> Limit:
        """A cap of all of the advertiser's campaigns, with what is used of it."""
        since_ms = self.now_ms - window_seconds * SECOND_MS
        billed = self.person.ledger.of_advertiser(self.advertiser.id)
        used = count_used(billed, self.theirs, since_ms)
        return Limit(impressions, window_seconds, of_advertiser=True, used=used)


def cap_room(
    person: Person,
    campaign: Campaign,
    advertiser: Advertiser,
    segment: Segment,
    *,
    reserved: Sequence[Reservation],
    picked: Sequence[Bid],
    now_ms: int,
) -> CapRoom:
    """The limits that hold for one more impression, and whether they leave room for it.

    Args:
        person: who would see it.
        campaign: of which.
        advertiser: the campaign's.
        segment: the person's, whose policy holds.
        reserved: the person's open reservations, this worker's own included.
        picked: bids of the same request, which have no reservation yet.
        now_ms: the present, Unix ms.
    """
    case = _Case(person, campaign, advertiser, segment, now_ms)
    if reserved or picked:
        _count_open(case, reserved, picked)
    limits = tuple(_limits(case))
    for one in limits:
        if one.room < 1:
            return CapRoom(limits, lost=Lost(Loss.CAP_REACHED, one.text()))
    if not advertiser.pressure_caps and not segment.silences:
        return CapRoom(limits)
    return _with_pressure(case, limits)


def _count_open(case: _Case, reserved: Sequence[Reservation], picked: Sequence[Bid]) -> None:
    held = [(one.campaign, one.advertiser, one.nonce) for one in reserved]
    held += [
        (bid.campaign.id, bid.campaign.advertiser, f"slot {place}")
        for place, bid in enumerate(picked)
    ]
    campaign, advertiser = case.campaign.id, case.advertiser.id
    case.ours = frozenset(nonce for name, _, nonce in held if name == campaign)
    case.theirs = frozenset(nonce for _, name, nonce in held if name == advertiser)


def _limits(case: _Case) -> Iterator[Limit]:
    segment = case.segment
    for cap in _segment_caps(case) if segment.cap_adjustments else segment.caps:
        yield case.campaign_limit(cap.impressions, cap.window_seconds)
    if segment.spacing_seconds:
        yield case.advertiser_limit(1, segment.spacing_seconds)
    for cap in case.campaign.caps:
        yield case.campaign_limit(cap.impressions, cap.window_seconds)
    for cap in case.advertiser.caps:
        yield case.advertiser_limit(cap.impressions, cap.window_seconds)


def _segment_caps(case: _Case) -> Iterator[Cap]:
    """The segment's caps, adjusted to this person."""
    days, value = _days_to_departure(case), _customer_value(case)
    for cap in case.segment.caps:
        impressions = adjusted(
            cap.impressions,
            case.segment.cap_adjustments,
            days_to_departure=days,
            customer_value=value,
        )
        yield Cap(impressions, cap.window_seconds)


def _days_to_departure(case: _Case) -> int | None:
    """From today (UTC) to the nearest departure among the trips searched for and not booked."""
    today, name = case.now_ms // DAY_MS, case.advertiser.id
    trips = case.person.header.dealings_with(name).searches(name)
    days = (epoch_day(trip.key.rpartition("/")[2]) - today for trip in trips)
    return min((ahead for ahead in days if ahead >= 0), default=None)


def _customer_value(case: _Case) -> float | None:
    """Yearly value over the segment's mean; None for somebody who never ordered."""
    buyer = case.person.header.dealings_with(case.advertiser.id).buyer
    if buyer is None:
        return None
    value_micros = yearly_value_micros(
        buyer.repeat_count,
        buyer.first_order_ms,
        buyer.last_order_ms,
        repeat_mean_micros=buyer.repeat_mean_micros,
        now_ms=case.now_ms,
    )
    return value_micros / case.segment.mean_value_micros


def _with_pressure(case: _Case, limits: tuple[Limit, ...]) -> CapRoom:
    """The room that messages and calls leave."""
    approaches = case.person.header.approaches.get(case.advertiser.id, NO_APPROACHES)
    for silence in case.segment.silences:
        last_ms = approaches.last_ms(silence.action, silence.topic)
        if last_ms > case.now_ms - silence.window_seconds * SECOND_MS:
            about = silence.topic or "any topic"
            return CapRoom(limits, lost=Lost(Loss.SILENCED, f"{silence.action}: {about}"))
    pressure: list[Limit] = []
    for cap in case.advertiser.pressure_caps:
        told = approaches.count_since(case.now_ms - cap.window_seconds * SECOND_MS)
        limit = case.advertiser_limit(max(0, cap.impressions - told), cap.window_seconds)
        if limit.room < 1:
            detail = f"{told} messages and calls, {limit.used} ads; {cap.text()}"
            return CapRoom(limits, lost=Lost(Loss.PRESSURE, detail))
        pressure.append(limit)
    return CapRoom(limits, tuple(pressure))
