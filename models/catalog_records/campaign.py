"""What advertisers run."""

from typing import Literal

from models.catalog_records.record import Record, positive
from models.catalog_records.targeting import Targeting
from models.errors import InvalidFieldError
from models.limits import Cap, check_caps
from models.templates import Goal
from models.units import AdvertiserId, CampaignId, SegmentId

__all__ = ["Campaign"]


class Campaign(Record, frozen=True, kw_only=True, tag="campaign"):
    """What an advertiser runs.

    Attributes:
        goal: ``flight`` sells a searched route, ``product`` an item looked at; ``contextual``
            knows no person and pays ``contextual_cpm_micros``.
        segments: for whom; the first one that holds a person gives the policy for them. Empty for
            a contextual campaign.
        targeting: in which slots.
        offers: what it may show: routes, product groups or items; empty: anything.
        deals: ids of the private deals on which it may bid, as exchanges name them.
        guaranteed_cpm_micros: what it pays on those that are guaranteed, whatever an impression is
            worth; 0: only what it is worth.
        open_auction: it may bid in open auctions; False leaves it to its deals.
        app_bundle: the store id of the app that it is for: an Android package or an iOS number.
        uncapped_contextual: may be shown where there is no person to count for.
        daily_budget_micros: what a day may cost; None is no limit.
        pacing: ``even`` spreads the budget over the day, ``fast`` spends it as it comes.
        is_active: False pauses it.
        caps: how often a person may see it, whatever their segment.
        call_driven: it is there to make people call, so it bids less while the lines are full.
    """

    id: CampaignId
    advertiser: AdvertiserId
    goal: Goal
    segments: tuple[SegmentId, ...] = ()
    targeting: Targeting = Targeting()
    offers: tuple[str, ...] = ()
    contextual_cpm_micros: int = 0
    deals: tuple[str, ...] = ()
    guaranteed_cpm_micros: int = 0
    open_auction: bool = True
    app_bundle: str = ""
    uncapped_contextual: bool = False
    daily_budget_micros: int | None = None
    pacing: Literal["even", "fast"] = "even"
    is_active: bool = True
    call_driven: bool = False
    caps: tuple[Cap, ...] = ()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"campaign {self.id}: "
        contextual = self.goal == "contextual"
        if contextual != (not self.segments):
            wanted = "empty for a contextual campaign, and not empty for any other"
            raise InvalidFieldError(where + "segments", self.segments, wanted)
        for segment in self.segments:
            if not segment.startswith(f"{self.advertiser}/"):
                wanted = f"segments of its own advertiser, {self.advertiser}/..."
                raise InvalidFieldError(where + "segments", segment, wanted)
        if self.daily_budget_micros is not None:
            positive("campaign", self.id, "daily_budget_micros", self.daily_budget_micros)
        self.targeting.check(where + "targeting")
        if contextual != self.uncapped_contextual:
            wanted = "true for a contextual campaign, and false for any other"
            raise InvalidFieldError(where + "uncapped_contextual", self.uncapped_contextual, wanted)
        if not self.open_auction and not self.deals:
            wanted = "given where open_auction is false, or it can bid nowhere"
            raise InvalidFieldError(where + "deals", self.deals, wanted)
        self._check_prices(where)
        if contextual and self.caps:
            wanted = "empty for a contextual campaign, which counts for nobody"
            raise InvalidFieldError(where + "caps", self.caps, wanted)
        check_caps(where + "caps", self.caps)

    def _check_prices(self, where: str) -> None:
        for name in ("contextual_cpm_micros", "guaranteed_cpm_micros"):
            if getattr(self, name) < 0:
                raise InvalidFieldError(where + name, getattr(self, name), ">= 0")
        if self.contextual_cpm_micros and self.goal != "contextual":
            wanted = "left out: only a contextual campaign pays it"
            raise InvalidFieldError(where + "contextual_cpm", self.contextual_cpm_micros, wanted)
