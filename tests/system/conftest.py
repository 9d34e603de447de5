"""Real processes on real engines: embedded ones, and Apache Kafka with Debian's Redis."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinbid.engines import ApacheKafka, RedisEngine, find_apache_kafka, find_redis_server
from kinbid.stack import Options, Stack
from kinbid.up import load_demo_catalog
from runtime.settings import Settings
from tests.system.client import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of a test find that test's stack, and nobody else's."""
    if "KINBID_RUN_FILE" not in os.environ:
        monkeypatch.setenv("KINBID_RUN_FILE", str(tmp_path / "run.json"))


def named_engines(folder: Path) -> tuple[ApacheKafka, RedisEngine]:
    """Apache Kafka and the installed Redis, or a skip that says what is missing."""
    lib = find_apache_kafka(ROOT)
    if lib is None:
        pytest.skip("Apache Kafka is not here (needs Java and Maven, then `make engines`)")
    if find_redis_server() is None:
        pytest.skip("redis-server is not installed (`make engines` does it)")
    return ApacheKafka.start(folder / "kafka", lib=lib), RedisEngine.start(folder / "redis")


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("apache", marks=pytest.mark.apache)]
)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A running stack with two bidder workers and the demo's catalogue, and how to talk to it."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBID_RUN_FILE", str(folder / "run.json"))
        base = Settings(bidder_workers=2)
        if request.param == "embedded":
            with Stack.start_engines(Options(), base) as stack:
                yield _ready(stack)
            return
        kafka, redis = named_engines(folder)
        with kafka, redis:
            options = Options(kafka=kafka.bootstrap, redis=redis.url)
            with Stack.start_engines(options, base) as stack:
                yield _ready(stack)


def _ready(stack: Stack) -> Client:
    load_demo_catalog(stack.settings)
    stack.start_parts()
    client = Client(stack)
    asyncio.run(client.see_a_bid())
    return client
