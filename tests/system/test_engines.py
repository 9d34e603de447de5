"""Every engine starts, serves, stops, and never outlives the process that started it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from kinbid.engines import (
    ApacheKafka,
    EmbeddedKafka,
    EngineStartError,
    KafkaEngine,
    PortBusyError,
    RedisEngine,
    ensure_port_is_free,
    find_apache_kafka,
    find_redis_server,
)
from models.topics import ALL_TOPICS
from runtime.kafka import ensure_topics
from runtime.settings import Settings

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
GONE_SECONDS = 5.0

# A supervisor in small: starts engines, says who they are, and waits for the signal.
SUPERVISOR = """
import contextlib, json, signal, sys, time
from pathlib import Path
from kinbid.engines import ApacheKafka, EmbeddedKafka, RedisEngine, find_apache_kafka

signal.signal(signal.SIGINT, signal.default_int_handler)
folder, lib = Path(sys.argv[1]), find_apache_kafka(Path(sys.argv[2]))
with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
    engines = [RedisEngine.start(folder / "redis"), EmbeddedKafka.start(folder / "tansu")]
    if lib:
        engines.append(ApacheKafka.start(folder / "kafka", lib=lib))
    for engine in engines:
        stack.enter_context(engine)
    print(json.dumps([engine.pid for engine in engines]), flush=True)
    time.sleep(600)
"""


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than a zombie that waits for its new parent."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not sys.platform.startswith("linux")
    return state != "Z"


def seconds_until_gone(pids: list[int]) -> float:
    began = time.monotonic()
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() - began < GONE_SECONDS, f"still running: {pids}"
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def apache_lib() -> Path:
    lib = find_apache_kafka(ROOT)
    if lib is None:
        pytest.skip("Apache Kafka was not fetched: run `make engines`")
    return lib


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        yield int(owner.getsockname()[1])


async def round_trip(bootstrap: str, *, is_idempotent: bool) -> list[tuple[bytes, bytes]]:
    """Produces ten records to a new topic and reads them back from its start."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=is_idempotent)
    await producer.start()
    try:
        for number in range(10):
            await producer.send_and_wait("trip", b"v%d" % number, key=b"k", partition=0)
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition("trip", 0)])
        return [(r.key, r.value) for r in [await consumer.getone() for _ in range(10)]]
    finally:
        await consumer.stop()


def check_round_trip(engine: KafkaEngine) -> None:
    trip = round_trip(engine.bootstrap, is_idempotent=engine.supports_idempotence)
    records = asyncio.run(asyncio.wait_for(trip, 30))
    assert records == [(b"k", b"v%d" % number) for number in range(10)]


def test_the_embedded_broker_takes_records_and_gives_them_back(tmp_path: Path) -> None:
    with EmbeddedKafka.start(tmp_path) as engine:
        assert engine.description == "Tansu 0.6.0 (embedded)"
        assert not engine.supports_idempotence
        check_round_trip(engine)
    assert not is_running(engine.pid)


@pytest.mark.apache
def test_apache_kafka_takes_idempotent_records_and_gives_them_back(
    tmp_path: Path, apache_lib: Path
) -> None:
    with ApacheKafka.start(tmp_path, lib=apache_lib) as engine:
        assert engine.description.startswith("Apache Kafka 4.")
        assert engine.supports_idempotence
        check_round_trip(engine)
    assert not is_running(engine.pid)


async def topic_settings(settings: Settings) -> dict[str, dict[str, str]]:
    """What a broker says of the owner's topics once they were created."""
    await ensure_topics(settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        names = [topic.name(settings.owner) for topic in ALL_TOPICS]
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        told = await admin.describe_configs(asked)
    finally:
        await admin.close()
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for reply in told
        for *_, name, entries in reply.resources
    }


@pytest.mark.apache
def test_apache_kafka_takes_the_settings_of_every_topic(tmp_path: Path, apache_lib: Path) -> None:
    with ApacheKafka.start(tmp_path, lib=apache_lib) as engine:
        settings = Settings(kafka_bootstrap=engine.bootstrap)
        told = asyncio.run(asyncio.wait_for(topic_settings(settings), 60))
    for topic in ALL_TOPICS:
        wanted = topic.configs()
        found = told[topic.name(settings.owner)]
        assert {name: found[name] for name in wanted} == wanted


async def record_count(bootstrap: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partition = TopicPartition("trip", 0)
        return int((await consumer.end_offsets([partition]))[partition])
    finally:
        await consumer.stop()


@pytest.mark.apache
def test_apache_kafka_keeps_its_records_across_a_restart_in_the_same_folder(
    tmp_path: Path, apache_lib: Path
) -> None:
    with ApacheKafka.start(tmp_path, lib=apache_lib) as engine:
        check_round_trip(engine)
    with ApacheKafka.start(tmp_path, lib=apache_lib) as engine:
        assert asyncio.run(asyncio.wait_for(record_count(engine.bootstrap), 30)) == 10


@pytest.mark.parametrize("origin", ["installed", "embedded"])
def test_redis_sets_and_gets(tmp_path: Path, origin: Literal["installed", "embedded"]) -> None:
    if origin == "installed" and find_redis_server() is None:
        pytest.skip("no Redis >= 7 or Valkey >= 8 is installed: run `make engines`")
    with RedisEngine.start(tmp_path, prefer=origin) as engine:
        assert engine.description.endswith(f"({origin})")
        with redis.Redis.from_url(engine.url) as client:
            client.set("name", "kinbid")
            assert client.get("name") == b"kinbid"
            settings = client.config_get("*")
    assert not is_running(engine.pid)
    assert (settings["save"], settings["appendonly"]) == ("", "no")
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["hash-max-listpack-value"] == "2048"
    assert settings["hash-max-listpack-entries"] == "128"


def test_a_redis_cluster_node_serves_once_it_owns_the_slots(tmp_path: Path) -> None:
    with (
        RedisEngine.start(tmp_path, cluster_enabled=True) as engine,
        redis.Redis.from_url(engine.url) as client,
    ):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        deadline = time.monotonic() + 10
        while client.cluster("INFO")["cluster_state"] != "ok":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client.set("name", "kinbid")
        assert client.get("name") == b"kinbid"


@pytest.mark.parametrize(
    ("number", "seconds_for_it"), [(signal.SIGKILL, GONE_SECONDS), (signal.SIGINT, 15.0)]
)
def test_no_engine_outlives_its_supervisor(
    tmp_path: Path, number: signal.Signals, seconds_for_it: float
) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(ROOT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as supervisor:
        try:
            assert supervisor.stdout is not None
            pids = json.loads(supervisor.stdout.readline())
            assert len(pids) >= 2
            assert all(is_running(pid) for pid in pids)
            supervisor.send_signal(number)
            supervisor.wait(seconds_for_it)
        finally:
            supervisor.kill()
    assert seconds_until_gone(pids) < GONE_SECONDS
    assert supervisor.returncode == (0 if number == signal.SIGINT else -number)


@pytest.mark.parametrize("start", [RedisEngine.start, EmbeddedKafka.start])
def test_a_start_on_a_taken_port_fails_with_the_engines_own_words(
    tmp_path: Path, taken_port: int, start: Callable[..., RedisEngine | EmbeddedKafka]
) -> None:
    with pytest.raises(EngineStartError, match=r"(?is)ended with code.*address.*in use") as info:
        start(tmp_path, port=taken_port)
    assert info.value.log_tail in str(info.value)


@pytest.mark.apache
def test_apache_kafka_on_a_taken_port_fails_with_its_own_words(
    tmp_path: Path, taken_port: int, apache_lib: Path
) -> None:
    with pytest.raises(EngineStartError, match=r"(?s)ended with code.*Address already in use"):
        ApacheKafka.start(tmp_path, lib=apache_lib, port=taken_port)


def test_a_second_redis_is_not_taken_for_the_first_on_the_same_port(tmp_path: Path) -> None:
    with RedisEngine.start(tmp_path / "first") as first:
        with pytest.raises(EngineStartError, match="Address already in use"):
            RedisEngine.start(tmp_path / "second", port=first.port)
        assert is_running(first.pid)


def test_a_running_engines_port_is_reported_as_busy(tmp_path: Path) -> None:
    with RedisEngine.start(tmp_path) as engine:
        with pytest.raises(PortBusyError) as info:
            ensure_port_is_free("127.0.0.1", engine.port, flag="--redis-port")
        assert str(info.value) == (
            f"Port {engine.port} on 127.0.0.1 is in use by another program: "
            "stop that program or choose another port with --redis-port."
        )
    ensure_port_is_free("127.0.0.1", engine.port, flag="--redis-port")
