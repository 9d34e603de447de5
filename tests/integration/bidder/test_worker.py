"""The bidder as processes, on a real Redis and a real Kafka-compatible broker."""

import asyncio
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import redis
from aiokafka import AIOKafkaConsumer
from prometheus_client.parser import text_string_to_metric_families

import kinbid
from kinbid.catalog_file import read_catalog_file
from kinbid.engines import ChildProcess, EmbeddedKafka, RedisEngine
from kinbid.publish import publish_catalog, publish_offers
from models.catalog_records import Flight, record_key
from models.events import Billing, decode_outcome
from models.identifiers import Namespace, Pepper
from models.keys import Keys
from models.profile import Header, Intent, encode_header
from models.topics import Topics
from models.units import DAY_MS, MICROS, AdvertiserId
from runtime import clock, kafka
from runtime.settings import Settings, as_environment

pytestmark = pytest.mark.integration

PATIENCE_SECONDS: Final = 60.0
NORTH: Final = "/openrtb2/north/bid"
COOKIE: Final = "a-known-browser"
DEMO: Final = Path(kinbid.__file__).with_name("demo.toml")

Answer = tuple[int, bytes, Mapping[str, str]]


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


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker and a Redis that hold the demo's catalogue, one flight and one person."""
    folder = tmp_path_factory.mktemp("engines")
    with EmbeddedKafka.start(folder / "kafka") as broker, RedisEngine.start(folder / "r") as store:
        settings = Settings(
            kafka_bootstrap=broker.bootstrap,
            kafka_idempotence=broker.supports_idempotence,
            redis_url=store.url,
            identity_pepper="a pepper for tests",
            notice_secret="a secret for tests",
            bidder_port=0,
            bidder_admin_port=0,
            bidder_workers=2,
        )
        asyncio.run(publish(settings))
        remember(settings)
        yield settings


async def publish(settings: Settings) -> None:
    """The catalogue, and a flight where streams would put it."""
    await kafka.ensure_topics(settings)
    await publish_catalog(settings, read_catalog_file(DEMO))
    producer = await kafka.producer(settings)
    try:
        await producer.send_and_wait(
            Topics.OFFERS.name(settings.owner), key=record_key(FLIGHT).encode(),
            value=encode_record_of(FLIGHT),
        )  # fmt: skip
    finally:
        await producer.stop()


FLIGHT: Final = Flight(
    id="KB1/2030-01-01", advertiser=AdvertiserId("airline"), origin="JFK", destination="LAX",
    depart_date="2030-01-01", depart_ms=clock.now_ms() + 10 * DAY_MS, seats_total=180,
    seats_left=170, fare_micros=199 * MICROS, updated_ms=1,
)  # fmt: skip
