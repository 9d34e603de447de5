"""Which decisions are kept: a sample, what somebody watches, and every fault.

The sample follows from the auction's id alone, so all bidders of an owner that are asked about one
auction keep its receipt, or none does.
"""

import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol
from zlib import crc32

from bidder import metrics
from bidder.metrics import Counters
from bidder.openrtb import BidRequest
from bidder.receipts.draft import Draft
from bidder.receipts.written import full_of, summary_of
from models.catalog_records import Exchange
from models.receipts import Receipt, auction_key, encode_receipt
from models.watches import NOTHING, Watched, Watches

__all__ = ["Receipts", "threshold"]

logger = logging.getLogger(__name__)

ALL: Final = 1 << 32
"""Above every CRC-32."""
MOST_FULL_PER_REFRESH: Final = 25
"""Full receipts between two refreshes (half a second) of a worker: some hundredths of its time."""
MOST_FAULTS_PER_REFRESH: Final = 25
"""Of what fails again and again so many tell enough; all would take the place of other receipts."""
LARGEST_BYTES: Final = 900_000
"""Kafka takes records of a million bytes."""

KEPT = {kind: metrics.slot("bidder_receipts", kind) for kind in metrics.RECEIPT_KINDS}
RATE = metrics.slot("bidder_receipts_dropped", "rate")
SIZE = metrics.slot("bidder_receipts_dropped", "size")
FAILED = metrics.slot("bidder_receipts_dropped", "failed")


class Outbox(Protocol):
    """Where receipts go (:mod:`bidder.receipt_outbox`)."""

    def add(self, receipt_id: str, value: bytes, time_ms: int) -> bool:
        """Takes one; False where there is no room."""


def threshold(percent: float) -> int:
    """Auctions whose CRC-32 is below are the sample."""
    return round(ALL * percent / 100)


class Receipts:
    """Keeps the receipts of one worker.

    Args:
        outbox: takes them to Kafka.
        counters: the worker's.
        watches: what somebody asks for.
        code: version of the program.
        public_url: where notices come to.
        as_of: how far each topic of the catalogue is read; kept current by its feed.
        sample_percent, full_percent: of auctions, of which a receipt is kept, and a full one.
    """

    def __init__(
        self,
        outbox: Outbox,
        counters: Counters,
        watches: Watches,
        *,
        code: str,
        public_url: str,
        as_of: Mapping[str, int],
        sample_percent: float,
        full_percent: float,
    ) -> None:
        self._outbox = outbox
        self._counters = counters
        self._watches = watches
        self._code = code
        self._public_url = public_url
        self._as_of = as_of
        self._full_below = threshold(full_percent)
        self._sample_below = max(threshold(sample_percent), self._full_below)
        self._looked_below = self._sample_below
        self._watched: Watched = NOTHING
        self._full_left = MOST_FULL_PER_REFRESH
        self._faults_left = MOST_FAULTS_PER_REFRESH

    def refresh(self, now_ms: int) -> None:
        """Takes up what is watched, drops what is over; call it twice a second."""
        self._watched = self._watches.watched(now_ms)
        self._looked_below = ALL if self._watched else self._sample_below
        self._full_left = MOST_FULL_PER_REFRESH
        self._faults_left = MOST_FAULTS_PER_REFRESH

    def begin(self, request: BidRequest, exchange: Exchange, now_ms: int) -> Draft | None:
        """The draft of a receipt that may be kept; None for most requests."""
        place = crc32(request.id.encode())
        if place >= self._looked_below:
            return None
        watched = self._watched
        is_full = place < self._full_below or exchange.id in watched.exchanges
        is_sampled = place < self._sample_below
        may_be_full = is_full or bool(watched.campaigns or watched.nodes)
        if not is_sampled and not may_be_full:
            return None  # another exchange is watched
        return Draft(
            self, request, exchange, now_ms,
            is_sampled=is_sampled, is_full=is_full, may_be_full=may_be_full,
            asked=watched.campaigns,
        )  # fmt: skip

    def keep(self, draft: Draft, *, is_sent: bool, elapsed_ns: int) -> None:
        """Writes the receipt of an answered request, if it is one of those that are kept.

        A bid has been answered when it comes to this, so nothing that goes wrong here is raised.
        """
        try:
            self._keep(draft, is_sent=is_sent, elapsed_ns=elapsed_ns)
        except Exception:
            self._counters.add(FAILED)
            logger.exception("receipt_failed")

    def _keep(self, draft: Draft, *, is_sent: bool, elapsed_ns: int) -> None:
        is_wanted = draft.is_full or (bool(self._watched) and self._is_watched(draft))
        # Where nothing was decided a summary says all.
        is_full = is_wanted and draft.catalog is not None
        if is_full and not self._full_left:
            self._counters.add(RATE)
            is_wanted = is_full = False
        if not is_wanted and not draft.is_sampled:
            return
        receipt = summary_of(draft, self._code, self._as_of, is_sent=is_sent, elapsed_ns=elapsed_ns)
        if is_full:
            self._full_left -= 1
            self._add_full(draft, receipt)
        else:
            self._add(receipt, encode_receipt(receipt), "summary")

    def _add_full(self, draft: Draft, receipt: Receipt) -> None:
        value = encode_receipt(full_of(draft, receipt, self._public_url))
        if len(value) > LARGEST_BYTES:
            self._counters.add(SIZE)
            self._add(receipt, encode_receipt(receipt), "summary")
        else:
            self._add(receipt, value, "full")

    def _is_watched(self, draft: Draft) -> bool:
        """Whether somebody watches the person, or a campaign that was tried.

        Of a campaign that is watched the sample tells, too, why it was not tried.
        """
        watched = self._watched
        if watched.campaigns and (draft.is_sampled or not watched.campaigns.isdisjoint(draft.seen)):
            return True
        if not watched.nodes or draft.found is None:
            return False
        person = draft.found.person
        met = draft.met | {person.node, person.root}  # of what was shed, nothing was decided
        return not watched.nodes.isdisjoint(met)

    def keep_fault(
        self, receipt_id: str, request: BidRequest, exchange: Exchange, now_ms: int,
        error: BaseException,
    ) -> None:  # fmt: skip
        """Writes the receipt of a request that failed for a fault of ours.

        It names the kind of error and its place, not its words, in which data may be.
        """
        if not self._faults_left:
            self._counters.add(RATE)
            return
        self._faults_left -= 1
        receipt = Receipt(
            id=receipt_id,
            why="fault",
            time_ms=now_ms,
            exchange=exchange.id,
            auction=auction_key(request.id),
            code=self._code,
            outcome="fault",
            reason=f"{type(error).__name__} {_place_of(error)}",
        )
        self._add(receipt, encode_receipt(receipt), "fault")

    def _add(self, receipt: Receipt, value: bytes, kind: str) -> None:
        if self._outbox.add(receipt.id, value, receipt.time_ms):
            self._counters.add(KEPT[kind])


def _place_of(error: BaseException) -> str:
    """The innermost line that failed, such as ``plans.py:88``."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
