"""How much room a person has under all limits that apply to one campaign. Pure.

A segment's caps are adjusted to the person; a campaign's and an advertiser's hold as they are.
Spacing is a cap of one. Of a pressure cap, ads have what messages and calls leave. The strictest of
all decides; where one is near, all are checked again in Redis, in one step.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from bidder.bids import Bid, Loss, Lost
from models.approaches import Approaches
from models.caps import Impressions, count_used
from models.catalog_records import Advertiser, Campaign, Segment
from models.features import yearly_value_of
from models.limits import Cap, Limit, adjusted
from models.profile import Person
from models.reservations import Reservation
from models.units import DAY_MS, SECOND_MS, epoch_day

__all__ = ["CapRoom", "cap_room"]

NOBODY: Final[set[str]] = set()
NO_APPROACHES: Final = Approaches()


class CapRoom(msgspec.Struct, frozen=True, gc=False):
    """The limits of a bid that is about to be made.

    Attributes:
        limits: on its impressions: the segment's caps, spacing, the campaign's, the advertiser's.
        pressure: what messages and calls leave, as limits on the advertiser's impressions.
        lost: why there is no room; None where there is some.
    """

    limits: tuple[Limit, ...]
    pressure: tuple[Limit, ...] = ()
    lost: Lost | None = None


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
    ours = NOBODY
    if reserved or picked:
        name = campaign.id
        ours = {one.nonce for one in reserved if one.campaign == name}
        if picked:
            ours.update(_unreserved(bid.campaign.id == name for bid in picked))
    caps = segment.caps
    if segment.cap_adjustments:
        caps = _adjusted_caps(person, segment, now_ms)
    if campaign.caps:
        caps = (*caps, *campaign.caps)
    billed = person.ledger.of_campaign(campaign.id)
    limits = tuple([_limit(cap, (billed,) if billed else (), ours, now_ms) for cap in caps])
    if segment.spacing_seconds or advertiser.caps or advertiser.pressure_caps or segment.silences:
        whose = advertiser.id
        theirs = {one.nonce for one in reserved if one.advertiser == whose}
        theirs.update(_unreserved(bid.campaign.advertiser == whose for bid in picked))
        case = _Case(person, advertiser, segment, theirs, now_ms)
        limits = (*limits, *_advertiser_limits(case))
        return _full(limits) or _with_pressure(case, limits)
    return _full(limits) or CapRoom(limits)


def _unreserved(are_counted: Iterable[bool]) -> Iterator[str]:
    """Names for bids of the same request, which have no nonce yet."""
    return (f"slot {place}" for place, is_counted in enumerate(are_counted) if is_counted)


def _limit(
    cap: Cap,
    billed: Sequence[Impressions],
    reserved: Collection[str],
    now_ms: int,
    *,
    of_advertiser: bool = False,
) -> Limit:
    used = len(reserved)
    window_seconds = cap.window_seconds
    if billed:
        used = count_used(billed, reserved, now_ms - window_seconds * SECOND_MS)
    return Limit(cap.impressions, window_seconds, of_advertiser, used)


def _full(limits: tuple[Limit, ...]) -> CapRoom | None:
    for one in limits:
        if one.used >= one.impressions:
            return CapRoom(limits, lost=Lost(Loss.CAP_REACHED, one.text()))
    return None


def _adjusted_caps(person: Person, segment: Segment, now_ms: int) -> tuple[Cap, ...]:
    """The segment's caps for this person."""
    name = segment.advertiser
    dealings = person.header.dealings_with(name)
    today = now_ms // DAY_MS
    # To the nearest departure (UTC) among the trips that were searched for and not booked.
    departures = [epoch_day(trip.key.rpartition("/")[2]) for trip in dealings.searches(name)]
    days = min((day - today for day in departures if day >= today), default=None)
    value = None
    if dealings.buyer is not None:
        value = yearly_value_of(dealings.buyer, now_ms) / segment.mean_value_micros
    return tuple(
        Cap(
            adjusted(
                cap.impressions,
                segment.cap_adjustments,
                days_to_departure=days,
                customer_value=value,
            ),
            cap.window_seconds,
        )
        for cap in segment.caps
    )


class _Case(msgspec.Struct, frozen=True):
    """A person and an advertiser.

    Attributes:
        reserved: nonces of open reservations for any of its campaigns.
    """

    person: Person
    advertiser: Advertiser
    segment: Segment
    reserved: set[str]
    now_ms: int

    def limit(self, cap: Cap) -> Limit:
        """A cap on the impressions of all of its campaigns."""
        billed = tuple(self.person.ledger.of_advertiser(self.advertiser.id))
        return _limit(cap, billed, self.reserved, self.now_ms, of_advertiser=True)


def _advertiser_limits(case: _Case) -> Iterator[Limit]:
    if case.segment.spacing_seconds:
        yield case.limit(Cap(1, case.segment.spacing_seconds))
    yield from map(case.limit, case.advertiser.caps)


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
        limit = case.limit(Cap(max(0, cap.impressions - told), cap.window_seconds))
        if limit.room < 1:
            detail = f"{told} messages and calls, {limit.used} ads; {cap.text()}"
            return CapRoom(limits, lost=Lost(Loss.PRESSURE, detail))
        pressure.append(limit)
    return CapRoom(limits, tuple(pressure))
