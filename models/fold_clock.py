"""How far streams has folded what was billed, as a bidder is told: what its caps rest on.

An impression counts under a cap once its billing is folded; until then the reservation of its bid
holds the place. While streams is behind, or does not run, reservations have to outlast it: they
expire by the clock of streams. When that stands still for longer than anybody wants to keep them,
a cap cannot be checked any more, and fails closed.
"""

from typing import Final

from models.spend_records import FoldMark
from models.topics import Topics
from models.units import SECOND_MS

__all__ = ["FoldClock"]

USUAL_MS: Final = 2 * SECOND_MS
"""Marks are told once a second; what is folded in that time, reservations allow for anyway."""


class FoldClock:
    """The clock of streams, as one bidder knows it. Where nobody ever told, it is the present.

    Args:
        patience_ms: for so long reservations outlast a streams that is behind.
    """

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._folded_ms: dict[int, int] = {}
        self.behind_ms = 0
        """So much later than they say, reservations expire; at most the patience."""
        self.is_lost = False
        """It is further behind: caps cannot be checked."""

    def learn(self, mark: FoldMark) -> None:
        """Takes what streams tells; what is older than what is known changes nothing."""
        known_ms = self._folded_ms.get(mark.partition, 0)
        self._folded_ms[mark.partition] = max(mark.folded_ms, known_ms)

    def move_to(self, now_ms: int) -> None:
        """Works out how far behind streams is now, Unix ms."""
        told = self._folded_ms
        behind_ms = 0
        if len(told) == Topics.OUTCOMES.partitions:
            behind_ms = max(0, now_ms - min(told.values()) - USUAL_MS)
        self.is_lost = behind_ms > self._patience_ms
        self.behind_ms = min(behind_ms, self._patience_ms)
