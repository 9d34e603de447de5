"""The receipt of one request while it is answered: what is noted on the way, and no more.

Notes are references, so they cost next to nothing; what they say is written once the answer is
sent, in the same turn of the loop, before the catalogue can change.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, Protocol

from bidder.allowed_use import AllowedUse
from bidder.bids import Decision
from bidder.lookup import Found
from bidder.openrtb import BidRequest
from bidder.receipts.inputs import POSITIONAL
from bidder.receipts.watched_catalog import (
    SMALL_CATALOG,
    AnyRecord,
    Behind,
    records_behind,
    watched,
)
from models.catalog_records import Campaign, Exchange
from models.notices import NoticeToken

__all__ = ["Draft", "Taker"]

P = ParamSpec("P")
NOTHING_YET: Final = Decision(())


class Taker(Protocol):
    """Who takes drafts when they are done."""

    def keep(self, draft: "Draft", *, is_sent: bool, elapsed_ns: int) -> None:
        """Keeps a receipt, or does not."""


class Draft:
    """What is known so far of one request's decision.

    Where a place under a cap is refused a request is decided more than once. What is decided last
    stands; campaigns and nodes (``seen``, ``met``) are those of all.

    Args:
        taker: takes it when it is done.
        request, exchange, now_ms: as they are answered.
        is_sampled: a summary is kept in any case.
        is_full: the full receipt is.
        may_be_full: it may turn out to be, so what it needs is noted.
        asked: campaigns that somebody asks about, tried or not.
    """

    __slots__ = (
        "_behind", "_taker", "arguments", "asked", "body", "catalog", "decision", "exchange",
        "found", "id", "is_full", "is_sampled", "may_be_full", "met", "now_ms", "request", "seen",
        "tokens", "use",
    )  # fmt: skip

    def __init__(
        self,
        taker: Taker,
        request: BidRequest,
        exchange: Exchange,
        now_ms: int,
        *,
        is_sampled: bool,
        is_full: bool,
        may_be_full: bool,
        asked: frozenset[str] = frozenset(),
    ) -> None:
        self._taker = taker
        self.request = request
        self.exchange = exchange
        self.now_ms = now_ms
        self.is_sampled = is_sampled
        self.is_full = is_full
        self.may_be_full = may_be_full
        self.asked = asked
        self.arguments: dict[str, Any] = {}
        self.seen: dict[str, Campaign] = {}
        self.met: set[str | None] = set()
        self.catalog: Any = None  # a Catalog, where a full receipt may be made
        self._behind: Behind | None = None
        self.decision = NOTHING_YET
        self.id = ""
        self.body: bytes | None = None
        self.tokens: tuple[NoticeToken, ...] = ()
        self.use: AllowedUse | None = None
        self.found: Found | None = None

    def watching(self, decide: Callable[P, Decision]) -> Callable[P, Decision]:
        """The same function; of its last call the arguments are noted, whichever it has."""

        def noted(*args: P.args, **kwargs: P.kwargs) -> Decision:
            if self.may_be_full:
                self.decision = self._watch(
                    decide, dict(zip(POSITIONAL, args, strict=False)) | kwargs
                )
            else:
                self.decision = decide(*args, **kwargs)
            return self.decision

        return noted

    def _watch(self, decide: Callable[..., Decision], arguments: dict[str, Any]) -> Decision:
        catalog = arguments["catalog"]
        decision = decide(**arguments | {"catalog": watched(catalog, self.seen)})
        # The bids that follow change what is left of budgets.
        allowances = arguments.get("allowances", {})
        is_small = len(catalog.campaigns) <= SMALL_CATALOG
        names = catalog.campaigns if is_small else self.asked.union(self.seen)
        arguments["allowances"] = {name: allowances[name] for name in names if name in allowances}
        self.arguments, self.catalog = arguments, catalog
        self.met |= {arguments["person"].node, arguments["person"].root}
        self._behind = None
        return decision

    def before_waiting(self) -> None:
        """What was just decided waits for Redis; until it goes on the catalogue may change."""
        if self.catalog is not None:
            self._behind = self._collected()

    def behind(self) -> tuple[Behind, tuple[AnyRecord, ...]]:
        """What of the catalogue a full receipt has, as it was when this was decided.

        Returns:
            That, and what of it was another when the answer was written.
        """
        if self._behind is None:
            return self._collected(), ()
        return self._behind, self._behind.newer(self.catalog)

    def _collected(self) -> Behind:
        return records_behind(self.catalog, self.asked.union(self.seen), self.arguments)

    def answered(
        self,
        receipt_id: str,
        tokens: Sequence[NoticeToken],
        body: bytes | None,
        use: AllowedUse | None = None,
        found: Found | None = None,
    ) -> None:
        """Notes how the request is answered.

        Args:
            receipt_id: of the receipt: the first bid's nonce, or one of its own.
            tokens: of the bids, in their order.
            body: of the answer, None for a 204.
            use: what privacy allows; None where that was not asked.
            found: whom the decision was for; None where nobody was looked for.
        """
        self.id, self.use, self.found = receipt_id, use, found
        self.tokens, self.body = tuple(tokens), body

    def close(self, *, is_sent: bool, elapsed_ns: int) -> None:
        """The answer is sent, or came too late; never raises.

        Args:
            is_sent: it was in time.
            elapsed_ns: from the request's last byte.
        """
        self._taker.keep(self, is_sent=is_sent, elapsed_ns=elapsed_ns)
