"""What one campaign bids on one slot, or why it does not."""

from functools import partial

import msgspec

from bidder.bids import Bid, Loss, Lost
from bidder.caps import CapRoom, cap_room
from bidder.context import is_site_allowed
from bidder.desk import Desk
from bidder.dsa import dsa_shown
from bidder.formats import Fitted, Lineups, Misfit
from bidder.openings import bid_in, floor_of, price_of
from bidder.plans import Plan
from bidder.slot import Slot
from models.catalog import Catalog
from models.catalog_records import Campaign, Creative, Offer, Segment
from models.units import MICROS
from models.value.conversion import exposure_factor
from models.value.lines import line_factor
from models.value.price import value_cpm_micros

__all__ = ["contextual_bid", "personal_bid", "rivalry_of"]

ANY_SET = "any"
VIDEO_MTYPE = 2

_lineups = Lineups()
"""What follows from creatives alone; the records say whether it still holds."""
LONGEST_WAIT_SECONDS = 3_600
"""A slot that claims to be billable for longer holds its place under a cap no longer than this."""


def contextual_bid(slot: Slot, campaign: Campaign) -> Bid | Lost:
    """The bid of a campaign that knows no person."""
    barred = _barred(slot, campaign)
    if barred is not None:
        return barred
    fitted = _fitted(slot, campaign, ANY_SET, None)
    if isinstance(fitted, Lost):
        return fitted
    value = campaign.contextual_cpm_micros * _line_factor(slot, campaign)
    return _priced(slot, campaign, fitted, value * _control(slot, campaign))


def personal_bid(slot: Slot, campaign: Campaign, plan: Plan) -> Bid | Lost:
    """The bid of a campaign for the request's person, by a plan that is for it."""
    segment = plan.segment
    if slot.desk.channel in segment.channels_off:
        return Lost(Loss.CHANNEL_OFF, slot.desk.channel)
    barred = _barred(slot, campaign)
    if barred is not None:
        return barred
    room = _room(slot, campaign, segment)
    if room.lost is not None:
        return room.lost
    fitted = _fitted(slot, campaign, segment.creative_set, plan.choice.offer)
    if isinstance(fitted, Lost):
        return fitted
    factors = msgspec.structs.replace(
        plan.factors,
        exposure_factor=exposure_factor(room.used_count),
        line_factor=_line_factor(slot, campaign),
        control=_control(slot, campaign),
    )
    bid = _priced(slot, campaign, fitted, value_cpm_micros(factors))
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


def _fitted(slot: Slot, campaign: Campaign, wanted_set: str, offer: Offer | None) -> Fitted | Lost:
    """A creative of the wanted set that fits, else one for all."""
    desk = slot.desk
    terms = desk.terms
    lineup = _lineups.of(campaign.id, desk.catalog.creatives.get(campaign.id, ()))
    found = lineup.choose(
        slot.asked, wanted_set, offer, desk.catalog.advertisers[campaign.advertiser],
        private_allowed=desk.person.presence_ratio >= desk.policy.private_ratio,
        is_taken=None if terms.limits is None and terms.dsa is None else partial(_is_taken, desk),
    )  # fmt: skip
    if isinstance(found, Misfit):
        return Lost(Loss.NO_CREATIVE, found.value)
    if slot.breaks is not None:
        advertiser = desk.catalog.advertisers[campaign.advertiser]
        categories = found.creative.categories or advertiser.iab_categories
        if not slot.breaks.admits(slot.imp, advertiser.id, categories):
            return Lost(Loss.RIVAL)
    return found


def rivalry_of(bid: Bid, catalog: Catalog) -> tuple[str, tuple[str, ...]]:
    """By what a bid is a rival of others in a break: its advertiser and categories."""
    advertiser = catalog.advertisers[bid.campaign.advertiser]
    return advertiser.id, bid.creative.categories or advertiser.iab_categories


def _barred(slot: Slot, campaign: Campaign) -> Lost | None:
    """Why the request does not take a campaign here, as far as no index knows."""
    desk = slot.desk
    if not is_site_allowed(campaign.targeting, desk.sites):
        return Lost(Loss.TARGETING, "site")
    opening = slot.opening
    if opening.domains is not None:
        advertiser = desk.catalog.advertisers[campaign.advertiser]
        if not opening.admits_advertiser(advertiser):
            return Lost(Loss.NO_DEAL, advertiser.domain)
    limits = desk.terms.limits
    if limits is not None and campaign.app_bundle and not limits.admits_app(campaign.app_bundle):
        return Lost(Loss.BLOCKED, campaign.app_bundle)
    return None


def _is_taken(desk: Desk, creative: Creative) -> bool:
    """Whether the request takes a creative's language, own categories and what it shows."""
    limits, dsa = desk.terms.limits, desk.terms.dsa
    if limits is not None:
        if not limits.admits_language(creative.language):
            return False
        if creative.categories and not limits.admits_categories(creative.categories):
            return False
    return dsa is None or dsa_shown(dsa, creative)


def _priced(slot: Slot, campaign: Campaign, fitted: Fitted, value: float) -> Bid | Lost:
    """Shades where the auction is a first-price one, then meets the floor if it is worth it."""
    desk, opening = slot.desk, slot.opening
    seconds = fitted.duration_seconds or None
    media = slot.imp.video if fitted.mtype == VIDEO_MTYPE else slot.imp.audio
    floor = floor_of(opening, desk.terms, seconds, media if seconds else None)
    if floor is None:
        return Lost(Loss.BELOW_FLOOR, "the floor's currency has no rate")
    bid_cpm_micros = bid_in(opening, floor, value, campaign, desk.exchange)
    if bid_cpm_micros is None:
        detail = f"worth {value / MICROS:.4f} CPM, floor {floor.cpm_micros / MICROS:.4f}"
        return Lost(Loss.BELOW_FLOOR, detail)
    allowed = desk.allowances.get(campaign.id)
    if allowed is not None:
        cost_micros = bid_cpm_micros * slot.imp.multiplier / 1000
        if cost_micros > allowed.left_micros:
            left_micros = max(0, allowed.left_micros)
            return Lost(Loss.BUDGET_SPENT, f"{left_micros / MICROS:.4f} left")
    return Bid(
        imp_id=slot.imp.id,
        campaign=campaign,
        fitted=fitted,
        value_cpm_micros=int(value),
        bid_cpm_micros=bid_cpm_micros,
        price_micros=price_of(bid_cpm_micros, floor, desk.terms),
        floor_cpm_micros=floor.cpm_micros,
        deal_id=opening.deal_id,
        # As long as a billing notice may take: what the slot says, or this exchange.
        wait_seconds=min(
            max(desk.exchange.reservation_seconds, slot.imp.exp or 0), LONGEST_WAIT_SECONDS
        ),
        multiplier=slot.imp.multiplier,
    )
