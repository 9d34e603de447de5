"""How long requests have waited before they were read, and what is given up when that is long.

The kernel knows when the last byte of a connection came (``tcpi_last_data_recv``), and its round
trip (``tcpi_min_rtt``): one call of 0.6 us tells both. While nothing waits, a connection is looked
at once in five milliseconds; while something does, every one is, so each request is judged by its
own age.

A short stop of the process is no overload: what waited meanwhile is answered if its time allows.
Only when everybody has waited for a while is there a queue that stands, and answers would be late
for ever. Then requests are given up: who has waited for a quarter of its time gets no bid unless we
know the person, and who has waited for half is answered without being read.
"""

import enum
import socket
import struct
from typing import Any, Final, Protocol, cast

import msgspec

__all__ = ["Backlog", "BorrowedSocket", "Look", "Pressure", "TcpSocket", "borrowed", "look_at"]

CALM_NS: Final = 5_000_000
STANDING_MS: Final = 20
STANDING_NS: Final = 200_000_000
"""A queue stands when nobody has waited less than the former for the latter."""

MOST_IN_FLIGHT: Final = 2_000
"""At 37 us each the work of 74 ms: as much as all of an ordinary request's time."""

_INFO_BYTES: Final = 152
_LAST_DATA_RECV: Final = 52
_RTT: Final = 68
_MIN_RTT: Final = 148
_UNKNOWN: Final = 0xFFFF_FFFF
_unsigned: Final = struct.Struct("=I").unpack_from
_both: Final = struct.Struct(f"={_LAST_DATA_RECV}xI{_MIN_RTT - _LAST_DATA_RECV - 4}xI").unpack


class TcpSocket(Protocol):
    """What is needed of a connection's socket."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """As of :meth:`socket.socket.getsockopt`."""


class BorrowedSocket(socket.socket):
    """A connection's socket, to ask the kernel of: whoever lent it closes it, nobody else.

    uvloop's stand-in for a socket makes a real one for each call: 1.2 us for a look, and 0.4 here.
    """

    def __del__(self) -> None:
        """Leaves the descriptor as it is; a socket would close it."""
        self.detach()


def borrowed(lent: Any) -> TcpSocket | None:  # noqa: ANN401 - each loop has a type of its own
    """A transport's socket, for as long as the transport is open; None where it has none."""
    if not hasattr(lent, "fileno"):
        return cast("TcpSocket | None", lent)
    return BorrowedSocket(lent.family, lent.type, lent.proto, lent.fileno())


class Look(msgspec.Struct, frozen=True, gc=False):
    """What the kernel knows about a connection.

    Attributes:
        waited_ms: since its last byte came.
        rtt_us: the shortest round trip of late. The smoothed one may hold the client's delayed
            acknowledgements too, up to 40 ms on Linux, which keep nobody waiting.
    """

    waited_ms: int
    rtt_us: int


def look_at(connection: TcpSocket | None) -> Look | None:
    """Asks the kernel about a connection; None where it has gone, or is no TCP connection.

    Source: struct tcp_info of Linux' include/uapi/linux/tcp.h, whose fields never move.
    """
    if connection is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return None
    if len(info) == _INFO_BYTES:
        waited_ms, rtt_us = _both(info)
        if rtt_us not in {0, _UNKNOWN}:
            return Look(waited_ms, rtt_us)
    if len(info) < _RTT + 4:
        return None
    # A kernel before 4.9 does not tell the shortest.
    return Look(_unsigned(info, _LAST_DATA_RECV)[0], _unsigned(info, _RTT)[0])


class Pressure(enum.IntEnum):
    """How things are."""

    NONE = 0
    WAITING = 1
    """A request has waited: what no answer depends on can be done later."""
    STANDING = 2
    """All have waited for a while, and the next ones will."""


class Backlog:
    """Judges the queue in front of this process."""

    def __init__(self) -> None:
        self.pressure = Pressure.NONE
        self._look_from_ns = 0
        self._looked_ns = 0
        self._standing_since_ns: int | None = None

    def is_calm(self, now_ns: int) -> bool:
        """Whether no connection need be looked at now."""
        return now_ns < self._look_from_ns

    def observe(self, waited_ms: int, now_ns: int) -> None:
        """Learns how long a request has waited."""
        # Between two that are far apart there may have been no queue at all.
        is_first = self._standing_since_ns is None or now_ns - self._looked_ns > STANDING_NS
        self._looked_ns = now_ns
        if waited_ms < STANDING_MS:
            is_short = waited_ms * 1_000_000 < CALM_NS
            self._look_from_ns = now_ns + CALM_NS if is_short else now_ns
            self._standing_since_ns = None
            self.pressure = Pressure.NONE if is_short else Pressure.WAITING
        elif self._standing_since_ns is None or is_first:
            self._standing_since_ns = now_ns
            self.pressure = Pressure.WAITING
        elif now_ns - self._standing_since_ns >= STANDING_NS:
            self.pressure = Pressure.STANDING

    def gives_up(self, waited_ms: int, budget_ms: int) -> bool:
        """Whether a request is to be answered unread.

        Args:
            waited_ms: how long it has waited.
            budget_ms: its time, as far as that is known before it is read.
        """
        return self.pressure is Pressure.STANDING and 2 * waited_ms >= budget_ms

    def is_for_known_only(self, waited_ms: int, budget_ms: int) -> bool:
        """Whether there is too little time left for a person whom we do not know."""
        return self.pressure is Pressure.STANDING and 4 * waited_ms >= budget_ms
