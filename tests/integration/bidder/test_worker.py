"""The bidder as processes, on a real Redis and a real Kafka-compatible broker."""

import asyncio
import http.client
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import pytest
import redis
from aiokafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

import kinbid
from kinbid.catalog_file import read_catalog_file
from kinbid.engines import ChildProcess, EmbeddedKafka, RedisEngine
from kinbid.inspect import explain_request
from kinbid.publish import publish_catalog
from models.catalog_records import Flight, Product, encode_record, record_key
from models.events import Billing, CartAdd, FlightSearch, Order
from models.identifiers import Namespace, Pepper
from models.keys import Keys
from models.outcomes import NoticeOutcome
from models.spend_records import FoldMark, encode_spend, spend_key
from models.topics import Topics
from models.units import DAY_MS, MICROS, AdvertiserId
from runtime import clock, kafka
from runtime.settings import Settings, as_environment
from tests.contract.stores import RealStore
from tests.fakes.answers import creative_of
from tests.fakes.installation import Installation
from tests.fakes.outcomes import decode_notice

pytestmark = pytest.mark.integration

PATIENCE_SECONDS: Final = 60.0
NORTH: Final = "/openrtb2/north/bid"
COOKIE: Final = "a-known-browser"
PROSPECT: Final = "a-prospects-browser"
CUSTOMER: Final = "a-customers-browser"
SHOPPER: Final = "a-shoppers-browser"
DEMO: Final = Path(kinbid.__file__).with_name("demo.toml")

Answer = tuple[int, bytes, http.client.HTTPMessage]


def eventually(what: Callable[[], object], reason: str) -> None:
    """Waits until something holds; how long it takes is nobody's claim here."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, reason
        time.sleep(0.05)


def bid_request(**fields: object) -> bytes:
    slot = {"id": "slot", "banner": {"w": 300, "h": 250}, "secure": 0}
    return json.dumps({"id": "a", "imp": [slot], "at": 1, "tmax": 2_000} | fields).encode()


PERSONAL: Final = bid_request(user={"buyeruid": COOKIE})


class Bidder:
    """A running supervisor with its workers."""

    def __init__(self, child: ChildProcess, ready: dict[str, Any]) -> None:
        self.child = child
        self.pids: list[int] = ready["pids"]
        self.admin: list[str] = ready["metrics"]
        self.host, self.port = urlsplit(ready["bidder"]).hostname, urlsplit(ready["bidder"]).port

    def ask(self, method: str, target: str, body: bytes | None = None) -> Answer:
        with closing(http.client.HTTPConnection(str(self.host), self.port, timeout=30)) as client:
            client.request(method, target, body)
            response = client.getresponse()
            return response.status, response.read(), response.headers

    def bid(self, body: bytes, target: str = NORTH) -> Answer:
        return self.ask("POST", target, body)

    def bids(self, body: bytes) -> list[dict[str, Any]]:
        """The bids of an answer that must come; empty for a 204."""
        status, answer, _ = self.bid(body)
        assert status in {200, 204}
        found: list[dict[str, Any]] = json.loads(answer)["seatbid"][0]["bid"] if answer else []
        return found

    def campaigns(self, body: bytes) -> list[str]:
        return [bid["cid"] for bid in self.bids(body)]

    def admin_get(self, path: str, number: int = 0) -> tuple[int, str]:
        parts = urlsplit(self.admin[number])
        address = (str(parts.hostname), parts.port)
        with closing(http.client.HTTPConnection(*address, timeout=30)) as client:
            client.request("GET", path)
            response = client.getresponse()
            return response.status, response.read().decode()

    def metric(self, name: str, label: str = "") -> float:
        """A counter over all workers."""
        return sum(
            sample.value
            for number in range(len(self.admin))
            for family in text_string_to_metric_families(self.admin_get("/metrics", number)[1])
            for sample in family.samples
            if sample.name == name and label in {"", *sample.labels.values()}
        )


def environment(settings: Settings, folder: Path) -> dict[str, str]:
    kept = {name: v for name, v in os.environ.items() if not name.startswith("KINBID_")}
    return kept | as_environment(settings) | {"KINBID_RUN_FILE": str(folder / "run.json")}


def start_bidder(settings: Settings, folder: Path) -> Bidder:
    reading, writing = os.pipe()
    child = ChildProcess.start(
        "bidder",
        [sys.executable, "-m", "kinbid", "bidder", "--ready-fd", str(writing)],
        log_path=folder / "bidder.log",
        env=environment(settings, folder),
        pass_fds=(writing,),
    )
    os.close(writing)
    try:
        readable = select.select([reading], [], [], PATIENCE_SECONDS)[0]
        line = os.read(reading, 65_536) if readable else b""
    finally:
        os.close(reading)
    if not line:
        child.stop()
        pytest.fail(f"the bidder did not become ready:\n{child.log_tail()}")
    return Bidder(child, json.loads(line))


def settings_of(broker: EmbeddedKafka, store: RedisEngine) -> Settings:
    return Settings(
        kafka_bootstrap=broker.bootstrap,
        kafka_idempotence=broker.supports_idempotence,
        redis_url=store.url,
        identity_pepper="a pepper for tests",
        notice_secret="a secret for tests",
        bidder_port=0,
        bidder_admin_port=0,
        bidder_workers=2,
    )


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker and a Redis that hold the demo's catalogue, a flight, a record and who looked."""
    folder = tmp_path_factory.mktemp("engines")
    with EmbeddedKafka.start(folder / "kafka") as broker, RedisEngine.start(folder / "r") as store:
        settings = settings_of(broker, store)
        asyncio.run(publish(settings))
        remember(settings)
        yield settings


def flight() -> Flight:
    """A flight ten days ahead, with most of its seats left."""
    return Flight(
        id="KB1/2031-05-20", advertiser=AdvertiserId("airline"), origin="JFK", destination="LAX",
        depart_date="2031-05-20", depart_ms=clock.now_ms() + 10 * DAY_MS, seats_total=180,
        seats_left=170, fare_micros=199 * MICROS, updated_ms=1,
    )  # fmt: skip


def record() -> Product:
    """An item in stock."""
    return Product(
        id="sku-1", advertiser=AdvertiserId("shop"), title="Kind of Blue", group="jazz",
        price_micros=12 * MICROS, margin_micros=4 * MICROS, stock=3, updated_ms=1,
    )  # fmt: skip


async def publish(settings: Settings) -> None:
    """The catalogue, and a flight and a record where streams would put them."""
    await kafka.ensure_topics(settings)
    await publish_catalog(settings, read_catalog_file(DEMO))
    producer = await kafka.producer(settings)
    try:
        topic = Topics.OFFERS.name(settings.owner)
        for offer in (flight(), record()):
            key = record_key(offer).encode()
            await producer.send_and_wait(topic, key=key, value=encode_record(offer))
    finally:
        await producer.stop()


def remember(settings: Settings) -> None:
    """Four browsers: at three the flight was searched, once by a customer; at one a cart filled."""
    pepper, now_ms = Pepper(settings.identity_pepper), clock.now_ms()

    def at(cookie: str, advertiser: str, ago_ms: int = 60_000) -> dict[str, Any]:
        node = pepper.node(Namespace.COOKIE, cookie)
        assert node is not None
        return {
            "event_id": "e", "ids": (node,), "event_time_ms": now_ms - ago_ms,
            "advertiser": AdvertiserId(advertiser),
        }  # fmt: skip

    searched: dict[str, Any] = {"origin": "JFK", "destination": "LAX", "depart_date": "2031-05-20"}
    flown = at(CUSTOMER, "airline", 90 * DAY_MS)
    with closing(RealStore(settings.redis_url)) as store:
        Installation(store, keys=Keys(settings.owner)).tell(
            *(FlightSearch(**at(c, "airline"), **searched) for c in (COOKIE, PROSPECT, CUSTOMER)),
            Order(**flown, order_id="o", revenue_micros=250 * MICROS, margin_micros=0),
            CartAdd(**at(SHOPPER, "shop"), item="sku-1"),
        )


@pytest.fixture
def bidder(engines: Settings, tmp_path: Path) -> Iterator[Bidder]:
    running = start_bidder(engines, tmp_path)
    with running.child:
        yield running


def outcomes(settings: Settings) -> list[NoticeOutcome]:
    """Every notice that Kafka holds now."""

    async def read() -> list[NoticeOutcome]:
        consumer = await kafka.consumer(settings)
        topic = Topics.OUTCOMES.name(settings.owner)
        parts = [TopicPartition(topic, n) for n in range(Topics.OUTCOMES.partitions)]
        found: list[NoticeOutcome] = []
        try:
            consumer.assign(parts)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(parts)
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                fetched = await consumer.getmany(timeout_ms=200)
                found += [decode_notice(r.value) for rs in fetched.values() for r in rs]
        finally:
            await consumer.stop()
        return found

    return asyncio.run(read())


# -- answers ------------------------------------------------------------------------------------


def test_every_kind_of_request_has_its_answer(bidder: Bidder) -> None:
    """H1 to H4, H6, H11, P1: over real HTTP, whichever worker answers."""
    for _ in range(4):
        assert bidder.bid(b"{")[:2] == (400, b"")
        assert bidder.bid(b'{"id":"a","imp":[]}')[:2] == (400, b"")
        assert bidder.bid(bid_request(), "/openrtb2/nowhere/bid")[:2] == (404, b"")
        assert bidder.ask("GET", NORTH)[:2] == (405, b"")
        assert bidder.bid(bid_request(cur=["EUR"]))[:2] == (204, b"")
        status, body, headers = bidder.bid(bid_request(unheard={"of": [1]}))
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert headers["x-openrtb-version"] == "2.6"
        (bid,) = json.loads(body)["seatbid"][0]["bid"]
        assert (bid["cid"], creative_of(bid)) == ("air-brand", "air-brand-1")
    assert bidder.metric("bidder_malformed_requests_total") == 8
    assert bidder.metric("bidder_unknown_paths_total") == 8
    assert bidder.metric("bidder_bids_total") == 4


def test_row_01_three_persons_get_their_own_price_and_creative_for_one_slot_and_the_reasons(
    bidder: Bidder, engines: Settings
) -> None:
    wanted = {
        PROSPECT: ("air-seats-prospect-1", "JFK to LAX"),
        CUSTOMER: ("air-seats-customer-1", "Welcome back: JFK to LAX"),
        SHOPPER: ("shop-items-prospect-1", "Kind of Blue"),
    }
    prices, reasons = set(), set()
    for cookie, (creative, text) in wanted.items():
        body = bid_request(user={"buyeruid": cookie})
        explained = asyncio.run(explain_request(engines, body, "north"))
        (bid,), (why,) = bidder.bids(body), explained["bids"]
        assert creative_of(bid) == why["creative"] == creative
        assert text in bid["adm"]
        assert float(why["bid_cpm"]) == pytest.approx(bid["price"], rel=0.01)
        assert "air-brand" in {lost["campaign"] for lost in explained["lost"]}
        factors = why["factors"]
        parts = [float(factors.pop("target_cpa_micros")), *factors.values()]
        assert float(why["value_cpm"]) == pytest.approx(1000 * math.prod(parts), rel=1e-5)
        prices.add(bid["price"])
        reasons.add((explained["person"], why["segment"], tuple(parts)))
    assert (len(prices), len(reasons)) == (3, 3)


def test_a_known_person_is_sold_the_flight_that_they_searched_unless_privacy_forbids(
    bidder: Bidder,
) -> None:
    (bid,) = bidder.bids(PERSONAL)
    assert "$199.00, 170 seats left" in bid["adm"]
    assert bidder.campaigns(bid_request(user={"buyeruid": COOKIE}, device={"lmt": 1})) == [
        "air-brand"
    ]


def test_each_worker_has_an_admin_port_that_says_it_is_well(bidder: Bidder) -> None:
    assert len(set(bidder.admin)) == 2
    for number in range(2):
        assert bidder.admin_get("/healthz", number) == (200, "ok\n")
        assert bidder.admin_get("/readyz", number) == (200, "ok\n")


def test_n2_n9_a_billing_notice_is_in_kafka_before_it_is_acknowledged(
    bidder: Bidder, engines: Settings
) -> None:
    (bid,) = bidder.bids(PERSONAL)
    parts = urlsplit(bid["burl"])
    target = f"{parts.path}?{parts.query}".replace("${AUCTION_PRICE}", f"{bid['price'] / 2:.6f}")
    status, body, _ = bidder.ask("GET", target)
    found = [one for one in outcomes(engines) if one.nonce == bid["id"]]
    assert (status, body) == (204, b"")
    (billed,) = found
    assert isinstance(billed, Billing)
    assert billed.campaign == "air-seats"
    assert abs(billed.clearing_cpm_micros - bid["price"] * MICROS / 2) <= 1
    assert bidder.metric("bidder_notices_total", "billing_accepted") == 1
    assert bidder.ask("GET", target.replace("t=", "t=A"))[0] == 204, "and forged"
    assert [one for one in outcomes(engines) if one.nonce == bid["id"]] == found


# -- failures -----------------------------------------------------------------------------------


def test_while_redis_is_gone_requests_are_answered_for_their_context_only(
    engines: Settings, tmp_path: Path
) -> None:
    """H17, and the declared failure mode: open for context, closed for everything personal."""
    with ExitStack() as stack:
        store = stack.enter_context(RedisEngine.start(tmp_path / "redis"))
        settings = msgspec.structs.replace(engines, redis_url=store.url, bidder_workers=1)
        remember(settings)
        running = start_bidder(settings, tmp_path)
        stack.enter_context(running.child)
        assert running.campaigns(PERSONAL) == ["air-seats"]
        store.child.stop(0.0)
        for _ in range(5):
            assert running.campaigns(PERSONAL) == ["air-brand"]
        assert running.metric("bidder_dependency_failures_total", "redis") == 5
        eventually(lambda: running.admin_get("/readyz")[0] == 503, "readiness did not notice")
        assert running.admin_get("/healthz")[0] == 200
        stack.enter_context(RedisEngine.start(tmp_path / "redis-again", port=store.port))
        remember(settings)
        eventually(lambda: running.campaigns(PERSONAL) == ["air-seats"], "Redis was not found")
        eventually(lambda: running.admin_get("/readyz")[0] == 200, "readiness did not return")


def test_while_streams_is_far_behind_requests_are_answered_for_their_context_only(
    engines: Settings, tmp_path: Path
) -> None:
    """Closed: what was billed is not counted yet, so no cap can be checked."""
    settings = msgspec.structs.replace(engines, owner="behind", bidder_workers=1)
    asyncio.run(publish(settings))
    remember(settings)
    running = start_bidder(settings, tmp_path)

    def tell(folded_ms: int) -> None:
        async def send() -> None:
            async with kafka.producing(settings) as producer:
                for partition in range(Topics.OUTCOMES.partitions):
                    mark = FoldMark(partition=partition, folded_ms=folded_ms)
                    topic, key = Topics.SPEND.name(settings.owner), spend_key(mark).encode()
                    await producer.send_and_wait(topic, key=key, value=encode_spend(mark))

        asyncio.run(send())

    with running.child:
        assert running.campaigns(PERSONAL) == ["air-seats"]
        tell(clock.now_ms() - 2 * settings.streams_patience_seconds * 1000)
        missed = "bidder_dependency_failures_total", "streams"
        eventually(
            lambda: running.campaigns(PERSONAL) == ["air-brand"] and running.metric(*missed) > 0,
            "it bids on",
        )

        def is_bid_for() -> bool:
            tell(clock.now_ms())
            return running.campaigns(PERSONAL) == ["air-seats"]

        eventually(is_bid_for, "streams was not heard, or places are held for ever")


def test_while_kafka_is_gone_bids_go_on_and_a_notice_is_asked_for_again(tmp_path: Path) -> None:
    """N5: 503 until it is durable; the catalogue stays, and its age is told."""
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedKafka.start(tmp_path / "kafka"))
        store = stack.enter_context(RedisEngine.start(tmp_path / "redis"))
        settings = msgspec.structs.replace(settings_of(broker, store), bidder_workers=1)
        asyncio.run(publish(settings))
        running = start_bidder(settings, tmp_path)
        stack.enter_context(running.child)
        (bid,) = running.bids(bid_request())
        broker.stop(0.0)
        eventually(lambda: running.metric("bidder_catalog_age_seconds") > 2, "its age stood still")
        assert running.campaigns(bid_request()) == ["air-brand"]
        parts = urlsplit(bid["burl"])
        target = f"{parts.path}?{parts.query}".replace("${AUCTION_PRICE}", "0.1")
        assert running.ask("POST", target)[0] == 503
        assert running.metric("bidder_notices_total", "billing_failed") == 1
        assert running.metric("bidder_dependency_failures_total", "kafka") == 1
        assert running.metric("bidder_spend_micros_total") == 0


def test_a_killed_workers_successor_serves_the_same_port_and_no_connection_is_refused(
    bidder: Bidder,
) -> None:
    """A connection that the dead worker held may break; none may be refused.

    Who waited in the queue for longer than its own time gets a 204 (T3).
    """
    broken = late = 0
    for number in range(120):
        if number == 20:
            for pid in bidder.pids:
                os.kill(pid, signal.SIGKILL)
        try:
            status, _, _ = bidder.bid(bid_request())
        except (ConnectionResetError, http.client.RemoteDisconnected):
            broken += 1
        else:
            assert status in {200, 204}
            late += status == 204
    assert broken <= 2
    assert late <= 4, "only who waited for a successor"
    for number in range(2):
        eventually(lambda n=number: bidder.admin_get("/readyz", n)[0] == 200, "no successor")  # type: ignore[misc]
    assert bidder.metric("bidder_bids_total") >= 118 - late, "the counts went on"
    log = [json.loads(line) for line in bidder.child.output().splitlines()]
    assert [line["exit_code"] for line in log if line["event"] == "worker_ended"] == [-9, -9]


def test_sigterm_lets_what_is_in_flight_be_answered_and_exits_with_0(
    bidder: Bidder, engines: Settings
) -> None:
    body = bid_request(user={"buyeruid": COOKIE}, tmax=4_000)
    with closing(redis.Redis.from_url(engines.redis_url)) as store:
        store.client_pause(300)  # less than what the bidder takes for a hang
    with closing(http.client.HTTPConnection(str(bidder.host), bidder.port, timeout=30)) as client:
        client.request("POST", NORTH, body)
        eventually(lambda: bidder.metric("bidder_bid_requests_total") == 1, "it never arrived")
        os.kill(bidder.child.pid, signal.SIGTERM)
        response = client.getresponse()
        assert response.status == 200
        assert json.loads(response.read())["seatbid"][0]["bid"][0]["cid"] == "air-seats"
    assert bidder.child.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in bidder.child.output()


def run_bidder(settings: Settings, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kinbid", "bidder"],
        env=environment(settings, folder), capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def test_a_busy_port_is_a_sentence_and_exit_code_1(engines: Settings, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_bidder(msgspec.structs.replace(engines, bidder_port=port), tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"kinbid: the bidder cannot listen on 127.0.0.1:{port} (")
    assert "--bidder-port" in line


def test_a_kafka_that_is_away_at_the_start_is_told_without_a_traceback(
    engines: Settings, tmp_path: Path
) -> None:
    """Without it there is no catalogue, so there is nothing to bid with."""
    settings = msgspec.structs.replace(engines, bidder_workers=1, kafka_bootstrap="127.0.0.1:1")
    done = run_bidder(settings, tmp_path)
    assert done.returncode == 1
    assert "Kafka at 127.0.0.1:1 cannot be used" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("kinbid: bidder worker 0 ended before it was")
    assert "Traceback" not in done.stderr
