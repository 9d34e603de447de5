"""What one partition of the outcomes has billed: notices folded into spend, each once.

The state is what is published: whoever takes a partition over reads it, begins after its mark, and
skips of each campaign what that has counted already.
"""

from collections.abc import Iterable
from typing import Final

from models.events import Billing, Outcome
from models.spend_records import (
    CampaignSpend,
    DaySpend,
    FoldMark,
    Pacing,
    SpendMark,
    SpendRecord,
)
from models.units import SECOND_MS

__all__ = ["REPEATS_WITHIN_MS", "SpendBook"]

KEPT_DAYS: Final = 2
REPEATS_WITHIN_MS: Final = 3_600 * SECOND_MS
"""An exchange repeats a notice about every ten seconds for a minute (OpenRTB 2.6 impl. 7.8)."""
MARK_MS: Final = SECOND_MS
"""So often bidders are told, also where nothing is billed, that nothing was."""
KEPT_NONCES: Final = 1_000_000
"""Some 100 MB; an hour of 280 billed impressions a second in one partition."""


class SpendBook:
    """One partition's spend.

    Args:
        partition: of the outcomes topic.
        known: the records of it that were published.
    """

    def __init__(self, partition: int, known: Iterable[SpendRecord] = ()) -> None:
        self._partition = partition
        self._spends: dict[str, CampaignSpend] = {}
        self._changed: set[str] = set()
        self._nonces: dict[str, None] = {}
        self.next_offset = 0
        """Of the first notice that is not counted."""
        for record in known:
            if isinstance(record, Pacing | FoldMark) or record.partition != partition:
                continue
            if isinstance(record, SpendMark):
                self.next_offset = max(self.next_offset, record.offset + 1)
                continue
            # A worker that was given up and woke tells once more what it knew then.
            newer = self._spends.get(record.campaign)
            if newer is None or record.offset > newer.offset:
                self._spends[record.campaign] = record
        self._marked = self.next_offset
        self._marked_ms = 0

    def fold(self, offset: int, outcome: Outcome, day: str) -> None:
        """Counts one outcome, if it is a billed impression that has not been counted yet.

        Args:
            offset: of the record; one below :attr:`next_offset` only tells of its nonce.
            outcome: what a notice told.
            day: the owner's, of the notice.
        """
        is_new = offset >= self.next_offset
        self.next_offset = max(self.next_offset, offset + 1)
        if not isinstance(outcome, Billing) or outcome.nonce in self._nonces:
            return
        self._nonces[outcome.nonce] = None
        if len(self._nonces) > KEPT_NONCES:
            del self._nonces[next(iter(self._nonces))]
        spend = self._spends.get(outcome.campaign)
        if not is_new or (spend is not None and offset <= spend.offset):
            return
        days = {} if spend is None else {one.day: one for one in spend.days}
        before = days.get(day, DaySpend(day, 0, 0))
        days[day] = DaySpend(day, before.spend_micros + outcome.cost_micros, before.impressions + 1)
        self._spends[outcome.campaign] = CampaignSpend(
            campaign=outcome.campaign,
            partition=self._partition,
            offset=offset,
            days=tuple(days[name] for name in sorted(days)[-KEPT_DAYS:]),
        )
        self._changed.add(outcome.campaign)

    def changes(self, counted_ms: int) -> list[SpendRecord]:
        """What is to be published now, the mark last; the same again until :meth:`published`.

        Args:
            counted_ms: all that was told until then is counted, Unix ms.
        """
        if self.next_offset == self._marked and counted_ms < self._marked_ms + MARK_MS:
            return []
        mark = SpendMark(
            partition=self._partition, offset=self.next_offset - 1, counted_ms=counted_ms
        )
        return [*(self._spends[name] for name in sorted(self._changed)), mark]

    def published(self, counted_ms: int) -> None:
        """Learns that the changes are durable."""
        self._changed.clear()
        self._marked, self._marked_ms = self.next_offset, counted_ms
