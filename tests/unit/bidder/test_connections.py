"""The wheel: slow and idle clients are cut, the others are not; there are never too many."""

import asyncio
import gc
import resource
import weakref
from collections.abc import Callable

import pytest

from bidder.connections import (
    CUTS,
    LONGEST_TICK_MS,
    SPARE_DESCRIPTORS,
    SPOKES,
    Connections,
    HttpLimits,
    allow_descriptors,
)
from bidder.http1 import MAX_OPEN_CALLS, HttpConnection, response
from bidder.http_answers import refusal
from bidder.metrics import Counters
from tests.unit.bidder.test_http1 import Client, FakeTransport, echo, new_connections, post

LIMITS = HttpLimits(idle_ms=60_000, receive_ms=5_000, connections=3)
REQUEST = post(b"/bid", b"body")


class Wheel:
    """Connections, and the time by hand."""

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.connections = Connections(LIMITS, counters)
        self.now_ms = self.connections.now_ms

    def client(self, *, answers_at_once: bool = True) -> Client:
        return Client(connections=self.connections, answers_at_once=answers_at_once)

    def wait(self, seconds: float) -> None:
        """Lets time pass: a whole turn for each second, and the rest."""
        end_ms = self.now_ms + round(seconds * 1000)
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + 125, end_ms)
            self.connections.tick(self.now_ms)
        for _ in range(SPOKES):
            self.connections.tick(self.now_ms)

    def aborted(self, client: Client) -> bool:
        return client.transport.aborted

    def cuts(self) -> dict[str, int]:
        counts = {why: self.counters.value("bidder_connections_cut", why) for why in CUTS}
        return {why: count for why, count in counts.items() if count}


@pytest.fixture
def wheel(counters: Counters) -> Wheel:
    return Wheel(counters)


def test_h10_an_idle_connection_is_kept_for_its_time_and_then_closed(wheel: Wheel) -> None:
    """H10: kept for longer than the exchange keeps it; the default is above AppLovin's 300 s."""
    client = wheel.client()
    client.send(REQUEST)
    wheel.wait(60)
    client.send(REQUEST)
    wheel.wait(60)
    assert not client.is_over()
    wheel.wait(0.1)
    assert client.transport.closed
    assert wheel.cuts() == {"idle": 1}
    assert HttpLimits().idle_ms > 300_000


def test_a_connection_that_never_asks_is_idle(wheel: Wheel) -> None:
    client = wheel.client()
    wheel.wait(61)
    assert client.transport.closed
    assert client.received == b""


@pytest.mark.parametrize("size", [1, 30, len(REQUEST) - 1])
def test_a_request_that_trickles_is_answered_408_and_cut(wheel: Wheel, size: int) -> None:
    """The time is that of the whole request, however often a byte comes."""
    client = wheel.client()
    client.send(REQUEST + REQUEST[:size])
    for _ in range(4):
        wheel.wait(1)
        client.send(b"")
    wheel.wait(1)
    assert not client.is_over()
    wheel.wait(0.1)
    assert client.received == echo(client.calls[0]) + refusal(408)
    assert client.is_over()
    assert wheel.cuts() == {"slow_request": 1}
    assert client.send(REQUEST[size:]) == client.received, "it came too late"


def test_each_request_has_its_own_time(wheel: Wheel) -> None:
    client = wheel.client()
    for _ in range(10):
        client.send(REQUEST[:30])
        wheel.wait(4)
        client.send(REQUEST[30:] + REQUEST[:20])
        wheel.wait(4)
        client.send(REQUEST[20:])
        wheel.wait(4)
    assert len(client.calls) == 20
    assert wheel.cuts() == {}


def test_a_408_waits_for_the_answers_before_it(wheel: Wheel) -> None:
    client = wheel.client(answers_at_once=False)
    client.send(REQUEST + b"POST")
    wheel.wait(6)
    assert client.received == b""
    wheel.wait(6)
    client.calls[0].respond(response(204))
    assert client.received == response(204) + refusal(408)
    assert wheel.cuts() == {"slow_request": 1}


def test_a_client_that_does_not_read_is_not_read_from_and_is_cut(wheel: Wheel) -> None:
    client = wheel.client()
    client.send(REQUEST)
    client.connection.pause_writing()
    assert client.is_paused()
    client.send(REQUEST * 3)  # were still on their way
    assert len(client.calls) == 1
    wheel.wait(5)
    client.connection.resume_writing()
    assert not client.is_paused()
    assert len(client.calls) == 4
    client.connection.pause_writing()
    wheel.wait(5.1)
    assert client.transport.aborted
    assert wheel.cuts() == {"slow_reader": 1}


def test_while_we_hold_a_client_back_its_time_stands_still(wheel: Wheel) -> None:
    client = wheel.client(answers_at_once=False)
    client.send(REQUEST * MAX_OPEN_CALLS + REQUEST[:20])
    assert client.is_paused()
    wheel.wait(20)
    for call in client.calls[:]:
        call.respond(response(204))
    client.send(REQUEST[20:])
    wheel.wait(4)
    assert len(client.calls) == MAX_OPEN_CALLS + 1
    assert wheel.cuts() == {}


def test_a_request_that_waits_for_our_answer_is_not_idle(wheel: Wheel) -> None:
    client = wheel.client(answers_at_once=False)
    client.send(REQUEST)
    wheel.wait(100)
    assert client.calls[0].respond(response(204))


@pytest.mark.parametrize(
    "end", [lambda c: c.send(b"junk"), lambda c: c.send(post(b"/", b"", b"Connection: close\r\n"))]
)
def test_who_does_not_close_after_the_last_answer_is_closed(
    wheel: Wheel, end: Callable[[Client], object]
) -> None:
    client = wheel.client()
    end(client)
    assert client.is_over()
    wheel.wait(5)
    assert not wheel.aborted(client)
    client.send(b"still sending" * 1_000)
    wheel.wait(0.1)
    assert wheel.aborted(client)
    assert wheel.cuts() == {}


def test_too_many_connections_are_closed_at_once_and_a_place_is_free_again_after_one_ends(
    wheel: Wheel,
) -> None:
    clients = [wheel.client() for _ in range(5)]
    assert [client.transport.aborted for client in clients] == [False] * 3 + [True] * 2
    assert len(wheel.connections) == 3
    for client in clients:
        client.connection.connection_lost(None)
    assert len(wheel.connections) == 0
    assert not wheel.client().transport.aborted
    assert wheel.cuts() == {"too_many": 2}
    assert wheel.counters.slots[-1] == 1, "the gauge's place"


def test_connections_are_spread_over_the_wheel(counters: Counters) -> None:
    connections = Connections(HttpLimits(), counters)
    clients = [Client(connections=connections) for _ in range(40 * SPOKES)]
    assert {len(spoke) for spoke in connections._spokes} == {40}
    for client in clients[::2]:
        client.connection.connection_lost(None)
        Client(connections=connections)
    assert max(len(spoke) for spoke in connections._spokes) <= 80


def test_a_lost_connection_is_let_go_of_without_the_collector() -> None:
    """A cycle of parser and connection would keep each until a collection of garbage."""
    connection = HttpConnection(lambda call: None, new_connections())
    connection.connection_made(FakeTransport())
    connection.data_received(REQUEST + REQUEST[:30])
    connection.data_received(REQUEST[30:])
    gone = weakref.ref(connection)
    gc.disable()
    try:
        connection.connection_lost(None)
        del connection
        assert gone() is None
    finally:
        gc.enable()


def test_files_are_allowed_for_the_connections_as_far_as_the_system_lets_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    for soft, hard, wanted, allowed, raised in (
        (1024, 4096, 2_000, 2_000, 2_000 + SPARE_DESCRIPTORS),
        (1024, 4096, 10_000, 4096 - SPARE_DESCRIPTORS, 4096),
        (1024, resource.RLIM_INFINITY, 10_000, 10_000, 10_000 + SPARE_DESCRIPTORS),
        (65_536, 65_536, 10_000, 10_000, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 10_000, 10_000, None),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, both=(soft, hard): both)
        asked.clear()
        assert allow_descriptors(wanted) == allowed
        assert asked == ([] if raised is None else [(raised, hard)])


def test_what_the_process_stood_still_is_on_no_clients_bill(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        connections = Connections(LIMITS, counters)
        started_ms = connections.now_ms
        client = Client(connections=connections)
        turning = asyncio.create_task(connections.turn())
        await asyncio.sleep(0)
        client.send(REQUEST[:20])
        monkeypatch.setattr("bidder.connections._monotonic_ms", lambda: 10**12)  # years
        for _ in range(3):
            await asyncio.sleep(0.01)
        client.send(REQUEST[20:])
        assert len(client.calls) == 1
        assert connections.now_ms - started_ms == LONGEST_TICK_MS
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)

    monkeypatch.setattr("bidder.connections.TICK_SECONDS", 0.001)
    asyncio.run(scenario())


def test_the_fake_transport_refuses_what_a_real_one_would() -> None:
    transport = FakeTransport()
    transport.close()
    with pytest.raises(AssertionError):
        transport.write(b"late")
