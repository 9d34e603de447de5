"""How late the event loop is: a timer that should come every 50 ms, and when it does."""

import asyncio
import time
from typing import Final

from bidder import metrics
from bidder.metrics import Counters

__all__ = ["LagMeter"]

LAG: Final = metrics.histogram("bidder_loop_lag_seconds")
EVERY_SECONDS: Final = 0.05
TICK_NS: Final = 1_000_000
"""The loop's clock counts whole milliseconds: what is below is no lag."""


class LagMeter:
    """Measures this process's loop for as long as it runs.

    Args:
        counters: where the lag is counted.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins."""
        self._due_ns = time.monotonic_ns() + int(EVERY_SECONDS * 1e9)
        self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self._came)

    def stop(self) -> None:
        """Ends."""
        if self._timer is not None:
            self._timer.cancel()

    def _came(self) -> None:
        self._counters.observe(LAG, max(0, time.monotonic_ns() - self._due_ns - TICK_NS))
        self.start()
