"""How many records a batch may hold: more while a worker is behind and waits longer than it works.

A batch in which persons merge goes to Redis and back a dozen times and then waits for Kafka,
however many records it holds. Small batches would let the lag grow while the processor is idle;
large ones cost more CPU an event (1.08 with 500 records), so they are for such times alone.
"""

from typing import Final

__all__ = ["BatchSize"]

MOST_TIMES: Final = 8
"""Batches grow to so many times their ordinary size."""


class BatchSize:
    """The most records of the next batch.

    Args:
        ordinary: records of a batch of a worker that keeps up, or works all the time.

    Attributes:
        limit: the most records of the next batch.
    """

    def __init__(self, ordinary: int) -> None:
        self._ordinary = ordinary
        self.limit = ordinary

    def learn(self, count: int, *, took_seconds: float, worked_seconds: float) -> None:
        """Hears of a batch.

        Args:
            count: its records; as many as allowed where more are waiting.
            took_seconds: from its fetch to its end.
            worked_seconds: CPU of this thread meanwhile.
        """
        if count < self.limit:
            self.limit = self._ordinary
        elif worked_seconds < took_seconds / 2:
            self.limit = min(2 * self.limit, MOST_TIMES * self._ordinary)
        else:
            self.limit = max(self.limit // 2, self._ordinary)
