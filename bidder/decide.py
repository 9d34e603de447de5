"""The decision: which ad, for this person, in this slot, at which price. Pure.

``decide`` reads a request, a person, the catalogue and the time; no I/O, no clock, no chance.
The live bidder, ``kinbid explain`` and the tests call the same function.
"""

import datetime as dt
from typing import Final

import msgspec

from bidder.auction import imp_refused, is_blocked, lowest_bid_cpm_micros, request_refused
from bidder.bids import Bid, Decision, Fate, Loss, Lost, Policy
from bidder.caps import CapRoom, cap_room
from bidder.errors import NoBidReason
from bidder.offers import best_offer, intents
from bidder.openrtb import BidRequest, Imp
from models.call_tags import ads_paused_until_ms
from models.catalog import Catalog
from models.catalog_records import Campaign, Creative, Exchange, Segment
from models.dealings import BuyerStats
from models.profile import Person
from models.reservations import Reservation
from models.units import MICROS
from models.value.conversion import exposure_factor, p_conversion
from models.value.customer import value_multiplier, yearly_value_micros
from models.value.lines import line_factor
from models.value.price import Factors, value_cpm_micros
from models.value.shading import shade

__all__ = ["decide"]

SECOND_PRICE: Final = 2


class _Slot(msgspec.Struct):
    """What all campaigns share that compete for one slot."""

    request: BidRequest
    imp: Imp
    sizes: set[tuple[int, int]]
    person: Person
    exchange: Exchange
    catalog: Catalog
    private_ratio: float
    now_ms: int
    reserved: tuple[Reservation, ...]
    excluded: frozenset[str]
    picked: list[Bid]


def decide(
    request: BidRequest,
    person: Person,
    exchange: Exchange,
    catalog: Catalog,
    *,
    policy: Policy,
    now_ms: int,
    pending: tuple[Reservation, ...] = (),
    excluded: frozenset[str] = frozenset(),
    fates: list[Fate] | None = None,
) -> Decision:
    """Chooses at most one bid for each slot of a request.

    Args:
        request: the bid request.
        person: who it is for; ``Person()`` where nobody is known or may be known.
        exchange: who asks.
        catalog: what may be advertised.
        policy: our seat and currency.
        now_ms: the present, Unix ms.
        pending: reservations of this worker that ``person`` does not show yet.
        excluded: campaigns whose cap has just turned out to be used up.
        fates: if given, every campaign that lost a slot is appended, with its reason.

    Returns:
        The bids; without any, the reason.
    """
    refused = request_refused(request, policy)
    if refused is not None:
        return Decision((), refused)
    picked: list[Bid] = []
    reason = NoBidReason.NO_BANNER
    reserved = (*person.reservations, *pending)
    for imp in request.imp:
        unfit = imp_refused(imp, policy)
        if unfit is not None:
            reason = unfit
            continue
        sizes = imp.banner.sizes() if imp.banner else set()
        slot = _Slot(
            request,
            imp,
            sizes,
            person,
            exchange,
            catalog,
            policy.private_ratio,
            now_ms,
            reserved,
            excluded,
            picked,
        )
        best = _best_bid(slot, fates)
        if best is None:
            reason = NoBidReason.NO_CAMPAIGN
        else:
            picked.append(best)
    return Decision(tuple(picked), None if picked else reason)


def _best_bid(slot: _Slot, fates: list[Fate] | None) -> Bid | None:
    best: Bid | None = None
    for campaign in slot.catalog.campaigns.values():
        result = _bid_of(slot, campaign)
        if isinstance(result, Bid):
            if best is not None:
                best, result = _higher(best, result)
            else:
                best = result
                continue
        if fates is not None:
            fates.append(_fate(slot, campaign, result))
    return best


def _higher(one: Bid, other: Bid) -> tuple[Bid, Bid]:
    """The higher bid, then the other one; ties go by campaign, so a replay agrees."""
    pair = sorted((one, other), key=lambda bid: (-bid.bid_cpm_micros, bid.campaign.id))
    return pair[0], pair[1]


def _fate(slot: _Slot, campaign: Campaign, result: Bid | Lost) -> Fate:
    if isinstance(result, Bid):
        outbid = Lost(Loss.OUTBID, f"bid {result.bid_cpm_micros / MICROS:.4f} CPM")
        return Fate(slot.imp.id, result.campaign.id, outbid)
    return Fate(slot.imp.id, campaign.id, result)


def _bid_of(slot: _Slot, campaign: Campaign) -> Bid | Lost:
    if not campaign.is_active:
        return Lost(Loss.PAUSED)
    advertiser = slot.catalog.advertisers.get(campaign.advertiser)
    if advertiser is None or is_blocked(slot.request, advertiser):
        return Lost(Loss.BLOCKED)
    # Of whoever waits for a call: an ad for nobody in particular would still reach this person.
    paused_until_ms = _paused_until_ms(slot, campaign)
    if paused_until_ms is not None:
        until = dt.datetime.fromtimestamp(paused_until_ms / 1000, tz=dt.UTC)
        return Lost(Loss.CALL_PAUSE, f"until {until.isoformat(' ', 'seconds')}")
    if campaign.goal == "contextual":
        return _contextual_bid(slot, campaign)
    if slot.person.root is None:
        return Lost(Loss.NO_PERSON)
    segment = _segment_of(slot, campaign)
    if segment is None:
        return Lost(Loss.NO_SEGMENT)
    if campaign.id in slot.excluded:
        return Lost(Loss.CAP_REACHED, "by another bid of this moment")
    room = cap_room(
        slot.person, campaign, advertiser, segment,
        reserved=slot.reserved, picked=slot.picked, now_ms=slot.now_ms,
    )  # fmt: skip
    return room.lost or _personal_bid(slot, campaign, segment, room)


def _paused_until_ms(slot: _Slot, campaign: Campaign) -> int | None:
    calls = slot.person.header.calls
    if not calls:
        return None
    what = slot.catalog
    return ads_paused_until_ms(
        calls, campaign.advertiser, what.call_tags, what.departments, slot.now_ms
    )


def _line_factor(slot: _Slot, campaign: Campaign) -> float:
    """What full lines leave of the bid; 1 for a campaign that is not there to make people call."""
    lines = slot.catalog.lines.get(campaign.advertiser) if campaign.call_driven else None
    return line_factor(lines.minutes, slot.now_ms) if lines is not None else 1.0


def _segment_of(slot: _Slot, campaign: Campaign) -> Segment | None:
    buyer = slot.person.header.dealings_with(campaign.advertiser).buyer
    orders = buyer.order_count if buyer else 0
    for name in campaign.segments:
        segment = slot.catalog.segments.get(name)
        if segment is not None and segment.contains(orders):
            return segment
    return None


def _contextual_bid(slot: _Slot, campaign: Campaign) -> Bid | Lost:
    creative = _creative_for(slot, campaign, "any")
    if creative is None:
        return Lost(Loss.NO_CREATIVE)
    value = campaign.contextual_cpm_micros * _line_factor(slot, campaign)
    return _priced(slot, campaign, creative, value)


def _personal_bid(slot: _Slot, campaign: Campaign, segment: Segment, room: CapRoom) -> Bid | Lost:
    dealings = slot.person.header.dealings_with(campaign.advertiser)
    choice = best_offer(dealings, campaign, slot.catalog, slot.now_ms)
    if choice is None:
        newest = next(intents(dealings, campaign), None)
        return Lost(Loss.NOTHING_TO_SELL, newest.key) if newest else Lost(Loss.NO_INTENT)
    creative = _creative_for(slot, campaign, segment.creative_set)
    if creative is None:
        return Lost(Loss.NO_CREATIVE, segment.creative_set)
    buyer = dealings.buyer
    factors = Factors(
        target_cpa_micros=segment.target_cpa_micros,
        p_conversion=p_conversion(
            slot.now_ms - choice.intent.seen_ms,
            in_cart=choice.intent.in_cart,
            is_customer=buyer is not None,
        ),
        value_multiplier=_value_of(buyer, segment, slot.now_ms),
        exposure_factor=exposure_factor(room.used_count),
        trip_horizon_factor=choice.trip_horizon_factor,
        seat_pressure=choice.seat_pressure,
        presence_ratio=slot.person.presence_ratio,
        line_factor=_line_factor(slot, campaign),
    )
    bid = _priced(slot, campaign, creative, value_cpm_micros(factors))
    if isinstance(bid, Lost):
        return bid
    return msgspec.structs.replace(
        bid, segment=segment, offer=choice.offer, factors=factors,
        used_count=room.used_count, limits=room.limits, pressure=room.pressure,
    )  # fmt: skip


def _value_of(buyer: BuyerStats | None, segment: Segment, now_ms: int) -> float:
    """The value multiplier; 1 for somebody who has not ordered yet."""
    if buyer is None:
        return 1.0
    value = yearly_value_micros(
        buyer.repeat_count,
        buyer.first_order_ms,
        buyer.last_order_ms,
        repeat_mean_micros=buyer.repeat_mean_micros,
        now_ms=now_ms,
    )
    return value_multiplier(value, segment.mean_value_micros)


def _creative_for(slot: _Slot, campaign: Campaign, wanted_set: str) -> Creative | None:
    """A creative of the wanted set that fits, else one for all."""
    fallback = None
    for creative in slot.catalog.creatives.get(campaign.id, ()):
        if slot.sizes.isdisjoint(creative.sizes):
            continue
        if creative.is_private and slot.person.presence_ratio < slot.private_ratio:
            continue
        if creative.creative_set == wanted_set:
            return creative
        if creative.creative_set == "any":
            fallback = creative
    return fallback


def _priced(slot: _Slot, campaign: Campaign, creative: Creative, value: float) -> Bid | Lost:
    """Shades where the auction is a first-price one, then meets the floor if it is worth it."""
    is_second_price = (slot.request.at or SECOND_PRICE) == SECOND_PRICE
    shaded = value if is_second_price else shade(value, slot.exchange.median_price_cpm_micros)
    floor_cpm_micros = lowest_bid_cpm_micros(slot.imp)
    if value < floor_cpm_micros:
        detail = f"worth {value / MICROS:.4f} CPM, floor {floor_cpm_micros / MICROS:.4f}"
        return Lost(Loss.BELOW_FLOOR, detail)
    width, height = max(
        (size for size in creative.sizes if size in slot.sizes), key=lambda size: size[0] * size[1]
    )
    return Bid(
        imp_id=slot.imp.id,
        campaign=campaign,
        creative=creative,
        width=width,
        height=height,
        value_cpm_micros=int(value),
        bid_cpm_micros=max(int(shaded), floor_cpm_micros),
    )
