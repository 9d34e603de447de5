"""What one campaign bids on one slot, or why it does not."""

import msgspec

from bidder.bids import Bid, Loss, Lost
from bidder.caps import CapRoom, cap_room
from bidder.context import is_site_allowed
from bidder.plans import Plan
from bidder.slot import Slot
from models.catalog_records import Campaign, Creative, Segment
from models.units import MICROS
from models.value.conversion import exposure_factor
from models.value.lines import line_factor
from models.value.price import value_cpm_micros
from models.value.shading import shade

__all__ = ["contextual_bid", "personal_bid"]

ANY_SET = "any"


def contextual_bid(slot: Slot, campaign: Campaign) -> Bid | Lost:
    """The bid of a campaign that knows no person."""
    if not is_site_allowed(campaign.targeting, slot.desk.sites):
        return Lost(Loss.TARGETING, "site")
    creative = _creative_for(slot, campaign, ANY_SET)
    if creative is None:
        return Lost(Loss.NO_CREATIVE)
    value = campaign.contextual_cpm_micros * _line_factor(slot, campaign)
    return _priced(slot, campaign, creative, value * _control(slot, campaign))


def personal_bid(slot: Slot, campaign: Campaign, plan: Plan) -> Bid | Lost:
    """The bid of a campaign for the request's person, by a plan that is for it."""
    segment = plan.segment
    if slot.desk.channel in segment.channels_off:
        return Lost(Loss.CHANNEL_OFF, slot.desk.channel)
    if not is_site_allowed(campaign.targeting, slot.desk.sites):
        return Lost(Loss.TARGETING, "site")
    room = _room(slot, campaign, segment)
    if room.lost is not None:
        return room.lost
    creative = _creative_for(slot, campaign, segment.creative_set)
    if creative is None:
        return Lost(Loss.NO_CREATIVE, segment.creative_set)
    factors = msgspec.structs.replace(
        plan.factors,
        exposure_factor=exposure_factor(room.used_count),
        line_factor=_line_factor(slot, campaign),
        control=_control(slot, campaign),
    )
    bid = _priced(slot, campaign, creative, value_cpm_micros(factors))
    if isinstance(bid, Lost):
        return bid
    return msgspec.structs.replace(
        bid,
        segment=segment,
        offer=plan.choice.offer,
        factors=factors,
        used_count=room.used_count,
        limits=room.limits,
        pressure=room.pressure,
    )


def _room(slot: Slot, campaign: Campaign, segment: Segment) -> CapRoom:
    """What the person's limits leave; none where Redis has just said so."""
    desk = slot.desk
    if campaign.id in desk.excluded:
        return CapRoom((), lost=Lost(Loss.CAP_REACHED, "by another bid of this moment"))
    return cap_room(
        desk.person,
        campaign,
        desk.catalog.advertisers[campaign.advertiser],
        segment,
        reserved=desk.reserved,
        picked=slot.picked,
        now_ms=desk.now_ms,
    )


def _control(slot: Slot, campaign: Campaign) -> float:
    """The pacing multiplier; 1 for a campaign that has no budget to spread."""
    allowed = slot.desk.allowances.get(campaign.id)
    return 1.0 if allowed is None else allowed.control


def _line_factor(slot: Slot, campaign: Campaign) -> float:
    """What full lines leave of the bid; 1 for a campaign that is not there to make people call."""
    if not campaign.call_driven:
        return 1.0
    lines = slot.desk.catalog.lines.get(campaign.advertiser)
    return line_factor(lines.minutes, slot.desk.now_ms) if lines is not None else 1.0


def _creative_for(slot: Slot, campaign: Campaign, wanted_set: str) -> Creative | None:
    """A creative of the wanted set that fits, else one for all."""
    desk, fallback = slot.desk, None
    for creative in desk.catalog.creatives.get(campaign.id, ()):
        if slot.sizes.isdisjoint(creative.sizes):
            continue
        if creative.is_private and desk.person.presence_ratio < desk.policy.private_ratio:
            continue
        if creative.creative_set == wanted_set:
            return creative
        if creative.creative_set == ANY_SET:
            fallback = creative
    return fallback


def _priced(slot: Slot, campaign: Campaign, creative: Creative, value: float) -> Bid | Lost:
    """Shades where the auction is a first-price one, then meets the floor if it is worth it."""
    floor_cpm_micros = slot.floor_cpm_micros
    if value < floor_cpm_micros:
        detail = f"worth {value / MICROS:.4f} CPM, floor {floor_cpm_micros / MICROS:.4f}"
        return Lost(Loss.BELOW_FLOOR, detail)
    median = slot.desk.exchange.median_price_cpm_micros
    shaded = value if slot.is_second_price else shade(value, median)
    bid_cpm_micros = max(int(shaded), floor_cpm_micros)
    allowed = slot.desk.allowances.get(campaign.id)
    if allowed is not None and bid_cpm_micros > allowed.left_micros * 1000:
        left_micros = max(0, allowed.left_micros)
        return Lost(Loss.BUDGET_SPENT, f"{left_micros / MICROS:.4f} left")
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
        bid_cpm_micros=bid_cpm_micros,
    )
