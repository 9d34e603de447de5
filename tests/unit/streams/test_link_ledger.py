"""The link ledger: Kafka is told first, Redis notes it then, and repeating changes nothing."""

import asyncio
import itertools
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import pytest
from aiokafka.errors import KafkaConnectionError

from models.commands import Steps
from models.events import Event, SignIn
from models.evidence import pair_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.link_records import VerdictRecord, decode_quarantine, pair_key
from models.units import AdvertiserId
from runtime.settings import Settings
from streams.link_ledger import LinkLedger
from streams.metrics import Metrics
from streams.stages.persons import KnownLinks, Touched, digest_events
from tests.fakes.memory_store import MemoryStore, run

T = TypeVar("T")
KEYS = Keys("o")
DEVICE, PHONE = NodeId("k" + "d" * 22), NodeId("p" + "p" * 22)
ANNA, BORIS = NodeId("c" + "a" * 22), NodeId("c" + "b" * 22)


class FakeRedis:
    """Runs generators on a store; ``cut`` ends everything after so many steps."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.left: int | None = None

    async def run(self, steps: Steps[T]) -> T:
        def cut() -> Steps[T]:
            replies: list[Any] | None = None
            while True:
                try:
                    commands = steps.send(replies) if replies is not None else next(steps)
                except StopIteration as done:
                    result: T = done.value
                    return result
                if self.left is not None:
                    if not self.left:
                        raise KilledError
                    self.left -= 1
                replies = yield commands

        return run(self.store, cut())


class KilledError(Exception):
    """The worker is no more."""


class FakeProducer:
    """A compacted topic for each name; while it is down, nothing is taken."""

    def __init__(self) -> None:
        self.topics: dict[str, dict[bytes, bytes | None]] = {}
        self.sent = 0
        self.is_down = False

    async def send(
        self, topic: str, *, key: bytes, value: bytes | None
    ) -> Coroutine[None, None, None]:
        if self.is_down:
            raise KafkaConnectionError("no broker")
        self.topics.setdefault(topic, {})[key] = value
        self.sent += 1
        return asyncio.sleep(0)


class World:
    """One worker's ledger over fakes."""

    def __init__(self) -> None:
        self.redis, self.producer, self.metrics = FakeRedis(), FakeProducer(), Metrics()
        self.tokens = (f"t{n}" for n in itertools.count())
        self.ledger = LinkLedger(
            Settings(owner="o"), self.producer, self.redis, self.metrics,  # type: ignore[arg-type]  # fake
            lambda: next(self.tokens),
        )  # fmt: skip

    def digest(self, *events: Event) -> Touched:
        return run(
            self.redis.store,
            digest_events(
                KEYS, events[0].ids[0], 1, list(enumerate(events)), known=KnownLinks(),
                next_token=lambda: next(self.tokens),
            ),
        )  # fmt: skip

    def keep(self, touched: Iterable[Touched]) -> None:
        asyncio.run(self.ledger.keep(touched))

    def judge(self, *verdicts: VerdictRecord) -> None:
        asyncio.run(self.ledger.judge(verdicts))

    def person(self, node: NodeId) -> set[NodeId]:
        return set(run(self.redis.store, settle(KEYS, node)).members)

    @property
    def splits(self) -> float:
        return self.metrics.registry.get_sample_value("streams_splits_total") or 0.0

    @property
    def quarantine(self) -> dict[bytes, str | None]:
        return {
            key: None if value is None else decode_quarantine(key, value).reason
            for key, value in self.producer.topics.get("o.quarantine.v1", {}).items()
        }


def signed_in(*ids: NodeId, at: int = 1) -> SignIn:
    return SignIn(event_id="1", ids=ids, event_time_ms=at, advertiser=AdvertiserId("air"))


def verdict(a: NodeId, b: NodeId, what: Any) -> VerdictRecord:  # noqa: ANN401 - a literal
    low, high = pair_of(a, b)
    return VerdictRecord(a=low, b=high, verdict=what, at_ms=9)


SHARED = (signed_in(DEVICE, ANNA), signed_in(DEVICE, BORIS, at=2))


def test_a_followed_link_is_kept_with_its_earliest_evidence() -> None:
    world = World()
    world.keep([world.digest(signed_in(DEVICE, ANNA, at=5))])
    world.keep([world.digest(signed_in(DEVICE, ANNA, at=7))])
    kept = world.producer.topics["o.evidence.v1"]
    assert list(kept) == [pair_key(DEVICE, ANNA)]
    assert b'"event_time_ms":5' in (kept[pair_key(ANNA, DEVICE)] or b"")


def test_refusals_are_told_once() -> None:
    world = World()
    world.keep([world.digest(*SHARED)])
    told = world.quarantine
    assert told
    assert set(told.values()) == {"shared_device"}
    world.producer.topics.pop("o.quarantine.v1")
    world.keep([world.digest(*SHARED)])
    assert world.quarantine == {}


def test_refusals_that_kafka_did_not_take_are_told_when_the_batch_is_done_again() -> None:
    world = World()
    world.producer.is_down = True
    touched = world.digest(*SHARED)
    with pytest.raises(KafkaConnectionError):
        world.keep([touched])
    world.producer.is_down = False
    world.keep([world.digest(*SHARED)])
    assert set(world.quarantine.values()) == {"shared_device"}


def test_a_rejected_link_leaves_two_persons_and_a_repeated_verdict_changes_nothing() -> None:
    world = World()
    world.keep([world.digest(signed_in(DEVICE, ANNA, PHONE))])
    assert world.person(DEVICE) == {DEVICE, ANNA, PHONE}
    world.judge(verdict(DEVICE, ANNA, "rejected"))
    assert world.person(ANNA) == {ANNA}
    assert world.person(DEVICE) == {DEVICE, PHONE}
    assert world.quarantine == {pair_key(DEVICE, ANNA): "rejected"}
    sent, before = world.producer.sent, world.redis.store.canonical()
    world.judge(verdict(DEVICE, ANNA, "rejected"))
    assert world.producer.sent == sent
    assert world.redis.store.canonical() == before


def test_splits_are_counted_whoever_caused_them() -> None:
    world = World()
    world.keep([world.digest(*SHARED)])
    assert world.splits == 1
    world.keep([world.digest(signed_in(PHONE, ANNA, at=3))])
    world.judge(verdict(PHONE, ANNA, "rejected"), verdict(PHONE, ANNA, "rejected"))
    assert world.splits == 2


def test_an_approval_takes_the_refusal_back() -> None:
    world = World()
    world.keep([world.digest(signed_in(DEVICE, ANNA))])
    world.judge(verdict(DEVICE, ANNA, "rejected"), verdict(DEVICE, ANNA, "approved"))
    assert world.person(ANNA) == {ANNA, DEVICE}
    assert world.quarantine == {pair_key(DEVICE, ANNA): None}


def test_a_worker_killed_anywhere_in_a_verdict_comes_to_the_same_persons_after_its_restart() -> (
    None
):
    rejected = verdict(DEVICE, ANNA, "rejected")
    for steps in itertools.count():
        world = World()
        world.keep([world.digest(signed_in(DEVICE, ANNA, PHONE))])
        world.redis.left = steps
        try:
            world.judge(rejected)
        except KilledError:
            is_done = False
        else:
            is_done = True
        world.redis.left = None
        world.judge(rejected)
        assert world.person(ANNA) == {ANNA}
        assert world.person(DEVICE) == {DEVICE, PHONE}
        assert world.quarantine == {pair_key(DEVICE, ANNA): "rejected"}
        if is_done:
            assert steps > 5
            return
