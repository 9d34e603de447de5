"""What a decision is made of: bids, and why campaigns lost. Values only."""

import enum

import msgspec

from bidder.errors import NoBidReason
from bidder.formats import Fitted
from models.catalog_records import Campaign, Creative, Offer, Segment
from models.limits import MAX_CAP, Limit
from models.presence import DEFAULT_PRESENCE
from models.value.price import Factors

__all__ = ["Bid", "Decision", "Fate", "Loss", "Lost", "Policy"]


class Loss(enum.Enum):
    """Why a campaign did not get a slot."""

    PAUSED = "paused"
    BLOCKED = "advertiser or category is blocked"
    NO_DEAL = "the slot is for deals that it has no part in, or it bids on deals only"
    NO_PERSON = "needs a person, and there is none that may be used"
    NO_SEGMENT = "the person is in none of its segments"
    CAP_REACHED = "the person's frequency cap is used up"
    PRESSURE = "messages, calls and ads together use the advertiser's pressure cap up"
    SILENCED = "another channel has served what the ad is about"
    NO_INTENT = "the person looked at nothing that it sells, or bought all of it"
    NOTHING_TO_SELL = "what the person looked at is sold out, out of stock or gone"
    NO_CREATIVE = "no creative of the segment's set fits the slot"
    NOT_TRANSPARENT = "the request wants to know who pays, and the advertiser does not say"
    RIVAL = "a rival, or the same advertiser, is in the break already"
    BELOW_FLOOR = "worth less than the slot's floor, or than a cent for a thousand"
    CALL_PAUSE = "ads pause because of the person's phone call"
    BUDGET_SPENT = "the rest of its daily budget does not pay for the bid"
    TARGETING = "is not to be shown in such a slot"
    CHANNEL_OFF = "the person's segment sees no ads there"
    OUTBID = "another campaign of ours is worth more"


class Lost(msgspec.Struct, frozen=True, gc=False):
    """Why a campaign lost a slot, with what is worth knowing about it."""

    reason: Loss
    detail: str = ""


class Policy(msgspec.Struct, frozen=True):
    """What the bidder itself adds to the marketers' rules.

    Attributes:
        seat: ours.
        currency: in which bids are made.
        is_secure: notice URLs are https; without it only a slot that says ``secure: 0`` is bid.
        private_ratio: probability that it is them below which a person sees no private creative.
    """

    seat: str
    currency: str
    is_secure: bool
    private_ratio: float = DEFAULT_PRESENCE.private_ratio


class Bid(msgspec.Struct, frozen=True, gc=False):
    """A bid on one slot.

    Attributes:
        imp_id: the slot's.
        campaign, segment, offer: what is shown and why; segment and offer are None for a
            contextual ad.
        fitted: the creative, as it is shown in this slot.
        value_cpm_micros: what a thousand are worth to the marketer.
        bid_cpm_micros: what is bid, after shading and floor, micros of our own currency.
        price_micros: the same in the currency that the response is written in.
        floor_cpm_micros: the least that it could be, in our own.
        deal_id: of the deal that it is for; None in the open auction.
        multiplier: impressions that one showing is.
        wait_seconds: how long its impression may take, and its place under the cap is kept.
        factors: of the value; None for a contextual ad.
        used_count: impressions of the segment's first cap that are used already.
        limits: on impressions, that it keeps to; none for a contextual ad.
        pressure: what messages and calls leave, as limits on the advertiser's impressions.
    """

    imp_id: str
    campaign: Campaign
    fitted: Fitted
    value_cpm_micros: int
    bid_cpm_micros: int
    price_micros: int
    floor_cpm_micros: int = 0
    deal_id: str | None = None
    wait_seconds: int = 0
    multiplier: float = 1.0
    segment: Segment | None = None
    offer: Offer | None = None
    factors: Factors | None = None
    used_count: int = 0
    limits: tuple[Limit, ...] = ()
    pressure: tuple[Limit, ...] = ()

    @property
    def room(self) -> int:
        """How many impressions the strictest limit leaves, this one included."""
        least = MAX_CAP
        for one in self.limits + self.pressure:
            least = min(least, one.impressions - one.used)
        return least

    @property
    def creative(self) -> Creative:
        """What is shown."""
        return self.fitted.creative

    @property
    def cost_micros(self) -> int:
        """What one showing costs at most, micros of our own currency (2.6 section 3.2.31)."""
        return int(self.bid_cpm_micros * self.multiplier) // 1000


class Fate(msgspec.Struct, frozen=True):
    """What became of one campaign in one slot, in the open auction or on a deal."""

    imp_id: str
    campaign: str
    lost: Lost
    deal_id: str | None = None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Bids, at most one for each opening of a slot, or the reason why there are none.

    Attributes:
        bids: of one request, in the order of its slots.
        reason: None where there are bids.
        was_cut: a slot took the best of what it had tried, since there was too much to try.
    """

    bids: tuple[Bid, ...]
    reason: NoBidReason | None = None
    was_cut: bool = False
