"""A pool of phone numbers that a web tag's backend leases to sessions, one each at a time.

The number that has been free for longest is given away first, so a late caller most often still
reaches the session's own number. When none is free, everybody else sees the shared fallback
number: their calls are not joined, but no call is joined to the wrong session.

A pool lives in one process. Several processes divide the numbers among them. One that starts again
is given the leases that it told of before, from its own store or from the events of the last day:
their numbers are on show still.
"""

import heapq
from collections import deque
from collections.abc import Iterable

import msgspec

from models.call_events import MAX_LEASE_MS
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
        leases: what an earlier pool gave away, in any order and as often as it was renewed; those
            that have ended say which number has been free for longest.

    Raises:
        InvalidFieldError: the numbers or the time cannot be used.
    """

    def __init__(
        self,
        numbers: Iterable[str],
        fallback: str,
        *,
        lease_ms: int,
        leases: Iterable[PoolLease] = (),
    ) -> None:
        pool = list(numbers)
        if not pool or len(set(pool)) < len(pool):
            wanted = "a list of numbers, at least one and each once"
            raise InvalidFieldError("numbers", pool, wanted)
        if fallback in pool:
            raise InvalidFieldError("fallback", fallback, "outside the pool: it is shared")
        if not 0 < lease_ms <= MAX_LEASE_MS:
            raise InvalidFieldError("lease_ms", lease_ms, f"above 0, at most {MAX_LEASE_MS}: a day")
        self._fallback = fallback
        self._lease_ms = lease_ms
        self._leases: dict[str, PoolLease] = {}
        self._taken_until_ms: dict[str, int] = {}
        self._ends: list[tuple[int, str, str]] = []
        # The lease that ends last decides who has a number, and which number somebody has.
        last = {one.number: one for one in sorted(leases, key=_end_order)}
        for lease in sorted(last.values(), key=_end_order):
            if lease.number in pool:
                self._hold(lease)
        self._free = deque(number for number in pool if number not in last)

    @property
    def active_count(self) -> int:
        """Sessions whose leases have not been seen to expire."""
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
            held = _lease_from(self._free.popleft(), session, now_ms)
        expires_ms = max(held.expires_ms, now_ms + self._lease_ms)
        if expires_ms - held.start_ms > MAX_LEASE_MS:
            held = _lease_from(held.number, session, now_ms)
        lease = msgspec.structs.replace(held, expires_ms=expires_ms)
        self._hold(lease)
        return Shown(lease.number, lease)

    def _hold(self, lease: PoolLease) -> None:
        self._leases[lease.session] = lease
        self._taken_until_ms[lease.number] = lease.expires_ms
        heapq.heappush(self._ends, (lease.expires_ms, lease.number, lease.session))

    def _expire(self, now_ms: int) -> None:
        """Frees what has ended, in the order of the ends."""
        while self._ends and self._ends[0][0] <= now_ms:
            ended_ms, number, session = heapq.heappop(self._ends)
            if self._taken_until_ms.get(number) != ended_ms:
                continue  # renewed since
            del self._taken_until_ms[number]
            self._free.append(number)
            held = self._leases.get(session)
            if held is not None and held.number == number:
                del self._leases[session]


def _end_order(lease: PoolLease) -> tuple[int, str]:
    return lease.expires_ms, lease.lease_id


def _lease_from(number: str, session: str, now_ms: int) -> PoolLease:
    # A number is leased once at a time, so number and start name the lease.
    return PoolLease(f"{number}:{now_ms}", number, session, now_ms, now_ms)
