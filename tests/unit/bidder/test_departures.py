"""Answers that leave together."""

import asyncio
from typing import NoReturn

import pytest

from bidder.departures import LONGEST_NS, Departures
from bidder.http1 import HttpCall, HttpConnection, response
from tests.unit.bidder.test_http1 import FakeTransport, new_connections, post

NO_BID = response(204)


class Client:
    """A connection whose requests wait for their answers."""

    def __init__(self) -> None:
        self.calls: list[HttpCall] = []
        self.transport = FakeTransport()
        self.connection = HttpConnection(self.calls.append, new_connections())
        self.connection.connection_made(self.transport)

    def asks(self) -> HttpCall:
        self.connection.data_received(post(b"/", b"{}"))
        return self.calls[-1]


def test_the_answers_of_a_tick_are_written_when_it_ends() -> None:
    async def scenario() -> None:
        departures, clients = Departures(), [Client() for _ in range(3)]
        for client in clients:
            call = client.asks()
            assert call.settle(NO_BID)
            assert not call.settle(NO_BID), "it has its answer"
            assert not call.respond(NO_BID)
            departures.add(call, 1)
        assert [client.transport.written for client in clients] == [[], [], []]
        await asyncio.sleep(0)
        assert [client.transport.written for client in clients] == [[NO_BID]] * 3

    asyncio.run(scenario())


def test_no_answer_waits_for_the_end_of_a_long_tick() -> None:
    async def scenario() -> None:
        departures, first, second, third = Departures(), Client(), Client(), Client()
        for client, now_ns in ((first, 1), (second, 2 + LONGEST_NS), (third, 3 + LONGEST_NS)):
            call = client.asks()
            call.settle(NO_BID)
            departures.add(call, now_ns)
        assert first.transport.written == second.transport.written == [NO_BID]
        assert third.transport.written == []
        await asyncio.sleep(0)
        assert third.transport.written == [NO_BID]

    asyncio.run(scenario())


def test_whoever_has_gone_meanwhile_or_closed_his_half_is_seen_to() -> None:
    async def scenario() -> None:
        departures, gone, listening = Departures(), Client(), Client()
        for client in (gone, listening):
            call = client.asks()
            call.settle(NO_BID)
            departures.add(call, 1)
        gone.connection.connection_lost(None)
        assert listening.connection.eof_received(), "there is an answer to come"
        await asyncio.sleep(0)
        assert gone.transport.written == []
        assert listening.transport.written == [NO_BID]
        assert listening.transport.closed
        assert not gone.calls[0].settle(NO_BID)
        late = Client()
        call = late.asks()
        late.connection.connection_lost(None)
        assert not call.settle(NO_BID), "nobody is there"

    asyncio.run(scenario())


def test_a_connection_that_cannot_be_written_to_costs_no_other_its_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> NoReturn:
        raise RuntimeError("the handle is closed")

    async def scenario() -> None:
        departures, one, other = Departures(), Client(), Client()
        monkeypatch.setattr(one.transport, "write", broken)  # as uvloop may
        for client in (one, other):
            call = client.asks()
            call.settle(NO_BID)
            departures.add(call, 1)
        await asyncio.sleep(0)
        assert other.transport.written == [NO_BID]

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["answer_failed"]
