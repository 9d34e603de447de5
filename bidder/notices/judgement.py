"""What a verified notice may move, and the record that tells of it. Pure.

Money and caps move by one kind of notice for each bid, the one that bills at its exchange, and only
where its price can be believed and it is not late (OpenRTB 2.6 sections 4.2.3 and 4.4, and 7.2 and
7.8 of its implementation guide). Every other notice is kept and moves nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from bidder.notices.prices import price_cpm_micros
from models.notices import KIND_OF, NoticeKind, NoticeToken
from models.outcomes import (
    AuctionLoss,
    Billing,
    Click,
    Impression,
    NoticeOutcome,
    UncountedBilling,
    Win,
)
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId

__all__ = ["Judgement", "Notice", "Verdict", "judge", "outcome_of"]

Verdict: TypeAlias = Literal["accepted", "quarantined", "late", "audit", "test"]
ReadPrice: TypeAlias = Callable[[str], int | None]

ROUNDING_CPM_MICROS: Final = 1
"""A price above the bid by less than this is a rounding of the exchange's."""

AUDIT: Final = "AUDIT"
"""What stands in a macro when somebody reviews the creative (2.6 section 4.4)."""

WITHOUT_PRICE: Final = frozenset({"loss", "click", "impression"})
"""Where the price may be missing, unless this kind is what bills."""

WON: Final = 0
"""The loss reason of a bid that won: some exchanges call ``lurl`` for every bid."""
LONGEST_LOSS_REASON: Final = 4


class Notice(msgspec.Struct, frozen=True):
    """A notice whose token we have signed.

    Attributes:
        kind: as its path says.
        token: what was bid.
        values: of its query: ``p`` the price, ``c`` the currency, ``l`` the loss reason, ``m`` what
            would have won.
        now_ms: when it came, Unix ms.
        viewer: the viewer's digest.
    """

    kind: NoticeKind
    token: NoticeToken
    values: Mapping[str, str]
    now_ms: int
    viewer: str = ""

    @property
    def bills(self) -> bool:
        """Whether this kind of notice moves money at the bid's exchange."""
        return self.kind == KIND_OF[self.token.source]


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a notice.

    Attributes:
        verdict: only what is accepted becomes an outcome; a test is forgotten, all else set aside.
        price_cpm_micros: the notified price in the owner's currency; 0 where there is none and none
            is needed.
        why: what people should know of a notice that was set aside.
    """

    verdict: Verdict
    price_cpm_micros: int = 0
    why: str = ""


def judge(notice: Notice, read_price: ReadPrice, currency: str) -> Judgement:
    """Whether a notice may stand.

    Args:
        notice: what came.
        read_price: CPM micros of ``p``, as this exchange writes it; None where it is no price.
        currency: the owner's.
    """
    token, values = notice.token, notice.values
    if token.is_test:
        return Judgement("test")
    if AUDIT in values.values():
        return Judgement("audit", why="a macro says AUDIT: somebody reviews the creative")
    needs_price = notice.bills or notice.kind not in WITHOUT_PRICE
    text = values.get("p", "")
    notified = read_price(text) if text else None
    price = None if notified is None else token.in_own_money(notified)
    doubt = _doubt(token, price, values.get("c", ""), currency)
    if doubt and needs_price:
        return Judgement("quarantined", why=doubt)
    if notice.bills and notice.now_ms > token.expires_ms:
        late_seconds = (notice.now_ms - token.expires_ms) / 1000
        return Judgement("late", why=f"{late_seconds:.0f} s after its window")
    return Judgement("accepted", 0 if doubt else price or 0)


def _doubt(token: NoticeToken, price: int | None, notified: str, owners: str) -> str:
    """Why a price is not believed; empty where it is."""
    if price is None:
        return "the price is missing, not expanded, or no number"
    if price > token.bid_cpm_micros + ROUNDING_CPM_MICROS:
        return f"{price} CPM micros is above the bid of {token.bid_cpm_micros}"
    bid_in = token.currency or owners
    if notified.isalpha() and notified.upper() != bid_in:
        return f"the price is in {notified[:8]}, and the bid was in {bid_in}"
    return ""


def outcome_of(notice: Notice, judgement: Judgement) -> NoticeOutcome:
    """The record of an accepted notice; the viewer only where the bid was for a person."""
    token = notice.token
    common: dict[str, Any] = {
        "node": token.node,
        "nonce": token.nonce,
        "campaign": CampaignId(token.campaign),
        "creative": CreativeId(token.creative),
        "exchange": ExchangeId(token.exchange),
        "clearing_cpm_micros": judgement.price_cpm_micros,
        "notice_time_ms": notice.now_ms,
        "personal": bool(token.node),
        "auction": token.auction,
        "imp": token.imp,
        "bid_time_ms": token.bid_time_ms,
        "bid_cpm_micros": token.bid_cpm_micros,
        "viewer": notice.viewer if token.node else "",
    }
    if notice.bills:
        return Billing(
            **common,
            source=token.source,
            advertiser=AdvertiserId(token.advertiser),
            reserved_seconds=token.reserved_seconds,
            limits=token.limits,
        )
    match notice.kind:
        case "billing":
            return UncountedBilling(**common)
        case "impression":
            return Impression(**common)
        case "click":
            return Click(**common)
        case "win" | "loss":
            return _end_of_auction(notice, common)


def _end_of_auction(notice: Notice, common: dict[str, Any]) -> Win | AuctionLoss:
    values = notice.values
    # The exchange's own hint, never money: it is plain where the price itself is encrypted.
    min_to_win = price_cpm_micros(values.get("m", ""))
    reason = _loss_reason(values.get("l", ""))
    if notice.kind == "win" or reason == WON:
        return Win(**common, min_to_win_cpm_micros=min_to_win)
    return AuctionLoss(**common, reason=reason, min_to_win_cpm_micros=min_to_win)


def _loss_reason(text: str) -> int | None:
    is_code = text.isascii() and text.isdecimal() and len(text) <= LONGEST_LOSS_REASON
    return int(text) if is_code else None
