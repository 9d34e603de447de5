"""Ad exchanges that send bid requests."""

import re
from typing import Final, Literal

import msgspec

from models.catalog_records.record import Record, positive
from models.errors import InvalidFieldError
from models.outcomes import NoticeSource
from models.units import ExchangeId

__all__ = ["Exchange"]

_PATH_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
"""What needs no escape in a URL (RFC 3986, 2.3)."""
_MACRO_SUFFIX: Final = re.compile(r"[A-Za-z0-9_-]{0,32}")
MAX_NOTICE_WINDOW_SECONDS: Final = 30 * 86_400
COOKIE_SLOT: Final = "{cookie}"


class Exchange(Record, frozen=True, kw_only=True, tag="exchange"):
    """An ad exchange that may send bid requests to ``/openrtb2/{id}/bid``.

    Attributes:
        id: its name in the path; its user ids are known by it too.
        default_tmax_ms: the time limit where a request names none.
        network_margin_ms: what of it the network takes, both ways.
        reservation_seconds: how long a bid holds its place under a cap: above the 99.9th
            percentile of this exchange's billing delay.
        median_price_cpm_micros: where half of its auctions are won; scale of the bid shading.
        bills_on: which notice moves money and caps, by contract: its billing notice, our pixel in
            the ad, or its win notice. The others are kept and move nothing.
        price_format: of the notified price: a plain decimal, or encrypted under the keys that the
            setting ``price_keys`` has for this exchange.
        price_macro_suffix: ``X`` where the exchange wants ``${AUCTION_PRICE:X}``.
        notice_window_seconds: so long after the bid a notice may move money; None: as the setting
            ``notice_window_seconds`` says. A slot's own ``exp`` makes it longer.
        loss_notices: whether bids carry a ``lurl``.
        impression_pixel: whether our pixel is in the ad although it does not bill, to be compared.
        click_redirect: whether clicks go through us, so that they are known.
        sync_url: where a browser takes our cookie id to the exchange, https, with ``{cookie}`` in
            its query; empty: the exchange brings its own user id to us only.
        seat: the buyer's seat there; empty: the owner's ``KINBID_SEAT``.
        max_bids_per_slot: most bids of ours on one slot, one on each deal and one in the open
            auction; 0: any number.
        no_bid_body: it wants to hear why there is no bid: 200 with ``nbr`` instead of 204.
        cids: what ``cid`` says of a campaign there, by campaign, where the exchange has ids of its
            own for billing; ``*`` for all others. Without: the campaign's id.
        complete_chain_only: no bids on slots whose supply chain is not told from the owner on.
        blocked_sellers: intermediaries that we do not pay, as ``domain`` (``asi``) or
            ``domain/id`` (``sid`` there).
        blocked_publishers: sellers' ids (``publisher.id``) whose slots get no bids.
    """

    id: ExchangeId
    default_tmax_ms: int = 120
    network_margin_ms: int = 20
    reservation_seconds: int = 10
    median_price_cpm_micros: int = 2_000_000
    bills_on: NoticeSource = "burl"
    price_format: Literal["plain", "encrypted"] = "plain"
    price_macro_suffix: str = ""
    notice_window_seconds: int | None = None
    loss_notices: bool = True
    impression_pixel: bool = False
    click_redirect: bool = False
    sync_url: str = ""
    seat: str = ""
    max_bids_per_slot: int = 0
    no_bid_body: bool = False
    cids: dict[str, str] = msgspec.field(default_factory=dict)
    complete_chain_only: bool = False
    blocked_sellers: tuple[str, ...] = ()
    blocked_publishers: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not _PATH_SEGMENT.fullmatch(self.id):
            wanted = "1 to 64 of A-Z a-z 0-9 . _ ~ -, since it stands in the URL of bid requests"
            raise InvalidFieldError("exchange: id", self.id, wanted)
        positive("exchange", self.id, "default_tmax_ms", self.default_tmax_ms)
        positive("exchange", self.id, "reservation_seconds", self.reservation_seconds)
        if not 0 <= self.network_margin_ms < self.default_tmax_ms:
            where = f"exchange {self.id}: network_margin_ms"
            wanted = f"from 0 to below default_tmax_ms ({self.default_tmax_ms})"
            raise InvalidFieldError(where, self.network_margin_ms, wanted)
        positive("exchange", self.id, "median_price_cpm_micros", self.median_price_cpm_micros)
        if self.max_bids_per_slot < 0:
            where = f"exchange {self.id}: max_bids_per_slot"
            raise InvalidFieldError(where, self.max_bids_per_slot, ">= 0")
        for seller in self.blocked_sellers:
            if seller.partition("/")[0] != seller.partition("/")[0].lower():
                where = f"exchange {self.id}: blocked_sellers"
                raise InvalidFieldError(
                    where, seller, "a domain in lower case, /id after it or not"
                )
        self._check_notices()

    def _check_notices(self) -> None:
        where = f"exchange {self.id}: "
        if not _MACRO_SUFFIX.fullmatch(self.price_macro_suffix):
            wanted = "at most 32 of A-Z a-z 0-9 _ -: it stands in a macro"
            raise InvalidFieldError(where + "price_macro_suffix", self.price_macro_suffix, wanted)
        window = self.notice_window_seconds
        if window is not None and not 1 <= window <= MAX_NOTICE_WINDOW_SECONDS:
            wanted = f"from 1 to {MAX_NOTICE_WINDOW_SECONDS} (30 days)"
            raise InvalidFieldError(where + "notice_window_seconds", window, wanted)
        if self.sync_url:
            _, mark, query = self.sync_url.partition("?")
            if not (self.sync_url.startswith("https://") and mark and COOKIE_SLOT in query):
                wanted = "an https address with {cookie} in its query"
                raise InvalidFieldError(where + "sync_url", self.sync_url, wanted)

    def cid_of(self, campaign: str) -> str:
        """What ``cid`` says of a campaign there."""
        return self.cids.get(campaign) or self.cids.get("*") or campaign
