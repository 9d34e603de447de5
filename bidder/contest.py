"""What one campaign bids on one slot, or why it does not."""

from typing import Final

import msgspec

from bidder.bids import Bid, Loss, Lost
from bidder.caps import cap_room
from bidder.context import is_site_allowed
from bidder.formats import AUDIO, BANNER, NATIVE, VIDEO, Asked, Fitted, Lineups, Misfit
from bidder.openings import Floor, bid_in, floor_of, price_of
from bidder.plans import Plan
from bidder.slot import Slot
from models.budgets import Allowance
from models.catalog import Catalog
from models.catalog_records import Advertiser, Campaign, Offer, Segment
from models.units import MICROS
from models.value.conversion import exposure_factor
from models.value.lines import line_factor

__all__ = ["contextual_bid", "personal_bid", "rivalry_of"]

ANY_SET: Final = "any"
VIDEO_MTYPE: Final = 2
FORMAT_NAMES: Final = ((BANNER, "banner"), (VIDEO, "video"), (AUDIO, "audio"), (NATIVE, "native"))
OUTBID: Final = Lost(Loss.OUTBID)
TAKEN: Final = Lost(Loss.CAP_REACHED, "by another bid of this moment")
"""Redis has just said so."""

_lineups: Final = Lineups()
"""What follows from creatives alone; the records say whether it still holds."""
LONGEST_WAIT_SECONDS: Final = 3_600
"""A slot that claims to be billable for longer holds its place under a cap no longer than this."""


def contextual_bid(slot: Slot, campaign: Campaign) -> Bid | Lost:
    """The bid of a campaign that knows no person."""
    advertiser = slot.desk.catalog.advertisers[campaign.advertiser]
    barred = _barred(slot, campaign, advertiser)
    if barred is not None:
        return barred
    fitted = _fitted(slot, campaign, advertiser, slot.asked, (ANY_SET, None))
    if isinstance(fitted, Lost):
        return fitted
    value: float = campaign.contextual_cpm_micros
    if campaign.call_driven:
        value *= _line_factor(slot, campaign)
    allowed = slot.desk.allowances.get(campaign.id)
    if allowed is not None:
        value *= allowed.control
    price = _price(slot, campaign, fitted, value, allowed)
    if isinstance(price, Lost):
        return price
    return Bid(
        slot.imp.id, campaign, fitted, int(value), *price, slot.opening.deal_id,
        _wait_seconds(slot), slot.imp.multiplier,
    )  # fmt: skip


def personal_bid(
    slot: Slot, campaign: Campaign, plan: Plan, least_cpm_micros: int = 0
) -> Bid | Lost:
    """The bid of a campaign for the request's person, by a plan that is for it.

    Args:
        slot: where.
        campaign: whose.
        plan: of the person's segment and the offer.
        least_cpm_micros: what it has to be worth, or it need not be looked at any further: most of
            those that are tried are worth less than the best one so far.
    """
    desk, segment = slot.desk, plan.segment
    asked = slot.asked if not segment.channels_off else _asked_by(slot, segment)
    if isinstance(asked, Lost):
        return asked
    if campaign.id in desk.excluded:
        return TAKEN
    advertiser = desk.catalog.advertisers[campaign.advertiser]
    room = cap_room(
        desk.person, campaign, advertiser, segment,
        reserved=desk.reserved, picked=slot.picked, now_ms=desk.now_ms,
    )  # fmt: skip
    if room.lost is not None:
        return room.lost
    used_count = room.limits[0].used
    exposure = exposure_factor(used_count)
    allowed = desk.allowances.get(campaign.id)
    control = 1.0 if allowed is None else allowed.control
    lines = _line_factor(slot, campaign) if campaign.call_driven else 1.0
    value = plan.most_cpm_micros * exposure * control * lines
    if value < least_cpm_micros:
        return OUTBID
    barred = _barred(slot, campaign, advertiser)
    if barred is not None:
        return barred
    offer = plan.choice.offer
    fitted = _fitted(slot, campaign, advertiser, asked, (segment.creative_set, offer))
    if isinstance(fitted, Lost):
        return fitted
    price = _price(slot, campaign, fitted, value, allowed)
    if isinstance(price, Lost):
        return price
    return Bid(  # by place: by name it takes 0.5 us more
        slot.imp.id, campaign, fitted, int(value), *price, slot.opening.deal_id,
        _wait_seconds(slot), slot.imp.multiplier, segment, offer,
        plan.factors(exposure, control, lines), used_count, room.limits, room.pressure,
    )  # fmt: skip


def _line_factor(slot: Slot, campaign: Campaign) -> float:
    """What full lines leave of the bid of a campaign that is there to make people call."""
    lines = slot.desk.catalog.lines.get(campaign.advertiser)
    return line_factor(lines.minutes, slot.desk.now_ms) if lines is not None else 1.0


def _asked_by(slot: Slot, segment: Segment) -> Asked | Lost:
    """What the slot takes, without the formats that the segment's people are not shown."""
    off = segment.channels_off
    if slot.desk.channel in off:
        return Lost(Loss.CHANNEL_OFF, slot.desk.channel)
    formats = slot.asked.formats
    for bit, name in FORMAT_NAMES:
        if name in off:
            formats &= ~bit
    if not formats:
        names = (name for bit, name in FORMAT_NAMES if slot.asked.formats & bit)
        return Lost(Loss.CHANNEL_OFF, ", ".join(names))
    return msgspec.structs.replace(slot.asked, formats=formats)


def _fitted(
    slot: Slot,
    campaign: Campaign,
    advertiser: Advertiser,
    asked: Asked,
    shown: tuple[str, Offer | None],
) -> Fitted | Lost:
    """A creative of the wanted set that fits, else one for all.

    Args:
        slot: where.
        campaign: whose.
        advertiser: the campaign's.
        asked: what the slot takes of it.
        shown: the wanted set, and what is advertised.
    """
    desk = slot.desk
    wanted_set, offer = shown
    lineup = _lineups.of(campaign.id, desk.catalog.creatives.get(campaign.id, ()))
    found = lineup.choose(
        asked, wanted_set, offer, advertiser,
        private_allowed=desk.person.presence_ratio >= desk.policy.private_ratio,
        is_taken=desk.takes,
    )  # fmt: skip
    if isinstance(found, Misfit):
        if found is Misfit.FORMAT and lineup.formats & slot.asked.formats:
            return Lost(Loss.CHANNEL_OFF, "the campaign's formats in this slot")
        return Lost(Loss.NO_CREATIVE, found.value)
    if slot.breaks is not None:
        categories = found.creative.categories or advertiser.iab_categories
        if not slot.breaks.admits(slot.imp, advertiser.id, categories):
            return Lost(Loss.RIVAL)
    return found


def rivalry_of(bid: Bid, catalog: Catalog) -> tuple[str, tuple[str, ...]]:
    """By what a bid is a rival of others in a break: its advertiser and categories."""
    advertiser = catalog.advertisers[bid.campaign.advertiser]
    return advertiser.id, bid.creative.categories or advertiser.iab_categories


def _barred(slot: Slot, campaign: Campaign, advertiser: Advertiser) -> Lost | None:
    """Why the request does not take a campaign here, as far as no index knows."""
    targeting = campaign.targeting
    if (targeting.sites or targeting.not_sites) and not is_site_allowed(targeting, slot.desk.sites):
        return Lost(Loss.TARGETING, "site")
    if slot.opening.domains is not None and not slot.opening.admits_advertiser(advertiser):
        return Lost(Loss.NO_DEAL, advertiser.domain)
    if campaign.app_bundle:
        limits = slot.desk.terms.limits
        if limits is not None and not limits.admits_app(campaign.app_bundle):
            return Lost(Loss.BLOCKED, campaign.app_bundle)
    return None


def _price(
    slot: Slot, campaign: Campaign, fitted: Fitted, value: float, allowed: Allowance | None
) -> tuple[int, int, int] | Lost:
    """Shades where the auction is a first-price one, then meets the floor if it is worth it.

    Returns:
        What is bid, the bid as it is written, and the floor; the first and the last in our own
        currency.
    """
    desk, opening = slot.desk, slot.opening
    floor: Floor | None = opening.floor
    if fitted.duration_seconds:
        media = slot.imp.video if fitted.mtype == VIDEO_MTYPE else slot.imp.audio
        floor = floor_of(opening, desk.terms, fitted.duration_seconds, media)
    if floor is None:
        return Lost(Loss.BELOW_FLOOR, "the floor's currency has no rate")
    bid_cpm_micros = bid_in(opening, floor, value, campaign, desk.exchange)
    if bid_cpm_micros is None:
        detail = f"worth {value / MICROS:.4f} CPM, floor {floor.cpm_micros / MICROS:.4f}"
        return Lost(Loss.BELOW_FLOOR, detail)
    if allowed is not None:
        cost_micros = bid_cpm_micros * slot.imp.multiplier / 1000
        if cost_micros > allowed.left_micros:
            left_micros = max(0, allowed.left_micros)
            return Lost(Loss.BUDGET_SPENT, f"{left_micros / MICROS:.4f} left")
    return bid_cpm_micros, price_of(bid_cpm_micros, floor, desk.terms), floor.cpm_micros


def _wait_seconds(slot: Slot) -> int:
    """As long as a billing notice may take: what the slot says, or this exchange."""
    wait_seconds, expiry_seconds = slot.desk.exchange.reservation_seconds, slot.imp.exp
    if not expiry_seconds:
        return wait_seconds
    return min(max(wait_seconds, expiry_seconds), LONGEST_WAIT_SECONDS)
