"""Garbage collection kept short: only what is young is walked, and every pause is measured.

A full collection walks all objects that are not frozen: with a large catalogue that would stop the
loop for longer than an exchange waits. Records hold no cycles, so freezing them keeps nothing alive
that would have been freed.

Bids make no cycles either (a test sees to it), so while requests are in flight a collection finds
nothing. It is there for what runs beside them, such as the Kafka client: its young garbage goes
with the young, and what had time to grow old waits until the worker has nothing to do.
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

YOUNG: Final = 500
"""Objects that are walked at once, at most: four of five pauses take less than 0.1 ms, and one in a
thousand more than 1 ms, where somebody else takes the core meanwhile. It costs a bid 2.9 us of CPU;
with 2,000 it is 0.5, and of the pauses, each 0.5 ms long, one in four is stretched beyond 1 ms."""
NEVER: Final = 1_000_000
"""So many collections of the young come before one of what is older."""
LEISURE_MS: Final = 60_000
LONGEST_MS: Final = 3_600_000


class Collector:
    """This process's garbage collector.

    Args:
        counters: where pauses are counted.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._started_ns = 0
        self._unsettled = 0
        self._tidied_ms = 0
        self._usual = gc.get_threshold()

    def watch(self) -> None:
        """Measures every collection from now on, and has none walk more than the young."""
        gc.callbacks.append(self._measure)
        gc.set_threshold(YOUNG, NEVER, NEVER)

    def unwatch(self) -> None:
        """Measures no more, and leaves collections to CPython."""
        gc.callbacks.remove(self._measure)
        gc.set_threshold(*self._usual)

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

    def tidy(self, now_ms: int, *, is_idle: bool) -> None:
        """Frees what is old: once a minute if that keeps nobody waiting, once an hour in any case.

        Args:
            now_ms: the present, Unix ms.
            is_idle: no request is in flight.
        """
        if now_ms - self._tidied_ms >= (LEISURE_MS if is_idle else LONGEST_MS):
            self._tidied_ms = now_ms
            gc.collect()

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
            gc.collect(0)
            gc.freeze()
            self._unsettled = 0
