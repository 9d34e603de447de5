"""The live part against stand-ins: a bidder in the same loop, and a Kafka that is a list."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from benchmarks.world import Progress, Referee, Report, World, canary
from benchmarks.world.auctioneer import Auctioneer
from benchmarks.world.driver import Live
from benchmarks.world.feed import Clock, Feed
from benchmarks.world.http_client import HttpClient
from benchmarks.world.report import Tally, percentiles_ms
from models.events import Event, FlightSearch, ProductView, decode_event, encode
from models.identifiers import Namespace, NodeId, Pepper
from tests.unit.world.stub_bidder import Handler, StubBidder


@pytest.fixture(autouse=True)
def hasty_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "DEADLINE_MS", 300.0)


class ListKafka:
    """Keeps what is sent, by topic."""

    def __init__(self, *, fails: bool = False) -> None:
        self.records: defaultdict[str, list[tuple[bytes, bytes]]] = defaultdict(list)
        self._fails = fails

    async def send(self, topic: str, key: bytes, value: bytes) -> asyncio.Future[None]:
        self.records[topic].append((key, value))
        delivery: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._fails:
            delivery.set_exception(KafkaTimeoutError())
        else:
            delivery.set_result(None)
        return delivery


class HonestBidder:
    """Bids for what was looked at under the cookie itself, and counts the notices."""

    def __init__(self, kafka: ListKafka, pepper: Pepper) -> None:
        self._kafka = kafka
        self._pepper = pepper
        self._read = 0
        self._things: dict[NodeId, str] = {}
        self.notices = Counter[str]()
        self.host = ""

    def __call__(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.startswith("/notice"):
            kind, _, price = path.removeprefix("/notice/").partition("?p=")
            assert float(price) == 50.0
            self.notices[kind] += 1
            return 204, b""
        self._learn()
        request = json.loads(body)
        if "banner" not in request["imp"][0]:
            return 204, b""
        cookie = request.get("user", {}).get("buyeruid")
        thing = cookie and self._things.get(self._node(cookie))
        return (200, self._bid(request["id"], thing)) if thing else (204, b"")

    def _node(self, cookie: str) -> NodeId:
        node = self._pepper.node(Namespace.COOKIE, cookie)
        assert node is not None
        return node

    def _learn(self) -> None:
        events = self._kafka.records["test.events.v1"]
        for _, value in events[self._read :]:
            event = decode_event(value)
            if isinstance(event, FlightSearch):
                trip = f"{event.origin}-{event.destination}/{event.depart_date}"
                self._things[event.ids[0]] = f'data-trip="{trip}"'
            elif isinstance(event, ProductView):
                self._things[event.ids[0]] = f'data-item="{event.item}"'
        self._read = len(events)

    def _bid(self, request_id: str, thing: str) -> bytes:
        notice = f"http://{self.host}/notice"
        bid = {
            "id": "b", "impid": "1", "price": 50.0, "adm": f"<div {thing}>", "mtype": 1,
            "cid": "campaign",
            "nurl": f"{notice}/win?p=${{AUCTION_PRICE}}",
            "burl": f"{notice}/bill?p=${{AUCTION_PRICE}}",
        }  # fmt: skip
        return json.dumps({"id": request_id, "cur": "USD", "seatbid": [{"bid": [bid]}]}).encode()


async def play(
    world: World,
    handler: Handler,
    kafka: ListKafka,
    seconds: float,
    history: Sequence[Event] = (),
) -> tuple[Report, list[Progress]]:
    """The live part; the referee knows the inventory and the history."""
    tally, clock, seen = Tally(), Clock(), list[Progress]()
    referee = Referee(world.owners(), {})
    for offer in world.offers():
        referee.on_offer(offer, clock.now_ms())
    for event in history:
        referee.on_event(event, clock.now_ms())
    async with StubBidder(handler) as server:
        if isinstance(handler, HonestBidder):
            handler.host = server.host
        client = HttpClient(connections=4)
        feed = Feed(kafka.send, "test", referee, clock, tally.failures)
        parts: dict[str, Any] = {
            "client": client, "feed": feed, "referee": referee, "clock": clock, "tally": tally,
        }  # fmt: skip
        end_ms = clock.now_ms() + seconds * 1000
        auctioneer = Auctioneer(world, server.host, end_ms=end_ms, **parts)
        report = await Live(world, server.host, auctioneer, **parts).play(seconds, seen.append)
        client.close()
    return report, seen


def test_a_run_against_an_honest_bidder_is_clean(world: World, pepper: Pepper) -> None:
    kafka = ListKafka()
    bidder = HonestBidder(kafka, pepper)
    history = world.backfill()
    kafka.records["test.events.v1"] = [(b"", encode(event)) for event in history]
    report, seen = asyncio.run(play(world, bidder, kafka, 2.3, history))
    assert report.failures == {}
    assert report.violations == ()
    assert report.bid_requests > 20
    assert 0 < report.personal_bids == report.bids
    assert report.wins == bidder.notices["win"] > 0
    assert report.impressions == bidder.notices["bill"] > 0
    assert report.spend == pytest.approx(report.impressions * 0.05)
    assert (report.wrong_person_bids, report.sold_out_ads, report.over_cap_impressions) == (0, 0, 0)
    assert report.latency_ms.p50 is not None
    assert report.latency_ms.p50 > 0
    probes = report.freshness_ms
    assert (probes.probes, probes.missed) == (5, 0)
    assert probes.p99 is not None
    assert probes.p99 < 1000
    assert [round(progress.seconds) for progress in seen][:2] == [1, 2]
    assert seen[-1].events <= report.events


def test_records_are_stamped_when_sent_and_keyed_as_the_topics_say(world: World) -> None:
    kafka = ListKafka()
    report, _ = asyncio.run(play(world, lambda *_: (204, b""), kafka, 1.0))
    events = kafka.records["test.events.v1"]
    assert len(events) == report.events + report.freshness_ms.probes
    for key, value in events:
        event = decode_event(value)
        assert key.decode() == event.ids[0]
        assert event.event_time_ms > world.start_ms - 3650 * 86_400_000
    times = [decode_event(value).event_time_ms for _, value in events]
    assert times == sorted(times)
    for key, _ in kafka.records["test.inventory.v1"]:
        assert key.split(b"/")[0] in {b"flight", b"product"}
    assert len(kafka.records["test.inventory.v1"]) == report.offers


@pytest.mark.parametrize(
    ("answer", "failure"),
    [((500, b""), "bid status 500"), ((200, b"{}"), "bid undecodable")],
)
def test_bad_answers_are_counted_by_kind(
    world: World, answer: tuple[int, bytes], failure: str
) -> None:
    report, _ = asyncio.run(play(world, lambda *_: answer, ListKafka(), 0.3))
    assert report.failures[failure] == report.bid_requests > 0
    assert report.bids == 0


def test_failed_deliveries_are_counted(world: World) -> None:
    report, _ = asyncio.run(play(world, lambda *_: (204, b""), ListKafka(fails=True), 0.6))
    sent = report.events + report.offers + report.freshness_ms.probes
    assert report.failures == {"kafka KafkaTimeoutError": sent}


def test_percentiles_are_in_milliseconds_and_empty_without_data() -> None:
    found = percentiles_ms([n * 1_000_000 for n in range(1, 1001)])
    assert found.p50 == pytest.approx(500.5)
    assert found.p99 == pytest.approx(990.01)
    assert percentiles_ms([]).p50 is None


def test_the_clock_follows_the_monotonic_one() -> None:
    readings = iter([1_000, 3_000_000])
    clock = Clock(wall_ns=lambda: 5_000_000_000, monotonic_ns=lambda: next(readings))
    assert clock.now_ms() == pytest.approx(5_002.999)
