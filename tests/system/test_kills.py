"""Kafka or Redis killed in the middle of an erasure or a rotation: told, and made good."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from kinbid.engines import ApacheKafka, RedisEngine
from kinbid.erase import Certificate, erase_person
from kinbid.export import export_persons
from kinbid.progress import records_behind
from kinbid.rebuild import rebuild
from kinbid.rotate import rotate
from kinbid.stack import Options, Stack, start_part
from models.erasure_records import decode_erasure
from models.errors import KinbidError
from models.events import Consent, CrmCard, Event, Order, PageView
from models.evidence import pair_of
from models.identifiers import Namespace, NodeId
from models.link_records import VerdictRecord, encode_link_record, pair_key, pair_named
from models.rotation import ROTATED
from models.topics import Topic, Topics
from runtime import kafka as kafka_clients
from runtime.settings import Settings, as_environment
from tests.system.client import AIRLINE, Client
from tests.system.conftest import kafka_lib
from tests.system.halted import HALTED
from tests.system.test_rotate import people, renamed, rotated_settings

pytestmark = [pytest.mark.system, pytest.mark.apache, pytest.mark.timeout(300)]

Engine = ApacheKafka | RedisEngine
PATIENCE_SECONDS = 60.0
NAMES_LINKS = (Topics.EVIDENCE, Topics.QUARANTINE, Topics.VERDICTS)


class Engines:
    """One broker and one Redis that can be killed with -9, and a streams worker on them."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder, self._keep = folder, running.enter_context
        self.kafka = self._keep(ApacheKafka.start(folder / "kafka", lib=kafka_lib()))
        self.redis = self._keep(RedisEngine.start(folder / "redis"))
        options = Options(kafka=self.kafka.bootstrap, redis=self.redis.url)
        self._stack = self._keep(Stack.start_engines(options, Settings()))
        self.client = Client(self._stack)
        self.start_streams()

    def start_streams(self) -> None:
        stack = self._stack
        streams, _ = start_part(
            "streams", stack.settings, stack.folder, log_path=stack.log_path("streams")
        )
        self.streams = self._keep(streams)

    def kill(self, engine: Engine) -> None:
        os.kill(engine.pid, signal.SIGKILL)
        engine.stop()

    def restart_kafka(self) -> None:
        """Starts the broker again where it was, with its records."""
        folder, port = self._folder / "kafka", self.kafka.port
        self.kafka = self._keep(ApacheKafka.start(folder, lib=kafka_lib(), port=port))

    def restart_redis(self) -> None:
        """Starts Redis again where it was; it has lost everything."""
        self.redis = self._keep(RedisEngine.start(self._folder / "redis", port=self.redis.port))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with ExitStack() as running:
        yield Engines(tmp_path_factory.mktemp("kills"), running)


class Family:
    """Anna with three identifiers of her own; Boris, who signs in on her tablet, too."""

    def __init__(self, client: Client, name: str) -> None:
        self.client, self.name = client, name
        self.email = self.node(Namespace.EMAIL, f"anna@{name}.example")
        self.boris = self.node(Namespace.EMAIL, f"boris@{name}.example")
        self.phone = self.node(Namespace.COOKIE, f"phone of {name}")
        self.tablet = self.node(Namespace.COOKIE, f"tablet of {name}")
        self.card = self.node(Namespace.CRM, f"anna {name}")
        self.boris_card = self.node(Namespace.CRM, f"boris {name}")
        self.hers = sorted((self.email, self.phone, self.card))

    def node(self, namespace: Namespace, value: str) -> NodeId:
        return self.client.node(namespace, value)

    def is_of(self, person: dict[str, Any]) -> bool:
        """Whether a person of the export is one of them, or their tablet."""
        return not {*self.hers, self.boris, self.tablet}.isdisjoint(person["members"])

    def past(self) -> list[Event]:
        """What they did, each time by other events."""
        now_ms = self.client.now_ms
        return [
            CrmCard(event_id="a", ids=(self.card, self.email), event_time_ms=now_ms()),
            CrmCard(event_id="b", ids=(self.boris_card, self.boris), event_time_ms=now_ms()),
            Order(
                event_id="o", ids=(self.boris,), event_time_ms=now_ms(), advertiser=AIRLINE,
                order_id=f"O-{self.name}", revenue_micros=99_000_000, margin_micros=9_000_000,
            ),
            PageView(
                event_id="p", ids=(self.phone, self.email), event_time_ms=now_ms(),
                advertiser=AIRLINE, page="/secret",
            ),
            Consent(
                event_id="c", ids=(self.phone,), event_time_ms=now_ms(), source="cmp",
                withdrawn=("personal_ads",),
            ),
            self.client.sign_in(self.phone, self.email),
            self.client.sign_in(self.tablet, self.email),
            self.client.sign_in(self.tablet, self.boris),
        ]  # fmt: skip

    def refusal(self) -> tuple[bytes, bytes]:
        """People's word that her phone is not Boris's."""
        a, b = pair_of(self.phone, self.boris)
        word = VerdictRecord(a=a, b=b, verdict="rejected", by="olga", at_ms=self.client.now_ms())
        return pair_key(a, b), encode_link_record(word)


def live(client: Client, families: Sequence[Family]) -> None:
    """Families live; every topic that names links comes to name each of them."""
    client.produce(*(event for family in families for event in family.past()))
    client.produce_raw(
        Topics.VERDICTS.name(client.settings.owner), [family.refusal() for family in families]
    )
    assert not asyncio.run(records_behind(client.settings, PATIENCE_SECONDS))
    for topic in NAMES_LINKS:
        client.until(
            lambda at=topic: named(client, at),  # type: ignore[misc]
            lambda found: all(found.intersection(family.hers) for family in families),
            PATIENCE_SECONDS,
        )
    persons = {tuple(one["members"]) for one in exported(client.settings)}
    assert persons.issuperset(tuple(family.hers) for family in families)


def exported(settings: Settings) -> list[dict[str, Any]]:
    return people(asyncio.run(export_persons(settings)).lines)


def latest(client: Client, topic: Topic) -> dict[bytes, bytes | None]:
    """What compaction would leave of a topic."""
    found: dict[bytes, bytes | None] = {}
    name = topic.name(client.settings.owner)
    keep = lambda record: found.__setitem__(record.key, record.value)  # noqa: E731
    asyncio.run(kafka_clients.read_topic(client.settings, name, keep))
    return found


def named(client: Client, topic: Topic) -> set[NodeId]:
    """Who is named by keys of records, tombstones apart."""
    left = [key for key, value in latest(client, topic).items() if value is not None]
    return {node for key in left for node in pair_named(key)}


class Halted:
    """A command that stands still at a place."""

    def __init__(self, place: str, *arguments: str, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.halted", place, *arguments],
            env={**os.environ, **as_environment(settings)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> "Halted":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def await_halt(self) -> None:
        assert self._process.stdout is not None
        lines = iter(self._process.stdout.readline, "")
        assert any(HALTED in line for line in lines), self._process.communicate()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None

    def failure(self) -> str:
        """What it says when it has failed."""
        said, error = self._process.communicate(timeout=PATIENCE_SECONDS)
        assert self._process.returncode == 1, said + error
        assert "Traceback" not in error, error
        assert "certificate" not in said
        return error


def failures(engines: Engines, killed: Engine, commands: dict[str, Halted]) -> dict[str, str]:
    """Kills an engine while commands stand still at their places; what each says then."""
    for one in commands.values():
        one.await_halt()
    engines.kill(killed)
    for one in commands.values():
        one.go_on()
    return {place: one.failure() for place, one in commands.items()}


def killed_midway(engines: Engines, killed: Engine, families: dict[str, Family]) -> dict[str, str]:
    """Has an engine die at the place of each family's erasure; what each command says."""
    settings = engines.client.settings
    with ExitStack() as running:
        commands = {
            place: running.enter_context(
                Halted(place, "erase", family.email, "--yes", settings=settings)
            )
            for place, family in families.items()
        }
        return failures(engines, killed, commands)


def erase(client: Client, node: NodeId) -> Certificate:
    return asyncio.run(erase_person(client.settings, node, wait_seconds=PATIENCE_SECONDS))


def check_erased(client: Client, families: Iterable[Family]) -> None:
    """Nobody knows of Anna but what she withdrew; Boris has the tablet, and what was his."""
    assert not asyncio.run(records_behind(client.settings, PATIENCE_SECONDS))
    persons = {node: one for one in exported(client.settings) for node in one["members"]}
    erasures = latest(client, Topics.ERASURES)
    linked = set[NodeId]().union(*(named(client, topic) for topic in NAMES_LINKS))
    for family in families:
        assert linked.isdisjoint(family.hers)
        for node in family.hers:
            assert persons[node]["members"] == [node]
            profile = persons[node]["profile"]
            (word,) = profile.pop("consents").items()
            assert (word[0], word[1][1:]) == ("personal_ads", [1, "erasure"])
            assert not any(profile[name] for name in ("counts", "touches", "sign_ins", "purchases"))
            assert not decode_erasure(node.encode(), erasures[node.encode()] or b"").open_request
        boris = persons[family.boris]
        assert boris["members"] == sorted((family.boris, family.boris_card, family.tablet))
        assert f"O-{family.name}" in json.dumps(boris["profile"])


def rebuild_all(engines: Engines) -> None:
    """Everything anew from Kafka; streams stands still for it."""
    engines.streams.stop()
    asyncio.run(rebuild(engines.client.settings, lambda *_: None))
    engines.start_streams()


def test_an_erasure_during_which_kafka_is_killed_is_finished_by_the_same_command(
    engines: Engines,
) -> None:
    client = engines.client
    places = (
        "erasures.v1:read", "evidence.v1:1", "quarantine.v1:1", "events.v1:1", "erasures.v1:2"
    )  # fmt: skip
    families = {place: Family(client, f"kafka{at}") for at, place in enumerate(places)}
    bystanders = Family(client, "bystanders")
    live(client, [*families.values(), bystanders])
    untouched = [one for one in exported(client.settings) if bystanders.is_of(one)]
    assert len(untouched) == 3

    for place, error in killed_midway(engines, engines.kafka, families).items():
        is_begun = place != "erasures.v1:read"
        assert ("the same command finishes it" if is_begun else "nothing was changed") in error
        assert "stood still for 2 s" in error
    engines.restart_kafka()
    for family in families.values():
        done = erase(client, family.phone)
        assert [one.node for one in done.identifiers] == family.hers
    check_erased(client, families.values())
    after = exported(client.settings)
    assert [one for one in after if bystanders.is_of(one)] == untouched

    rebuild_all(engines)
    assert exported(client.settings) == after
    check_erased(client, families.values())


def test_an_erasure_during_which_redis_is_lost_is_finished_after_a_rebuild(
    engines: Engines,
) -> None:
    client = engines.client
    places = ("erasures.v1:1", "events.v1:1")
    families = {place: Family(client, f"redis{at}") for at, place in enumerate(places)}
    live(client, list(families.values()))
    for error in killed_midway(engines, engines.redis, families).values():
        assert "the same command finishes it" in error
        assert f"Redis at 127.0.0.1:{engines.redis.port}" in error
    engines.restart_redis()
    rebuild_all(engines)
    for family in families.values():
        done = erase(client, family.phone)
        assert [one.node for one in done.identifiers] == family.hers
    check_erased(client, families.values())


def records_of(settings: Settings) -> list[tuple[Any, ...]]:
    """Everything in the topics that a rotation reads."""
    found: list[tuple[Any, ...]] = []

    async def read() -> None:
        consumer = await kafka_clients.consumer(settings)
        parts = [
            TopicPartition(topic.name(settings.owner), number)
            for topic in ROTATED
            for number in range(topic.partitions)
        ]
        consumer.assign(parts)
        try:
            await kafka_clients.replay(
                consumer, parts, lambda r: found.append((r.topic, r.partition, r.offset, r.value))
            )
        finally:
            await consumer.stop()

    asyncio.run(read())
    return sorted(found)


def test_a_rotation_during_which_kafka_is_killed_is_done_again_to_another_name(
    engines: Engines,
) -> None:
    settings, families = engines.client.settings, [Family(engines.client, "rotated")]
    live(engines.client, families)
    engines.streams.stop()
    before = asyncio.run(export_persons(settings)).lines
    old_records = records_of(settings)
    places = {"evidence.v1:read": "unread", "events.v1:5": "half"}
    with ExitStack() as running:
        commands = {
            place: running.enter_context(
                Halted(
                    place, "rotate", settings.owner, "--yes",
                    settings=rotated_settings(settings, name),
                )
            )
            for place, name in places.items()
        }  # fmt: skip
        for error in failures(engines, engines.kafka, commands).values():
            assert "the copy is not whole: do it again to another KINBID_OWNER" in error
            assert "stood still for 2 s" in error
    engines.restart_kafka()
    half = rotated_settings(settings, "half")
    assert len([one for one in records_of(half) if one[0] == "half.events.v1"]) == 4
    with pytest.raises(KinbidError, match="not empty"):
        asyncio.run(rotate(half, settings.owner, lambda *_: None))

    whole = rotated_settings(settings, "whole")
    asyncio.run(rotate(whole, settings.owner, lambda *_: None))
    asyncio.run(rebuild(whole, lambda *_: None))
    assert exported(whole) == renamed(before)
    assert records_of(settings) == old_records
    engines.start_streams()
