"""A pool of phone numbers that a web tag's backend leases to sessions, one each at a time.

The number that has been free for longest is given away first, so a late caller most often still
reaches the session's own number. When none is free, everybody else sees the shared fallback
number: their calls are not joined, but no call is joined to the wrong session.

A pool lives in one process. Several processes divide the numbers among them.
"""

import heapq
from collections import deque
from collections.abc import Iterable

import msgspec

from models.errors import InvalidFieldError

__all__ = ["NumberPool", "PoolLease", "Shown"]


class PoolLease(msgspec.Struct, frozen=True, gc=False):
    """A number that one session sees from ``start_ms`` until before ``expires_ms``, Unix ms."""

    lease_id: str
    number: str
    session: str
    start_ms: int
    expires_ms: int


class Shown(msgspec.Struct, frozen=True):
    """The number to show. Without a lease it is the fallback, and no ``NumberLease`` is told."""

    number: str
    lease: PoolLease | None


class NumberPool:
    """Numbers and who sees them.

    Args:
        numbers: E.164, at least one, each once.
        fallback: shown when all are taken; not one of ``numbers``.
        lease_ms: how long a session keeps its number after its last sign of life.

    Raises:
        InvalidFieldError: the numbers or the time cannot be used.
    """

    def __init__(self, numbers: Iterable[str], fallback: str, *, lease_ms: int) -> None:
        self._free = deque(numbers)
        if not self._free or len(set(self._free)) < len(self._free):
            wanted = "a list of numbers, at least one and each once"
            raise InvalidFieldError("numbers", list(self._free), wanted)
        if fallback in self._free:
            raise InvalidFieldError("fallback", fallback, "outside the pool: it is shared")
        if lease_ms <= 0:
            raise InvalidFieldError("lease_ms", lease_ms, "above 0")
        self._fallback = fallback
        self._lease_ms = lease_ms
        self._leases: dict[str, PoolLease] = {}
        self._ends: list[tuple[int, str]] = []

    @property
    def active_count(self) -> int:
        """Leases that have not been seen to expire."""
        return len(self._leases)

    def show(self, session: str, now_ms: int) -> Shown:
        """The session's number: its own, renewed; else one that is free; else the fallback.

        Args:
            session: any name of the session, such as its cookie.
            now_ms: the present, Unix ms.
        """
        self._expire(now_ms)
        held = self._leases.get(session)
        if held is None:
            if not self._free:
                return Shown(self._fallback, None)
            number = self._free.popleft()
            # A number is leased once at a time, so number and start name the lease.
            held = PoolLease(f"{number}:{now_ms}", number, session, now_ms, 0)
        expires_ms = max(held.expires_ms, now_ms + self._lease_ms)
        lease = msgspec.structs.replace(held, expires_ms=expires_ms)
        self._leases[session] = lease
        heapq.heappush(self._ends, (expires_ms, session))
        return Shown(lease.number, lease)

    def _expire(self, now_ms: int) -> None:
        """Frees what has ended, in the order of the ends."""
        while self._ends and self._ends[0][0] <= now_ms:
            ended_ms, session = heapq.heappop(self._ends)
            lease = self._leases.get(session)
            if lease is not None and lease.expires_ms == ended_ms:
                del self._leases[session]
                self._free.append(lease.number)
