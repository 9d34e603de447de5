"""What one campaign bids on one slot, or why it does not."""

import msgspec

from bidder.bids import Bid, Loss, Lost
from bidder.context import is_site_allowed
from bidder.creative_rules import creative_fits
from bidder.dsa import dsa_shown
from bidder.openings import bid_in, floor_of, price_of
from bidder.plans import Plan
from bidder.slot import Slot
from models.caps import count_used
from models.catalog_records import Campaign, Creative, Segment
from models.units import MICROS
from models.value.conversion import exposure_factor
from models.value.lines import line_factor
from models.value.price import value_cpm_micros

__all__ = ["contextual_bid", "personal_bid"]

ANY_SET = "any"
LONGEST_WAIT_SECONDS = 3_600
"""A slot that claims to be billable for longer holds its place under a cap no longer than this."""


def contextual_bid(slot: Slot, campaign: Campaign) -> Bid | Lost:
    """The bid of a campaign that knows no person."""
    barred = _barred(slot, campaign)
    if barred is not None:
        return barred
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
    barred = _barred(slot, campaign)
    if barred is not None:
        return barred
    used = used_count(slot, campaign, segment)
    if used >= segment.cap_impressions or campaign.id in slot.desk.excluded:
        return Lost(Loss.CAP_REACHED, f"{used} of {segment.cap_impressions}")
    creative = _creative_for(slot, campaign, segment.creative_set)
    if creative is None:
        return Lost(Loss.NO_CREATIVE, segment.creative_set)
    factors = msgspec.structs.replace(
        plan.factors,
        exposure_factor=exposure_factor(used),
        line_factor=_line_factor(slot, campaign),
        control=_control(slot, campaign),
    )
    bid = _priced(slot, campaign, creative, value_cpm_micros(factors))
    if isinstance(bid, Lost):
        return bid
    return msgspec.structs.replace(
        bid, segment=segment, offer=plan.choice.offer, factors=factors, used_count=used
    )


def used_count(slot: Slot, campaign: Campaign, segment: Segment) -> int:
    """Impressions used of the cap: billed, reserved anywhere, or picked for this very request."""
    desk = slot.desk
    billed = desk.person.ledger.campaigns.get(campaign.id, {})
    since_ms = desk.now_ms - segment.cap_window_seconds * 1000
    used = count_used(billed, desk.reserved, campaign.id, since_ms)
    return used + sum(bid.campaign.id == campaign.id for bid in slot.picked)


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
        if slot.is_choosy and not _is_taken(slot, creative):
            continue
        if creative.is_private and desk.person.presence_ratio < desk.policy.private_ratio:
            continue
        if creative.creative_set == wanted_set:
            return creative
        if creative.creative_set == ANY_SET:
            fallback = creative
    return fallback


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


def _is_taken(slot: Slot, creative: Creative) -> bool:
    """Whether the slot takes the creative's attributes and language, and what it shows."""
    banner, terms = slot.imp.banner, slot.desk.terms
    if banner is not None and not creative_fits(creative, banner.battr, banner.btype):
        return False
    if terms.limits is not None and not terms.limits.admits_language(creative.language):
        return False
    return terms.dsa is None or dsa_shown(terms.dsa, creative)


def _priced(slot: Slot, campaign: Campaign, creative: Creative, value: float) -> Bid | Lost:
    """Shades where the auction is a first-price one, then meets the floor if it is worth it."""
    desk, opening = slot.desk, slot.opening
    floor = floor_of(opening, desk.terms)
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
        price_micros=price_of(bid_cpm_micros, floor, desk.terms),
        floor_cpm_micros=floor.cpm_micros,
        deal_id=opening.deal_id,
        # As long as a billing notice may take: what the slot says, or this exchange.
        wait_seconds=min(
            max(desk.exchange.reservation_seconds, slot.imp.exp or 0), LONGEST_WAIT_SECONDS
        ),
        multiplier=slot.imp.multiplier,
    )
