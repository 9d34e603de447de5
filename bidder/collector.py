"""Garbage collection kept short: what lives long is frozen, and every pause is measured.

A full collection walks all objects that are not frozen: with a large catalogue that would stop the
loop for longer than an exchange waits. Records hold no cycles, so freezing them keeps nothing alive
that would have been freed.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bidder import metrics
from bidder.metrics import Counters

__all__ = ["Collector"]

PAUSES: Final = metrics.histogram("bidder_gc_pause_seconds")
FULL: Final = metrics.slot("bidder_gc_full_collections")
OLDEST: Final = 2
SETTLE_AT: Final = 1_000
"""So many new records are frozen at once: walking fewer costs a full collection 0.1 ms."""


class Collector:
    """This process's garbage collector.

    Args:
        counters: where pauses are counted.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._started_ns = 0
        self._unsettled = 0

    def watch(self) -> None:
        """Measures every collection from now on."""
        gc.callbacks.append(self._measure)

    def unwatch(self) -> None:
        """Measures no more."""
        gc.callbacks.remove(self._measure)

    def _measure(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._started_ns = time.monotonic_ns()
            return
        self._counters.observe(PAUSES, time.monotonic_ns() - self._started_ns)
        if info["generation"] == OLDEST:
            self._counters.add(FULL)

    def settle(self) -> None:
        """Frees what can be freed, and freezes the rest. Stops everything while it works."""
        gc.collect()
        gc.freeze()
        self._unsettled = 0

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around changes of what lives long: no collection runs into them."""
        gc.disable()
        try:
            yield
        finally:
            gc.enable()

    def changed(self, records: int) -> None:
        """Learns of new records; freezes them once they are many.

        Without a full collection first: it is what must not run beside requests. What is garbage
        in a cycle at this moment stays for ever, so a few new records are not worth it.
        """
        self._unsettled += records
        if self._unsettled >= SETTLE_AT:
            gc.collect(1)
            gc.freeze()
            self._unsettled = 0
