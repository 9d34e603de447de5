"""All connections of one worker: how many there may be, and which are cut for being slow or idle.

There is no timer for a request. One coarse wheel looks at every connection once a turn, and what
reads the time reads the wheel's, which stands still between two ticks.
"""

import asyncio
import resource
import time
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from bidder import metrics
from bidder.metrics import Counters

__all__ = ["CUTS", "Connections", "HttpLimits", "Watched", "allow_descriptors"]

SPOKES: Final = 20
TICK_SECONDS: Final = 0.1  # so each connection is looked at every two seconds
LONGEST_TICK_MS: Final = 1_000
SPARE_DESCRIPTORS: Final = 64  # for Redis, Kafka, logs, the listener and the loop itself

CUTS: Final = metrics.CONNECTION_CUTS
_CUT_SLOTS: Final = {reason: metrics.slot("bidder_connections_cut", reason) for reason in CUTS}
_REFUSED_SLOTS: Final = {
    reason: metrics.slot("bidder_http_refusals", reason) for reason in metrics.HTTP_REFUSALS
}


class HttpLimits(msgspec.Struct, frozen=True, gc=False):
    """How long and how many.

    Attributes:
        idle_ms: a connection without a request is kept so long. Exchanges keep theirs for 90 s
            (Unity), 150 s (Google) or 300 s (AppLovin), and must be the ones that close.
        receive_ms: longest time from a request's first byte to its last, and for a client that
            does not read to take its answers.
        connections: at the same time in one worker.
    """

    idle_ms: int = 360_000
    receive_ms: int = 5_000
    connections: int = 10_000


class Watched(Protocol):
    """A connection, as the wheel sees it."""

    spoke: int

    def check(self, now_ms: int) -> str | None:
        """Cuts the connection if it is too slow or too long idle, and returns which of CUTS."""

    def retire(self) -> None:
        """Ends with the next answer."""

    def close(self) -> None:
        """Ends now, or as soon as what is in flight has its answer."""


class Connections:
    """One worker's connections.

    Attributes:
        now_ms: the wheel's time: monotonic, of the last tick.
    """

    def __init__(self, limits: HttpLimits, counters: Counters) -> None:
        self.limits = limits
        self.now_ms = _monotonic_ms()
        self._counters = counters
        self._spokes: list[set[Watched]] = [set() for _ in range(SPOKES)]
        self._next_spoke = 0
        self._open = 0
        self._admitted = 0

    def __len__(self) -> int:
        return self._open

    def __iter__(self) -> Iterator[Watched]:
        for spoke in self._spokes:
            yield from tuple(spoke)  # a closed one leaves the set

    def admit(self, connection: Watched) -> bool:
        """Takes a new connection; returns False when there are too many, which is counted."""
        if self._open >= self.limits.connections:
            self.cut("too_many")
            return False
        self._admitted += 1
        connection.spoke = self._admitted % SPOKES
        self._spokes[connection.spoke].add(connection)
        self._open += 1
        self._counters.set_connections(self._open)
        return True

    def forget(self, connection: Watched) -> None:
        """A connection is closed; one that was not admitted is not known here."""
        spoke = self._spokes[connection.spoke]
        if connection in spoke:
            spoke.remove(connection)
            self._open -= 1
            self._counters.set_connections(self._open)

    def refused(self, reason: str) -> None:
        """Counts a request that was not read, by one of ``metrics.HTTP_REFUSALS``."""
        self._counters.add(_REFUSED_SLOTS[reason])

    def cut(self, reason: str) -> None:
        """Counts a connection that we ended, by one of CUTS."""
        self._counters.add(_CUT_SLOTS[reason])

    def tick(self, now_ms: int) -> None:
        """Moves the time on, and looks at the connections of one spoke."""
        self.now_ms = now_ms
        spoke, self._next_spoke = self._next_spoke, (self._next_spoke + 1) % SPOKES
        for connection in tuple(self._spokes[spoke]):  # a cut one leaves the set
            reason = connection.check(now_ms)
            if reason is not None:
                self.cut(reason)

    async def turn(self) -> None:
        """Ticks until cancelled; what this process itself stood still is on no client's bill."""
        last_ms = _monotonic_ms()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now_ms = _monotonic_ms()
            self.tick(self.now_ms + min(now_ms - last_ms, LONGEST_TICK_MS))
            last_ms = now_ms


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def allow_descriptors(connections: int) -> int:
    """Raises this process's limit of open files as far as it may, for so many connections.

    Returns:
        How many connections there may be: fewer than asked where the hard limit is lower. Beyond
        the limit of files the loop could not even take connections in to refuse them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return min(connections, allowed - SPARE_DESCRIPTORS)
