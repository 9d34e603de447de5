"""Real processes on real engines: embedded ones, and Apache Kafka with Debian's Redis."""

import asyncio
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from kinbid.engines import (
    ApacheKafka,
    KafkaCluster,
    RedisCluster,
    RedisEngine,
    find_apache_kafka,
    find_redis_server,
)
from kinbid.stack import Options, Stack
from kinbid.up import load_demo_catalog
from models.identifiers import NodeId
from models.keys import Keys
from runtime.settings import Settings
from runtime.slots import slot_of
from tests.system.client import Client

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of a test find that test's stack, and nobody else's."""
    if "KINBID_RUN_FILE" not in os.environ:
        monkeypatch.setenv("KINBID_RUN_FILE", str(tmp_path / "run.json"))


def kafka_lib() -> Path:
    """Apache Kafka's jars, with an installed Redis beside; or a skip that says what is missing."""
    lib = find_apache_kafka(ROOT)
    if lib is None:
        pytest.skip("Apache Kafka is not here (needs Java and Maven, then `make engines`)")
    if find_redis_server() is None:
        pytest.skip("redis-server is not installed (`make engines` does it)")
    return lib


@pytest.fixture(scope="session")
def clusters(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[KafkaCluster, RedisCluster]]:
    """Three Kafka brokers and six Redis nodes, for all tests: each has an owner of its own."""
    lib, folder = kafka_lib(), tmp_path_factory.mktemp("clusters")
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaCluster.start(folder / "kafka", lib=lib))
        redis = stack.enter_context(RedisCluster.start(folder / "redis"))
        yield kafka, redis


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApacheKafka, RedisEngine]]:
    """One Apache Kafka and one installed Redis, for all tests: each has an owner of its own."""
    lib, folder = kafka_lib(), tmp_path_factory.mktemp("apache")
    with ExitStack() as stack:
        kafka = stack.enter_context(ApacheKafka.start(folder / "kafka", lib=lib))
        redis = stack.enter_context(RedisEngine.start(folder / "redis"))
        yield kafka, redis


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param("apache", marks=pytest.mark.apache),
    ],
)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A running stack with two bidder workers and the demo's catalogue, and how to talk to it.

    A module may ask for ``clusters`` too, which costs more time.
    """
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINBID_RUN_FILE", str(folder / "run.json"))
        base = Settings(bidder_workers=2)
        if request.param == "apache":
            options, base = on_apache(request.getfixturevalue("apache"), base)
        elif request.param == "clusters":
            options, base = on_clusters(request.getfixturevalue("clusters"), base)
        else:
            options = Options()
        with Stack.start_engines(options, base) as stack:
            yield _ready(stack)


def on_apache(engines: tuple[ApacheKafka, RedisEngine], base: Settings) -> tuple[Options, Settings]:
    """How a stack of an owner of its own runs on the one broker and the one Redis."""
    kafka, redis = engines
    settings = msgspec.structs.replace(base, owner=_new_owner())
    return Options(kafka=kafka.bootstrap, redis=redis.url), settings


def on_clusters(
    clusters: tuple[KafkaCluster, RedisCluster], base: Settings
) -> tuple[Options, Settings]:
    """How a stack of an owner of its own runs on the clusters."""
    kafka, redis = clusters
    settings = msgspec.structs.replace(base, owner=_new_owner(), kafka_replication=3)
    return Options(kafka=kafka.bootstrap, redis=redis.url), settings


def _new_owner() -> str:
    return f"o{uuid.uuid4().hex[:8]}"


def move_slots(redis: RedisCluster, keys: Keys, nodes: Iterable[NodeId], step: int) -> int:
    """Moves the nodes' slots, each to the master ``step`` further on; how many were moved."""
    slots = {slot_of(keys.person(node)) for node in nodes}
    masters = redis.masters()
    owned = {master.port: redis.slots_of(master) & slots for master in masters}
    return sum(
        redis.move_slots(owned[master.port], master, masters[(place + step) % len(masters)])
        for place, master in enumerate(masters)
    )


def _ready(stack: Stack) -> Client:
    load_demo_catalog(stack.settings)
    stack.start_parts()
    client = Client(stack)
    asyncio.run(client.see_a_bid())
    return client
