"""What one campaign bids on one slot, or why it does not."""

import msgspec

from bidder.auction import is_blocked
from bidder.bids import Bid, Loss, Lost
from bidder.context import is_site_allowed
from bidder.formats import Fitted, Lineups, Misfit
from bidder.plans import Plan
from bidder.slot import Slot
from models.caps import count_used
from models.catalog_records import Campaign, Offer, Segment
from models.units import MICROS
from models.value.conversion import exposure_factor
from models.value.lines import line_factor
from models.value.price import value_cpm_micros
from models.value.shading import shade

__all__ = ["contextual_bid", "personal_bid"]

ANY_SET = "any"

_lineups = Lineups()
"""What follows from creatives alone; the records say whether it still holds."""


def contextual_bid(slot: Slot, campaign: Campaign) -> Bid | Lost:
    """The bid of a campaign that knows no person."""
    if not is_site_allowed(campaign.targeting, slot.desk.sites):
        return Lost(Loss.TARGETING, "site")
    fitted = _fitted(slot, campaign, ANY_SET, None)
    if isinstance(fitted, Lost):
        return fitted
    value = campaign.contextual_cpm_micros * _line_factor(slot, campaign)
    return _priced(slot, campaign, fitted, value)


def personal_bid(slot: Slot, campaign: Campaign, plan: Plan) -> Bid | Lost:
    """The bid of a campaign for the request's person, by a plan that is for it."""
    segment = plan.segment
    if slot.desk.channel in segment.channels_off:
        return Lost(Loss.CHANNEL_OFF, slot.desk.channel)
    if not is_site_allowed(campaign.targeting, slot.desk.sites):
        return Lost(Loss.TARGETING, "site")
    used = used_count(slot, campaign, segment)
    if used >= segment.cap_impressions or campaign.id in slot.desk.excluded:
        return Lost(Loss.CAP_REACHED, f"{used} of {segment.cap_impressions}")
    fitted = _fitted(slot, campaign, segment.creative_set, plan.choice.offer)
    if isinstance(fitted, Lost):
        return fitted
    factors = msgspec.structs.replace(
        plan.factors,
        exposure_factor=exposure_factor(used),
        line_factor=_line_factor(slot, campaign),
    )
    bid = _priced(slot, campaign, fitted, value_cpm_micros(factors))
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


def _line_factor(slot: Slot, campaign: Campaign) -> float:
    """What full lines leave of the bid; 1 for a campaign that is not there to make people call."""
    if not campaign.call_driven:
        return 1.0
    lines = slot.desk.catalog.lines.get(campaign.advertiser)
    return line_factor(lines.minutes, slot.desk.now_ms) if lines is not None else 1.0


def _fitted(slot: Slot, campaign: Campaign, wanted_set: str, offer: Offer | None) -> Fitted | Lost:
    """A creative of the wanted set that fits, else one for all."""
    desk = slot.desk
    advertiser = desk.catalog.advertisers[campaign.advertiser]
    lineup = _lineups.of(campaign.id, desk.catalog.creatives.get(campaign.id, ()))
    found = lineup.choose(
        slot.asked, wanted_set, offer, advertiser,
        private_allowed=desk.person.presence_ratio >= desk.policy.private_ratio,
    )  # fmt: skip
    if isinstance(found, Misfit):
        return Lost(Loss.NO_CREATIVE, found.value)
    own = found.creative.categories
    if own and is_blocked(desk.request, msgspec.structs.replace(advertiser, iab_categories=own)):
        return Lost(Loss.BLOCKED)
    return found


def _priced(slot: Slot, campaign: Campaign, fitted: Fitted, value: float) -> Bid | Lost:
    """Shades where the auction is a first-price one, then meets the floor if it is worth it."""
    floor_cpm_micros = slot.floor_cpm_micros
    if value < floor_cpm_micros:
        detail = f"worth {value / MICROS:.4f} CPM, floor {floor_cpm_micros / MICROS:.4f}"
        return Lost(Loss.BELOW_FLOOR, detail)
    median = slot.desk.exchange.median_price_cpm_micros
    shaded = value if slot.is_second_price else shade(value, median)
    return Bid(
        imp_id=slot.imp.id,
        campaign=campaign,
        fitted=fitted,
        value_cpm_micros=int(value),
        bid_cpm_micros=max(int(shaded), floor_cpm_micros),
    )
