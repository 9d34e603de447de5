"""How the queue in front of a worker is judged."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.backlog import (
    STANDING_MS,
    STANDING_NS,
    Backlog,
    BorrowedSocket,
    Pressure,
    borrowed,
    look_at,
)

MS = 1_000_000


def tcp_info(waited_ms: int = 0, rtt_us: int = 40, min_rtt_us: int = 30, size: int = 152) -> bytes:
    info = bytearray(max(size, 152))
    struct.pack_into("=I", info, 52, waited_ms)
    struct.pack_into("=I", info, 68, rtt_us)
    struct.pack_into("=I", info, 148, min_rtt_us)
    return bytes(info[:size])


class KernelSocket:
    """A socket of which the kernel says this."""

    def __init__(self, info: bytes) -> None:
        self.info = info

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        return self.info[:size]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        served, _ = listener.accept()
        with served:
            yield client, served


def test_the_kernel_tells_how_long_bytes_have_waited(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, served = pair
    client.sendall(b"x")
    time.sleep(0.1)
    look = look_at(served)
    assert look is not None
    assert look.waited_ms >= 90
    client.sendall(b"y")
    served.recv(1)
    again = look_at(served)
    assert again is not None
    assert again.waited_ms < look.waited_ms
    assert 0 < again.rtt_us < 5_000_000


def test_a_borrowed_socket_tells_the_same_and_closes_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    client, served = pair
    lent = borrowed(served)
    assert isinstance(lent, BorrowedSocket)
    client.sendall(b"x")
    time.sleep(0.05)
    look = look_at(lent)
    assert look is not None
    assert look.waited_ms >= 40
    del lent
    assert served.recv(1) == b"x", "it is open"
    assert borrowed(None) is None
    known = KernelSocket(tcp_info())
    assert borrowed(known) is known


def test_a_kernel_that_knows_no_shortest_round_trip_tells_the_smoothed_one() -> None:
    for info in (tcp_info(3, 70, 0), tcp_info(3, 70, 0xFFFF_FFFF), tcp_info(3, 70, size=104)):
        look = look_at(KernelSocket(info))
        assert look is not None
        assert (look.waited_ms, look.rtt_us) == (3, 70)


def test_what_is_no_tcp_connection_is_not_judged() -> None:
    one, two = socket.socketpair()
    with one, two:
        assert look_at(one) is None
    assert look_at(one) is None, "it is closed"
    assert look_at(None) is None
    assert look_at(KernelSocket(b"short")) is None


def test_while_nothing_waits_a_look_is_enough_for_five_milliseconds() -> None:
    backlog = Backlog()
    assert not backlog.is_calm(0)
    backlog.observe(0, 0)
    assert backlog.is_calm(5 * MS - 1)
    assert not backlog.is_calm(5 * MS)
    backlog.observe(7, 5 * MS)
    assert not backlog.is_calm(5 * MS), "everybody is looked at now"
    assert backlog.pressure is Pressure.WAITING


def test_a_short_stop_is_no_overload_however_long_requests_have_waited() -> None:
    backlog = Backlog()
    for place in range(50):
        backlog.observe(90, place * 1000)
    assert not backlog.gives_up(90, 100)
    backlog.observe(0, 60_000)
    assert backlog.pressure is Pressure.NONE


def test_a_queue_that_stands_costs_those_an_answer_who_have_waited_for_half_of_their_time() -> None:
    """H15: shed early rather than queue past the deadline."""
    backlog = Backlog()
    for place in range(25):
        backlog.observe(STANDING_MS + 20, place * 10 * MS)
    assert backlog.pressure is Pressure.STANDING
    assert backlog.gives_up(50, 100)
    assert not backlog.gives_up(49, 100)
    assert backlog.is_for_known_only(25, 100)
    assert not backlog.is_for_known_only(24, 100)
    backlog.observe(STANDING_MS - 1, 251 * MS)
    assert not backlog.gives_up(50, 100), "somebody came through at once: there is no queue"


def test_two_stops_with_calm_between_are_no_queue() -> None:
    backlog = Backlog()
    backlog.observe(60, 0)
    backlog.observe(60, 2 * STANDING_NS)
    backlog.observe(60, 2 * STANDING_NS + MS)
    assert backlog.pressure is Pressure.WAITING


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 100 * MS))))
def test_nothing_is_given_up_unless_everybody_has_waited_for_a_while(
    looks: list[tuple[int, int]],
) -> None:
    """H15: against a list of all looks."""
    backlog, now_ns, seen = Backlog(), 0, list[tuple[int, int]]()
    for waited_ms, pause_ns in looks:
        now_ns += pause_ns
        backlog.observe(waited_ms, now_ns)
        seen.append((now_ns, waited_ms))
        if backlog.gives_up(10**6, 1):
            lately = [ms for ns, ms in seen if now_ns - ns <= STANDING_NS]
            assert min(lately) >= STANDING_MS
            assert now_ns - seen[0][0] >= STANDING_NS
