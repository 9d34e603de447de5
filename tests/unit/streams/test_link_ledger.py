"""The link ledger: Kafka is told first, Redis notes it then, and repeating changes nothing."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import pytest
from aiokafka.errors import KafkaConnectionError

from models.card_words import CardWord
from models.commands import Steps
from models.erasure import begin_erasure
from models.events import CrmMerge, CrmSplit, Event, PageView, SignIn
from models.evidence import DEFAULT_LIMITS, Evidence, pair_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.link_records import (
    EvidenceRecord,
    VerdictRecord,
    decode_quarantine,
    decode_told,
    pair_key,
    told_pair,
    told_record,
)
from models.links import declare, link
from models.units import AdvertiserId
from runtime.settings import Settings
from streams.link_ledger import LinkLedger, follow_record, known_evidence
from streams.metrics import Metrics
from streams.stages.persons import KnownLinks, Touched, digest_events, look_around
from tests.fakes.memory_store import MemoryStore, Runner, run

T = TypeVar("T")
KEYS = Keys("o")
DEVICE, PHONE = NodeId("k" + "d" * 22), NodeId("p" + "p" * 22)
ANNA, BORIS = NodeId("c" + "a" * 22), NodeId("c" + "b" * 22)


class Life:
    """How many more things a worker does before it is no more; None: no end is near."""

    def __init__(self) -> None:
        self.left: int | None = None

    def act(self) -> None:
        if self.left is not None:
            if not self.left:
                raise KilledError
            self.left -= 1


class KilledError(Exception):
    """The worker is no more."""


class FakeRedis:
    """Runs generators on a store, one command after another."""

    def __init__(self, life: Life) -> None:
        self.store = MemoryStore()
        self._life = life

    async def run(self, steps: Steps[T]) -> T:
        runner = Runner(self.store, steps)
        while not runner.done:
            self._life.act()
            runner.step()
        return runner.result

    async def run_all(self, algorithms: Iterable[Steps[T]]) -> list[T]:
        return [await self.run(steps) for steps in algorithms]


class FakeProducer:
    """A compacted topic for each name; while it is down, nothing is taken."""

    def __init__(self, life: Life) -> None:
        self.topics: dict[str, dict[bytes, bytes | None]] = {}
        self.sent = 0
        self.is_down = False
        self._life = life

    async def send(self, topic: str, *, key: bytes, value: bytes | None) -> asyncio.Future[None]:
        if self.is_down:
            raise KafkaConnectionError("no broker")
        self._life.act()
        self.topics.setdefault(topic, {})[key] = value
        self.sent += 1
        taken = asyncio.get_running_loop().create_future()
        taken.set_result(None)
        return taken


class World:
    """One worker's ledger over fakes."""

    def __init__(self) -> None:
        self.life = Life()
        self.redis, self.producer = FakeRedis(self.life), FakeProducer(self.life)
        self.metrics = Metrics()
        self.tokens = (f"t{n}" for n in itertools.count())
        self.ledger = LinkLedger(
            Settings(owner="o"), self.producer, self.redis, self.metrics,  # type: ignore[arg-type]  # fake
            lambda: next(self.tokens),
        )  # fmt: skip

    def digest(self, *events: Event) -> Touched:
        return asyncio.run(self.redis.run(self._digest(events)))

    def _digest(self, events: Sequence[Event]) -> Steps[Touched]:
        touched = yield from digest_events(
            KEYS, events[0].ids[0], 1, list(enumerate(events)), known=KnownLinks(),
            next_token=lambda: next(self.tokens),
        )  # fmt: skip
        (touched,) = yield from look_around(KEYS, [touched], lambda: next(self.tokens))
        return touched

    def keep(self, touched: Iterable[Touched]) -> None:
        asyncio.run(self.ledger.keep(touched))

    def hear(self, *events: Event) -> None:
        """One batch of one identifier's events, as the firehose runs it."""
        self.keep([self.digest(*events)])

    def hear_phone(self, confidence: int) -> None:
        """Call tracking finds that a call came from a web session."""
        evidence = Evidence("call_session", 1, confidence)
        done = asyncio.run(
            self.redis.run(link(KEYS, PHONE, DEVICE, evidence, lambda: next(self.tokens)))
        )
        told = told_record(PHONE, DEVICE, evidence)
        self.keep([Touched(PHONE, PHONE, (done,), (pair_of(PHONE, DEVICE),), (told,))])

    def judge(self, *verdicts: VerdictRecord) -> None:
        asyncio.run(self.ledger.judge(verdicts))

    def person(self, node: NodeId) -> set[NodeId]:
        return set(run(self.redis.store, settle(KEYS, node)).members)

    @property
    def splits(self) -> float:
        return self.metrics.registry.get_sample_value("streams_splits_total") or 0.0

    @property
    def notes(self) -> dict[bytes, str]:
        """Why pairs are not joined, as Redis has it under both of their identifiers."""
        noted: defaultdict[bytes, list[str]] = defaultdict(list)
        for key, fields in self.redis.store.data.items():
            if not key.startswith(b"o:w:") or isinstance(fields, bytes):
                continue
            for name, reason in fields.items():
                if name.startswith(b"s:"):
                    pair = pair_key(NodeId(key[5:-1].decode()), NodeId(name[2:].decode()))
                    noted[pair].append(reason.decode())
        for one, other in noted.values():
            assert one == other
        return {pair: one for pair, (one, _) in noted.items()}

    @property
    def evidence(self) -> dict[bytes, bytes]:
        """What stands in the topic, tombstones left out."""
        told = self.producer.topics.get("o.evidence.v1", {})
        return {key: value for key, value in told.items() if value is not None}

    @property
    def is_contested(self) -> bool:
        """Whether anybody has to look at all evidence when more of it comes."""
        persons = [v for k, v in self.redis.store.data.items() if k.startswith(b"o:p:")]
        return any(b"!" in fields for fields in persons if isinstance(fields, dict))

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
MERGE = CrmMerge(event_id="1", ids=(ANNA, BORIS), event_time_ms=3)
SPLIT = CrmSplit(event_id="1", ids=(ANNA, BORIS), event_time_ms=4)


def test_a_followed_link_is_kept_with_its_earliest_evidence() -> None:
    world = World()
    world.keep([world.digest(signed_in(DEVICE, ANNA, at=5))])
    world.keep([world.digest(signed_in(DEVICE, ANNA, at=7))])
    kept = world.producer.topics["o.evidence.v1"]
    assert list(kept) == [pair_key(DEVICE, ANNA)]
    assert b'"event_time_ms":5' in (kept[pair_key(ANNA, DEVICE)] or b"")


class HalfDown(FakeProducer):
    """Refuses one topic at once, and takes long over another."""

    async def send(self, topic: str, *, key: bytes, value: bytes | None) -> asyncio.Future[None]:
        if topic == "o.link-history.v1":
            raise KafkaConnectionError("no leader")
        await asyncio.sleep(0.01)
        return await super().send(topic, key=key, value=value)


def test_a_batch_is_not_tried_again_before_all_that_it_tells_kafka_has_ended() -> None:
    world = World()
    producer = HalfDown(world.life)
    ledger = LinkLedger(
        Settings(owner="o"), producer, world.redis, world.metrics,  # type: ignore[arg-type]  # fake
        lambda: next(world.tokens),
    )  # fmt: skip
    touched = world.digest(signed_in(DEVICE, ANNA))

    async def sent_when_told() -> int:
        with pytest.raises(KafkaConnectionError):
            await ledger.keep([touched])
        return producer.sent

    assert asyncio.run(sent_when_told()) == 1


def history(world: World) -> set[tuple[str, int]]:
    told = world.producer.topics.get("o.link-history.v1", {})
    assert {told_pair(key) for key in told} <= {pair_of(DEVICE, PHONE)}
    kept = [decode_told(key, value) for key, value in told.items() if value is not None]
    return {(one.kind, one.event_time_ms) for one in kept}


def seen_together(at: int) -> PageView:
    air = AdvertiserId("air")
    return PageView(
        event_id=str(at), ids=(DEVICE, PHONE), event_time_ms=at, advertiser=air, page="/"
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_what_made_a_link_first_is_in_its_history_whatever_the_order_of_telling(
    order: tuple[int, ...],
) -> None:
    events: list[Event] = [
        seen_together(3), seen_together(60), signed_in(DEVICE, PHONE, at=50),
        signed_in(DEVICE, PHONE, at=70),
    ]  # fmt: skip
    world = World()
    for number in order:
        world.hear(events[number])
    assert history(world) >= {("seen_with", 3), ("sign_in", 50)}
    at_once = World()
    at_once.hear(*(events[number] for number in order))
    assert history(at_once) >= {("seen_with", 3), ("sign_in", 50)}


def test_what_came_later_and_is_no_stronger_is_in_no_history() -> None:
    world = World()
    world.hear(signed_in(DEVICE, PHONE, at=5))
    world.hear(seen_together(6), signed_in(DEVICE, PHONE, at=7))
    assert history(world) == {("sign_in", 5)}


def test_what_is_told_of_somebody_erased_leaves_their_history() -> None:
    world = World()
    world.hear(seen_together(3))
    asyncio.run(world.redis.run(begin_erasure(KEYS, [PHONE], 10)))
    world.hear(seen_together(3), signed_in(DEVICE, PHONE, at=9), seen_together(12))
    assert history(world) == {("seen_with", 12)}


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
    world.keep([world.digest(signed_in(DEVICE, ANNA), signed_in(DEVICE, PHONE))])
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


def test_a_link_that_was_too_weak_leaves_the_quarantine_when_somebody_signs_in() -> None:
    world = World()
    world.hear_phone(10)
    assert world.quarantine == {pair_key(DEVICE, PHONE): "weak"}
    world.hear(signed_in(DEVICE, PHONE))
    assert world.quarantine == {pair_key(DEVICE, PHONE): None}
    assert world.person(PHONE) == {PHONE, DEVICE}
    assert not world.notes
    assert not world.is_contested


def test_who_told_late_looks_again() -> None:
    """What one worker saw is out of date when another has looked since; it stands corrected."""
    world = World()
    seen = world.digest(*SHARED)
    world.judge(verdict(DEVICE, BORIS, "rejected"))
    assert world.quarantine == {pair_key(DEVICE, BORIS): "rejected"}
    world.keep([seen])
    told = {key: reason for key, reason in world.quarantine.items() if reason is not None}
    assert told == world.notes == {pair_key(DEVICE, BORIS): "rejected"}
    assert not world.is_contested


# -- crashes ------------------------------------------------------------------------------------

KIOSK = [
    signed_in(DEVICE, NodeId(f"e{n:0>22}"), at=n + 3) for n in range(DEFAULT_LIMITS.links(DEVICE))
]

CRASHES: dict[str, tuple[list[Callable[[World], None]], Callable[[World], None]]] = {
    "a verdict makes two persons of one": (
        [lambda world: world.hear(signed_in(DEVICE, ANNA, PHONE))],
        lambda world: world.judge(verdict(DEVICE, ANNA, "rejected")),
    ),
    "a verdict ends all refusals but its own": (
        [lambda world: world.hear(*SHARED)],
        lambda world: world.judge(verdict(DEVICE, BORIS, "rejected")),
    ),
    "a sign-in makes a device shared": (
        [lambda world: world.hear(SHARED[0])],
        lambda world: world.hear(SHARED[1]),
    ),
    "a sign-in confirms what was too weak": (
        [lambda world: world.hear_phone(10)],
        lambda world: world.hear(signed_in(DEVICE, PHONE)),
    ),
    "one link too many isolates a shared device": (
        [lambda world: world.hear(*SHARED), lambda world: world.hear(*KIOSK[:-1])],
        lambda world: world.hear(KIOSK[-1]),
    ),
    "a merge of cards ends all refusals": (
        [lambda world: world.hear(*SHARED)],
        lambda world: world.hear(MERGE),
    ),
    "a split of cards brings them back": (
        [lambda world: world.hear(*SHARED), lambda world: world.hear(MERGE)],
        lambda world: world.hear(SPLIT),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CRASHES)
def test_a_worker_killed_between_any_two_commands_leaves_nothing_that_is_not_told(
    name: str,
) -> None:
    before, what = CRASHES[name]

    def begin() -> World:
        world = World()
        for one in before:
            one(world)
        return world

    whole = begin()
    what(whole)
    told = {key: reason for key, reason in whole.quarantine.items() if reason is not None}
    assert told == whole.notes
    for steps in itertools.count():
        world = begin()
        world.life.left = steps
        try:
            what(world)
        except KilledError:
            is_done = False
        else:
            is_done = True
        world.life.left = None
        what(world)
        assert world.quarantine == whole.quarantine, steps
        assert (world.notes, world.is_contested) == (whole.notes, whole.is_contested), steps
        assert world.evidence == whole.evidence, steps
        topics = world.producer.topics, whole.producer.topics
        assert topics[0].get("o.link-history.v1") == topics[1].get("o.link-history.v1"), steps
        for node in (DEVICE, PHONE, ANNA, BORIS):
            assert world.person(node) == whole.person(node), steps
        if is_done:
            assert steps > 5
            return


def test_a_merge_of_cards_is_followed_from_its_evidence_and_parted_by_a_newer_split() -> None:
    """As a rebuild does where the CRM's own record of the merge is gone."""
    store, tokens = MemoryStore(), map(str, itertools.count())
    merge = EvidenceRecord(
        a=ANNA,
        b=BORIS,
        kind="crm_merge",
        event_time_ms=5,
        confidence=Evidence("crm_merge", 5).confidence,
    )

    def cards_after(split_ms: int) -> set[NodeId]:
        word = CardWord(split_ms)
        run(store, declare(KEYS, ANNA, BORIS, word, lambda: next(tokens)))
        return set(run(store, settle(KEYS, ANNA)).members)

    followed = run(store, follow_record(KEYS, merge, lambda: next(tokens), DEFAULT_LIMITS))
    assert [one.result for one in followed.links] == ["linked"]
    assert run(store, known_evidence(KEYS, followed.pairs)) == {
        (ANNA, BORIS): Evidence("crm_merge", 5)
    }
    assert cards_after(4) == {ANNA, BORIS}
    assert cards_after(6) == {ANNA}
