"""What the server gives up when it is late, and what it never does."""

import asyncio
import time
from collections.abc import Callable

import pytest

from bidder import exchange_rows
from bidder import server as server_module
from bidder.backlog import STANDING_NS, Pressure
from bidder.http1 import HttpConnection, response
from bidder.metrics import Counters
from bidder.receipts import Receipts
from bidder.server import Server
from models.watches import Watches
from tests.unit.bidder.receipt_support import CODE, Kept
from tests.unit.bidder.support import BRAND, KEYS, NODE, SEATS, SETTINGS, body, imp
from tests.unit.bidder.test_backlog import KernelSocket, tcp_info
from tests.unit.bidder.test_http1 import FakeTransport, new_connections, post
from tests.unit.bidder.test_server import BID, ME, Case, bid_post

Make = Callable[[], Case]
NO_BID = response(204)


class WaitingClient(FakeTransport):
    """A client of whose bytes the kernel knows how long they have waited."""

    def __init__(self, waited_ms: int = 0, rtt_us: int = 500) -> None:
        super().__init__()
        self._extra = {"socket": KernelSocket(tcp_info(waited_ms, rtt_us, rtt_us))}


@pytest.fixture
def make(counters: Counters) -> Make:
    """Makes a case inside a running loop."""
    return lambda: Case(counters)


async def ask(case: Case, request: bytes, *, waited_ms: int = 0, rtt_us: int = 500) -> bytes:
    """A request over a connection of its own, whose bytes have waited for so long."""
    case.client = WaitingClient(waited_ms, rtt_us)
    case.connection = HttpConnection(case.server.handle, new_connections())
    case.connection.connection_made(case.client)
    return await case.ask(request)


def have_stood(case: Case) -> None:
    """As if nobody had come through at once for a while."""
    backlog, now_ns = case.server._backlog, time.monotonic_ns()
    backlog._look_from_ns = now_ns  # whoever came through before does not hide those that wait
    backlog.observe(80, now_ns - STANDING_NS)
    backlog._looked_ns = now_ns
    backlog.observe(80, now_ns)
    assert backlog.pressure is Pressure.STANDING


def exchange_count(case: Case, place: int) -> int:
    rows = dict(case.counters.exchanges.named())
    return rows["north"][place]


def test_what_waited_longer_than_its_time_is_answered_204_and_nobody_is_looked_up(
    make: Make,
) -> None:
    """T3, H5: in a queue before us as anywhere."""

    async def scenario() -> None:
        case = make()
        assert await ask(case, bid_post(tmax=100), waited_ms=80) == NO_BID
        assert case.count("no_bids", "late") == 1
        assert case.redis.steps == []
        assert exchange_count(case, exchange_rows.LATE) == 1
        answer = await ask(case, bid_post(tmax=1000), waited_ms=80)
        assert f'"cid":"{SEATS}"'.encode() in answer, "this one has time left"

    asyncio.run(scenario())


def test_an_answer_that_comes_out_after_its_time_is_not_sent_even_before_a_sweep(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T3: never a late bid."""
    monkeypatch.setattr(Server, "_sweep", lambda _: None)

    async def scenario() -> None:
        case = make()
        case.redis_transport.is_waiting = True
        assert await case.ask(bid_post(tmax=100)) == b""
        time.sleep(0.15)  # noqa: ASYNC251 - the loop stands still, too
        case.redis_transport.is_waiting = False
        case.redis_transport.deliver()
        assert await case.ask() == NO_BID
        assert case.count("no_bids", "late") == 1
        assert case.path.own._open == {}
        assert exchange_count(case, exchange_rows.OVERDUE) == 1, "it is 50 ms late"

    asyncio.run(scenario())


def test_an_exchange_that_is_far_away_has_less_time_left_and_that_is_told(make: Make) -> None:
    """T1: the budget is what the network, as measured, leaves of the limit."""

    async def scenario() -> None:
        case = make()
        assert await ask(case, bid_post(tmax=90), rtt_us=80_000) == NO_BID
        assert case.redis.steps == []
        network = exchange_rows._NETWORK
        assert exchange_count(case, network) == 80_000

    asyncio.run(scenario())


def test_a_request_without_time_left_has_a_receipt_where_one_is_kept(counters: Counters) -> None:
    async def scenario() -> None:
        case = Case(counters)
        outbox = Kept(SETTINGS, counters, case.path.worker)
        case.path.receipts = Receipts(
            outbox, counters, Watches(), code=CODE, public_url="", as_of={},
            sample_percent=100, full_percent=0,
        )  # fmt: skip
        assert await ask(case, bid_post(tmax=100), waited_ms=80) == NO_BID
        assert (outbox.only.outcome, outbox.only.reason) == ("late", "late")
        assert case.count("no_bids", "late") == 1

    asyncio.run(scenario())


def test_a_queue_that_stands_costs_an_unread_answer_only_those_that_waited_long(
    make: Make,
) -> None:
    """H15, H5: 204 at once, and not even a look at the body."""

    async def scenario() -> None:
        case = make()
        have_stood(case)
        broken = bid_post().replace(b'"id"', b"'id'")
        assert await ask(case, broken, waited_ms=70) == NO_BID
        assert case.count("shed", "queue") == case.count("no_bids", "overload") == 1
        assert case.redis.steps == []
        answer = await ask(case, bid_post(), waited_ms=21)
        assert f'"cid":"{SEATS}"'.encode() in answer

    asyncio.run(scenario())


def test_half_of_its_time_is_half_of_what_the_exchange_gave_the_last_time(make: Make) -> None:
    """H15: a request's own limit is not known before it is read."""

    async def scenario() -> None:
        case = make()
        await ask(case, bid_post(tmax=400))
        have_stood(case)
        answer = await ask(case, bid_post(tmax=400), waited_ms=100)
        assert f'"cid":"{SEATS}"'.encode() in answer
        assert await ask(case, bid_post(tmax=400), waited_ms=199) == NO_BID
        assert case.count("shed", "queue") == 1

    asyncio.run(scenario())


def test_in_a_queue_that_stands_only_known_people_get_bids(make: Make) -> None:
    """H15: contextual work goes first, a known person's bid and its cap later."""

    async def scenario() -> None:
        case = make()
        have_stood(case)
        stranger = bid_post(user={"buyeruid": "nobody-knows"})
        nobody = bid_post(user={})
        for request in (stranger, nobody):
            assert await ask(case, request, waited_ms=30) == NO_BID
        assert case.count("shed", "nobody") == 2
        answer = await ask(case, bid_post(), waited_ms=30)
        assert f'"cid":"{SEATS}"'.encode() in answer
        assert case.redis.called("kinbid_v1_hold") or case.redis.called("kinbid_v1_reserve")
        await ask(case, bid_post(), waited_ms=0)
        answer = await ask(case, nobody, waited_ms=0)
        assert f'"cid":"{BRAND}"'.encode() in answer, "the queue is gone"

    asyncio.run(scenario())


def test_under_pressure_caps_are_still_checked_and_a_used_up_one_is_no_bid(make: Make) -> None:
    """H15: caps are the last to go."""

    async def scenario() -> None:
        case = make()
        have_stood(case)
        case.redis.reserve_replies = [0]
        request = post(BID, body(imp(id="a"), imp(id="b"), user=ME))
        answer = await ask(case, request, waited_ms=30)
        assert f'"cid":"{SEATS}"'.encode() not in answer
        assert case.count("exact_reservations") == case.count("cap_refusals") == 1

    asyncio.run(scenario())


def test_when_things_are_late_cleaning_up_is_left_for_later(make: Make) -> None:
    async def scenario() -> None:
        case = make()
        case.redis.hashes[KEYS.bid_view(NODE)][b"r:dead"] = b"0000000000001\x90"
        await ask(case, bid_post(), waited_ms=10)
        assert case.redis.called("kinbid_v1_sweep") == []
        await ask(case, bid_post(), waited_ms=0)
        assert case.redis.called("kinbid_v1_sweep")

    asyncio.run(scenario())


def test_no_more_requests_are_in_flight_than_can_be_answered_in_time(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H15: the queue inside is bounded too."""
    monkeypatch.setattr(server_module, "MOST_IN_FLIGHT", 3)

    async def scenario() -> None:
        case = make()
        case.redis_transport.is_waiting = True
        received = await case.ask(*(bid_post(id=str(n), tmax=2_000) for n in range(5)))
        assert received == b"", "the two refused ones are answered behind those before them"
        assert case.count("shed", "in_flight") == 2
        case.redis_transport.is_waiting = False
        case.redis_transport.deliver()
        answers = await case.ask()
        assert answers.count(b"200 OK") == 3
        assert answers.endswith(NO_BID * 2)

    asyncio.run(scenario())
