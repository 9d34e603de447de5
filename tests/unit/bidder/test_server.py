"""Routes, deadlines, and the whole hot path on a loop that refuses to make tasks."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import hiredis
import pytest

from bidder.connections import Connections, HttpLimits
from bidder.http1 import HttpConnection, response
from bidder.http_answers import method_refused
from bidder.metrics import Counters
from bidder.notices.replies import NO_CONTENT, PIXEL
from bidder.path import BidPath
from bidder.receipt_outbox import Outbox
from bidder.receipts import Receipts
from bidder.server import MOST_SLOTS
from models.catalog import Catalog
from models.notices import NOTICE_KINDS, NoticeKind, NoticeSigner
from models.receipts import Receipt, decode_receipt
from models.reservations import decode_reservations
from models.watches import Watches
from runtime.redis_link import RedisLink
from tests.fakes.outcomes import decode_notice
from tests.unit.bidder.notices.support import FakeProducer, query, server, token
from tests.unit.bidder.support import (
    BRAND,
    COOKIE,
    KEYS,
    NODE,
    SEATS,
    SETTINGS,
    MemoryRedis,
    body,
    catalog,
    imp,
    person,
)
from tests.unit.bidder.test_http1 import FakeTransport, post

BID = b"/openrtb2/north/bid"
ME = {"buyeruid": COOKIE}


def encoded(reply: object) -> bytes:
    """A reply on the wire (RESP2)."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case list():
            return b"*%d\r\n%b" % (len(reply), b"".join(map(encoded, reply)))
        case _:
            raise TypeError(reply)


class RedisTransport(FakeTransport):
    """The other end of a RedisLink: answers from memory one tick later, unless told to wait."""

    def __init__(self, redis: MemoryRedis) -> None:
        super().__init__()
        self.redis = redis
        self.link: RedisLink | None = None
        self.is_waiting = False
        self._held: list[bytes] = []
        self._reader = hiredis.Reader()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        self._reader.feed(bytes(data))
        while command := self._reader.gets():
            self._held.append(encoded(self._reply(command)))
        if not self.is_waiting:
            asyncio.get_running_loop().call_soon(self.deliver)

    def _reply(self, wire: list[bytes]) -> object:
        name, *rest = wire
        command = (name.decode(), *(_argument(n, one) for n, one in enumerate(rest)))
        self.redis.steps.append([command])
        if command[1] == "kinbid_v1_sweep":
            return 0
        return self.redis.reply(command)

    def deliver(self) -> None:
        """Sends the replies that are ready."""
        assert self.link is not None
        held, self._held = b"".join(self._held), []
        if held:
            self.link.data_received(held)


def _argument(place: int, value: bytes) -> str | bytes:
    """Keys and function names as text, field names and values as bytes, as the bidder has them."""
    is_key = place == 0 or value.startswith(b"demo:")
    return value.decode() if is_key else value


class Case:
    """A server between a client and a Redis, both in memory."""

    def __init__(self, counters: Counters, what: Catalog | None = None) -> None:
        self.counters = counters
        self.redis = MemoryRedis()
        self.redis.put(person())
        self.link = RedisLink("redis://127.0.0.1:1/0")
        self.link._loop = asyncio.get_running_loop()
        self.redis_transport = RedisTransport(self.redis)
        self.redis_transport.link = self.link
        self.link.connection_made(self.redis_transport)
        self.link.is_up = True
        self.producer = FakeProducer()
        self.path = BidPath(SETTINGS, what or catalog(), counters)
        self.server = server(self.path, self.link, counters, self.producer)
        self.client = FakeTransport()
        self.connection = HttpConnection(self.server.handle, Connections(HttpLimits(), counters))
        self.connection.connection_made(self.client)

    async def ask(self, *requests: bytes) -> bytes:
        """Sends requests and lets the loop turn until all is said."""
        for request in requests:
            self.connection.data_received(request)
        for _ in range(20):
            await asyncio.sleep(0)
        received = b"".join(self.client.written)
        self.client.written.clear()
        return received

    def lose_redis(self) -> None:
        self.link._transport, self.link.is_up = None, False

    def count(self, name: str, value: str = "") -> int:
        return self.counters.value(f"bidder_{name}", value)


def bid_post(path: bytes = BID, **fields: object) -> bytes:
    return post(path, body(**({"user": ME} | fields)))


def refuse_tasks(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a task was made on the bid path")


async def without_tasks(steps: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(refuse_tasks)
    try:
        await steps
    finally:
        loop.set_task_factory(None)


Make = Callable[[], Case]


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a case inside a running loop."""
    return lambda: Case(counters)


def test_from_the_requests_bytes_to_the_answers_no_task_is_made(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        known = await case.ask(bid_post())
        assert b'"cid":"air-seats"' in known
        again = await case.ask(*(bid_post(id=str(n)) for n in range(4)))
        assert again.count(b"HTTP/1.1 200 OK") == 4
        assert await case.ask(bid_post(cur=["EUR"])) == response(204)
        assert await case.ask(post(BID, b"{")) == response(400)
        case.lose_redis()
        assert b'"cid":"air-brand"' in await case.ask(bid_post())
        assert case.redis.called("kinbid_v1_reserve"), "the exact reservation was among them"

    asyncio.run(without_tasks(scenario()))


def test_h1_h2_h3_h4_every_route_has_its_status(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        get = b"GET %b HTTP/1.1\r\n\r\n"
        assert await case.ask(get % BID) == response(405)
        assert await case.ask(b"PUT %b HTTP/1.1\r\nContent-Length: 0\r\n\r\n" % BID) == response(
            405
        )
        assert await case.ask(bid_post(b"/openrtb2/nowhere/bid")) == response(404)
        assert await case.ask(bid_post(b"/openrtb2/north/bid/x")) == response(404)
        assert await case.ask(bid_post(b"/")) == response(404)
        assert await case.ask(get % b"/notice/lost?t=x") == response(404)
        assert await case.ask(b"DELETE /notice/win HTTP/1.1\r\n\r\n") == method_refused(
            b"GET, POST"
        )
        assert await case.ask(post(b"/sync/north", b"")) == method_refused(b"GET")
        assert case.count("unknown_paths") == 8
        assert await case.ask(get % b"/sync/nowhere") == response(404)
        assert await case.ask(post(BID, b"")) == response(400)
        assert await case.ask(post(BID, b'{"id":"1","imp":[]}')) == response(400)
        assert (case.count("bid_requests"), case.count("malformed_requests")) == (2, 2)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "target",
    [
        b"/openrtb2/north/bid?dc=east", b"/openrtb2/north/bid?", b"/openrtb2/north/bid?of=/bid",
        b"http://bidder.example/openrtb2/north/bid", b"HTTP://b:80/openrtb2/north/bid?dc=east",
        b"https://bidder.example/openrtb2/north/bid",
    ],
)  # fmt: skip
def test_h4_a_query_or_a_whole_address_leads_to_the_same_exchange(
    make: Make, target: bytes
) -> None:
    """H4: an exchange may add a query, and a server must take a whole address (RFC 9112, 3.2.2)."""

    async def scenario() -> None:
        case = make()
        assert (await case.ask(bid_post(target))).startswith(b"HTTP/1.1 200 ")
        assert await case.ask(bid_post(b"http://bidder.example")) == response(404)
        assert await case.ask(bid_post(b"/x?of=/openrtb2/north/bid")) == response(404)

    asyncio.run(scenario())


def test_h7_h12_content_type_and_version_are_not_asked_for(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        for extra in (b"", b"x-openrtb-version: 9.9\r\n", b"Content-Type: text/plain\r\n"):
            answer = await case.ask(post(BID, body(user=ME), extra))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")

    asyncio.run(scenario())


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize("kind", NOTICE_KINDS)
def test_notices_are_taken_by_either_method_and_never_break(
    make: Make, method: bytes, kind: NoticeKind
) -> None:
    """N6, N11: an unexpanded macro, no token, a token of somebody else: 2xx all the same."""
    wanted = {"impression": PIXEL, "click": response(400)}.get(kind, NO_CONTENT)

    async def scenario() -> None:
        case = make()
        for text in (query("1.0"), query("${AUCTION_PRICE}"), "", "t=%ff&p=%00", "=&&=?"):
            head = b"%b /notice/%b?%b HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
            received = await case.ask(head % (method, kind.encode(), text.encode()))
            assert received == wanted

    asyncio.run(scenario())


def test_a_notices_viewer_is_read_from_its_head_and_a_bid_requests_head_is_not(
    make: Make,
) -> None:
    """N15: the peer's address is that of a server."""
    signer = NoticeSigner(SETTINGS.notice_secret)

    async def scenario() -> None:
        case = make()
        head = (
            b"GET /notice/billing?%b HTTP/1.1\r\nX-Device-IP: 203.0.113.7\r\n"
            b"x-device-user-agent: tv/1\r\nUser-Agent: server/1\r\nX-Other: y\r\n\r\n"
        )
        signed = token(bid_time_ms=10**12, window_seconds=10**9)
        await case.ask(head % query("1.0", signed).encode())
        outcome = decode_notice(case.producer.sent[0][1])
        assert outcome.viewer == signer.viewer("203.0.113.7", "tv/1")

    asyncio.run(scenario())


def test_a_cookie_sync_reads_the_browsers_cookie(make: Make) -> None:
    """R13: over HTTP, and nothing of it where the browser says no."""

    async def scenario() -> None:
        case = make()
        head = b"GET /sync/north?uid=abc HTTP/1.1\r\nCookie: kinbid=a-browser-of-ours\r\n%b\r\n"
        answer = await case.ask(head % b"")
        assert b"Set-Cookie: kinbid=a-browser-of-ours;" in answer
        assert [topic for topic, *_ in case.producer.sent] == ["demo.matches.v1"]
        assert await case.ask(head % b"Sec-GPC: 1\r\n") == PIXEL
        assert case.count("syncs", "matched") == case.count("syncs", "refused") == 1

    asyncio.run(scenario())


def test_a_notice_that_fails_for_an_unknown_reason_is_503(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        case = make()

        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(case.producer, "send_and_wait", broken)
        signed = NoticeSigner(SETTINGS.notice_secret).sign(token(bid_time_ms=10**15))
        target = f"/notice/win?t={signed}&p=1".encode()
        assert await case.ask(b"GET %b HTTP/1.1\r\n\r\n" % target) == response(503)

    asyncio.run(scenario())


def test_without_redis_every_request_is_answered_at_once_for_its_context(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        case.lose_redis()
        case.connection.data_received(bid_post())
        await asyncio.sleep(0.01)  # what came in a tick is decided, and leaves, when it ends
        assert f'"cid":"{BRAND}"'.encode() in b"".join(case.client.written)
        assert case.count("dependency_failures", "redis") == 1

    asyncio.run(scenario())


def test_a_bids_reservation_is_written_for_the_other_workers_after_the_answer(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        answer = await case.ask(bid_post())
        assert f'"cid":"{SEATS}"'.encode() in answer
        written = case.redis.hashes[KEYS.bid_view(NODE)][case.path.own.field]
        assert decode_reservations(written, 0)

    asyncio.run(scenario())


def test_a_request_with_thousands_of_slots_costs_no_more_than_one_with_many(make: Make) -> None:
    """H14, H15: what a body has room for must not keep everybody else waiting."""

    async def scenario() -> None:
        case = make()
        slots = [imp(id=str(number)) for number in range(5_000)]
        answer = await case.ask(post(BID, body(*slots, tmax=5_000)))
        assert answer.count(b'"impid"') == MOST_SLOTS
        assert case.count("slots_passed_over") == 5_000 - MOST_SLOTS
        assert (await case.ask(post(BID, body(*slots[:MOST_SLOTS], tmax=5_000)))).count(
            b'"impid"'
        ) == MOST_SLOTS
        assert case.count("slots_passed_over") == 5_000 - MOST_SLOTS

    asyncio.run(scenario())


def test_a_request_with_two_slots_leaves_both_reservations_in_redis(make: Make) -> None:
    """One far from the cap, written after the answer; one near it, written before."""

    async def scenario() -> None:
        case = make()
        request = post(BID, body(imp(id="a"), imp(id="b"), user=ME))
        answer = await case.ask(request)
        assert answer.count(f'"cid":"{SEATS}"'.encode()) == 2
        assert len(case.redis.called("kinbid_v1_reserve")) == 1
        written = case.redis.hashes[KEYS.bid_view(NODE)][case.path.own.field]
        assert len(decode_reservations(written, 0)) == 2

    asyncio.run(scenario())


def test_t3_h5_a_request_whose_time_is_over_is_answered_204_and_its_late_bid_is_not_sent(
    make: Make,
) -> None:
    async def scenario() -> None:
        case = make()
        case.redis_transport.is_waiting = True
        assert await case.ask(bid_post(tmax=120)) == b""
        while not case.client.written:  # noqa: ASYNC110 - the server is not told of tests
            await asyncio.sleep(0.005)
        assert case.client.written == [response(204)]
        assert case.count("no_bids", "late") == 1
        case.redis_transport.is_waiting = False
        case.redis_transport.deliver()
        assert await case.ask() == response(204)
        assert case.path.own._open == {}
        assert case.redis.called("kinbid_v1_hold") == []

    asyncio.run(scenario())


def test_a_client_that_is_gone_leaves_no_reservation_behind(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        case.connection.data_received(bid_post())
        case.connection.connection_lost(None)
        await case.ask()
        assert case.client.written == []
        assert case.path.own._open == {}
        assert case.redis.called("kinbid_v1_hold") == []

    asyncio.run(scenario())


def test_an_unexpected_error_is_a_204_and_is_counted(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        case = make()
        case.redis.put(person(), h=b"\xc1broken")
        assert await case.ask(bid_post()) == response(204)
        assert case.count("no_bids", "internal_error") == 1

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["bid_failed"]


def test_draining_waits_for_what_is_in_flight(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        case.redis_transport.is_waiting = True
        await case.ask(bid_post(tmax=5_000))
        draining = asyncio.create_task(case.server.drain())
        await asyncio.sleep(0.02)
        assert not draining.done()
        case.redis_transport.is_waiting = False
        case.redis_transport.deliver()
        await draining
        assert b"200 OK" in await case.ask()

    asyncio.run(scenario())


def test_a_sweep_clears_expired_reservations_of_dead_workers(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        case.redis.hashes[KEYS.bid_view(NODE)][b"r:dead"] = b"0000000000001\x90"
        await case.ask(bid_post())
        assert case.redis.called("kinbid_v1_sweep")

    asyncio.run(scenario())


# -- receipts ------------------------------------------------------------------------------------


class KeptReceipts(Outbox):
    """Ships nothing."""

    @property
    def kept(self) -> list[Receipt]:
        return [decode_receipt(one.value) for one in self._waiting]


def keep_receipts(case: Case) -> KeptReceipts:
    outbox = KeptReceipts(SETTINGS, case.counters, case.path.worker)
    case.path.receipts = Receipts(
        outbox, case.counters, Watches(), code="test", public_url=SETTINGS.public_url,
        as_of={}, sample_percent=100, full_percent=100,
    )  # fmt: skip
    return outbox


def test_a_bid_is_in_its_receipt_with_the_time_that_it_took(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        outbox = keep_receipts(case)
        answer = await case.ask(bid_post())
        (receipt,) = outbox.kept
        assert receipt.outcome == "bid"
        assert receipt.elapsed_us > 0
        assert receipt.body is not None
        assert receipt.body.encode() in answer

    asyncio.run(without_tasks(scenario()))


def test_a_bid_that_came_too_late_is_told_as_late(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        outbox = keep_receipts(case)
        case.redis_transport.is_waiting = True
        late = await case.ask(bid_post(tmax=30))
        await asyncio.sleep(0.05)
        late += await case.ask()
        case.redis_transport.is_waiting = False
        case.redis_transport.deliver()
        await case.ask()
        assert late == response(204)
        (receipt,) = outbox.kept
        assert receipt.outcome == "late"

    asyncio.run(scenario())


def test_a_fault_of_ours_leaves_a_receipt_whatever_the_sample_is(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        case = make()
        outbox = keep_receipts(case)

        def broken(*_: object, **__: object) -> NoReturn:
            raise ZeroDivisionError(COOKIE)

        monkeypatch.setattr(case.path, "_draft", broken)
        assert await case.ask(bid_post()) == response(204)
        (receipt,) = outbox.kept
        assert (receipt.outcome, receipt.auction) == ("fault", "auction-1")
        assert receipt.reason is not None
        assert receipt.reason.startswith("ZeroDivisionError test_server.py:")
        assert COOKIE not in receipt.reason

    asyncio.run(scenario())
    assert "bid_failed" in caplog.text
    caplog.clear()
