"""The firehose when Kafka refuses: nothing is committed, told twice or lost."""

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from models.commands import Steps
from models.events import Event, Order, SignIn, encode
from models.evidence import pair_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.limits import Limit
from models.link_records import VerdictRecord, encode_link_record, pair_key
from models.matches import Match, encode_match
from models.outcomes import Billing
from models.profile import person_of
from models.purchases import totals
from models.topics import Topics
from models.units import DAY_MS, AdvertiserId, CampaignId, CreativeId, ExchangeId
from runtime import clock
from runtime.link import RedisDownError
from runtime.settings import Settings
from streams import firehose as firehose_module
from streams.firehose import Firehose
from streams.metrics import Metrics
from streams.replay import Replay
from tests.fakes.memory_store import MemoryStore, Runner, run

SETTINGS = Settings(owner="o")
KEYS = Keys("o")
EVENTS = TopicPartition(Topics.EVENTS.name("o"), 0)
VERDICTS = TopicPartition(Topics.VERDICTS.name("o"), 0)
MATCHES = TopicPartition(Topics.MATCHES.name("o"), 0)
OUTCOMES = TopicPartition(Topics.OUTCOMES.name("o"), 0)
SHOP = AdvertiserId("shop")
DEVICE, ANNA, BORIS = NodeId("k" + "d" * 22), NodeId("c" + "a" * 22), NodeId("c" + "b" * 22)


class Record(msgspec.Struct):
    key: bytes
    value: bytes
    offset: int
    timestamp: int = DAY_MS


class MemoryLink:
    """As much of a Redis link as the firehose uses; it is lost once, after ``left`` commands."""

    losses = 0
    delay_seconds = 0.0

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.left: int | None = None

    async def run(self, steps: Steps[Any]) -> Any:  # noqa: ANN401 - any result
        await asyncio.sleep(self.delay_seconds)
        runner = Runner(self.store, steps)
        while not runner.done:
            if self.left == 0:
                self.left = None
                raise RedisDownError("gone")
            self.left = None if self.left is None else self.left - 1
            runner.step()
        return runner.result

    async def run_all(self, algorithms: Iterable[Steps[Any]]) -> list[Any]:
        return [await self.run(steps) for steps in algorithms]


class Broker:
    """Consumer and producer of a broker that refuses some records before it takes them.

    Args:
        refusals: how many it refuses.
        refused: of topics whose names end so; of all if empty.
    """

    def __init__(self, refusals: int, refused: str = "") -> None:
        self.refusals, self._refused = refusals, refused
        self.offsets: dict[TopicPartition, int] = {}
        self.committed_while_refusing = False
        self.taken: dict[str, list[tuple[bytes | None, bytes | None]]] = {}
        self.waiting: list[dict[TopicPartition, list[Record]]] = []
        self.asked_for: list[int] = []
        self.read = 0
        self.end = 0
        self.idle = asyncio.Event()

    async def getmany(self, *, max_records: int, **_: object) -> dict[TopicPartition, list[Record]]:
        self.asked_for.append(max_records)
        if self.waiting:
            fetched = self.waiting.pop(0)
            self.read += len(fetched.get(EVENTS, ()))
            return fetched
        self.idle.set()
        await asyncio.sleep(0.01)
        return {}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        took_over = all(offset == 0 for offset in offsets.values())
        self.committed_while_refusing |= self.refusals > 0 and not took_over
        self.offsets |= offsets

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.offsets.get(partition)

    async def position(self, _: TopicPartition) -> int:
        return self.read

    def paused(self) -> set[TopicPartition]:
        return set()

    def resume(self, *_: TopicPartition) -> None:
        pass

    def assignment(self) -> set[TopicPartition]:
        return {EVENTS, VERDICTS, MATCHES}

    def highwater(self, partition: TopicPartition) -> int:
        return self.end

    async def send(self, topic: str, *, key: bytes | None, value: bytes | None, **_: object) -> Any:  # noqa: ANN401 - an awaitable
        if self.refusals and topic.endswith(self._refused):
            self.refusals -= 1
            raise KafkaConnectionError("no broker")
        self.taken.setdefault(topic, []).append((key, value))
        return asyncio.sleep(0)

    async def send_and_wait(self, topic: str, **record: Any) -> None:  # noqa: ANN401 - a record
        await (await self.send(topic, key=record["key"], value=record["value"]))


class Worker:
    """A firehose over fakes, from batches to the end of their work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(firehose_module, "RETRY_SECONDS", 0.001)
        self.redis, self.metrics = MemoryLink(), Metrics()

    def work(
        self,
        *batches: dict[TopicPartition, list[Record]],
        refusals: int = 0,
        refused: str = "",
        settings: Settings = SETTINGS,
        border: int | None = None,
    ) -> Broker:
        """Returns the broker when all is done; up to a border it is a replay."""

        async def until_idle() -> Broker:
            broker = Broker(refusals, refused)
            broker.waiting += batches
            replay = None
            if border is not None:
                replay = Replay(broker)
                replay.begin({EVENTS: border})
            worker = Firehose(settings, broker, broker, self.redis, self.metrics, replay=replay)  # type: ignore[arg-type]  # fakes
            running = asyncio.create_task(worker.run())
            await asyncio.wait_for(broker.idle.wait(), 10)
            running.cancel()
            await asyncio.wait({running})
            await worker.stop()
            return broker

        return asyncio.run(until_idle())

    def person(self, node: NodeId) -> set[NodeId]:
        return set(run(self.redis.store, settle(KEYS, node)).members)

    def orders(self, node: NodeId) -> int:
        facet, _ = person_of(run(self.redis.store, settle(KEYS, node)))
        return totals(facet.purchases[SHOP]).order_count

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"streams_{name}_total", labels) or 0.0


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)


def sign_in(at: int, account: NodeId) -> SignIn:
    return SignIn(event_id=str(at), ids=(DEVICE, account), event_time_ms=at, advertiser=SHOP)


ORDER = Order(
    event_id="o", ids=(DEVICE,), event_time_ms=3, advertiser=SHOP, order_id="o", revenue_micros=1,
    margin_micros=0,
)  # fmt: skip


def events(*told: Event) -> dict[TopicPartition, list[Record]]:
    return {
        EVENTS: [
            Record(one.ids[0].encode(), encode(one), offset) for offset, one in enumerate(told)
        ]
    }


UNREADABLE = {EVENTS: [Record(b"ann@mail.example", b"{}", 0)]}


def verdicts(*values: bytes) -> dict[TopicPartition, list[Record]]:
    key = pair_key(DEVICE, ANNA)
    return {VERDICTS: [Record(key, value, offset) for offset, value in enumerate(values)]}


LOW, HIGH = pair_of(DEVICE, ANNA)
REJECTED = encode_link_record(VerdictRecord(a=LOW, b=HIGH, verdict="rejected", at_ms=9))


def keys_of(records: Sequence[tuple[bytes | None, bytes | None]]) -> list[bytes | None]:
    return sorted((key for key, _ in records), key=str)


@pytest.mark.parametrize("refusals", [1, 2, 3, 5])
def test_a_batch_whose_evidence_kafka_refuses_is_done_again_and_counts_once(
    worker: Worker, refusals: int
) -> None:
    broker = worker.work(events(sign_in(1, ANNA), sign_in(2, BORIS), ORDER), refusals=refusals)
    # Two topics are told side by side, so one attempt may meet two refusals.
    assert 0 < worker.count("batch_retries", dependency="kafka") <= refusals
    assert not broker.committed_while_refusing
    assert broker.offsets[EVENTS] == 3
    assert worker.person(DEVICE) == {DEVICE}
    assert worker.orders(DEVICE) == 1
    pairs = sorted([pair_key(DEVICE, ANNA), pair_key(DEVICE, BORIS)])
    assert set(keys_of(broker.taken[Topics.EVIDENCE.name("o")])) == set(pairs)
    assert set(keys_of(broker.taken[Topics.QUARANTINE.name("o")])) == set(pairs)


def test_a_verdict_whose_consequences_kafka_refuses_is_carried_out_again(worker: Worker) -> None:
    worker.work(events(sign_in(1, ANNA), ORDER))
    broker = worker.work(verdicts(REJECTED), refusals=2)
    assert not broker.committed_while_refusing
    assert broker.offsets[VERDICTS] == 1
    assert worker.person(DEVICE) == {DEVICE}
    assert keys_of(broker.taken[Topics.QUARANTINE.name("o")]) == [pair_key(DEVICE, ANNA)]
    assert worker.count("splits") == 1


def test_a_bad_verdict_is_buried_and_the_next_one_carried_out(worker: Worker) -> None:
    worker.work(events(sign_in(1, ANNA)))
    broker = worker.work(verdicts(b'{"verdict": "perhaps"}', b"", REJECTED))
    assert len(broker.taken[Topics.DEAD_LETTERS.name("o")]) == 2
    assert worker.count("dead_letters", topic="verdicts") == 2
    assert worker.person(DEVICE) == {DEVICE}
    assert broker.offsets[VERDICTS] == 3


def test_a_redis_lost_at_any_command_of_a_contested_batch_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Evidence that was kept and not looked at yet is looked at when the batch is done again."""
    for commands in itertools.count():
        worker = Worker(monkeypatch)
        worker.redis.left = commands
        broker = worker.work(events(sign_in(1, ANNA), sign_in(2, BORIS), ORDER))
        retries = worker.count("batch_retries", dependency="redis")
        assert retries <= (worker.redis.left is None)
        assert worker.person(DEVICE) == {DEVICE}
        assert worker.orders(DEVICE) == 1
        told = dict(broker.taken[Topics.QUARANTINE.name("o")])
        assert set(told) == {pair_key(DEVICE, ANNA), pair_key(DEVICE, BORIS)}
        assert None not in told.values()
        assert broker.offsets == {EVENTS: 3}
        if not retries:  # it was not lost any more, or when epochs were looked at
            assert commands > 50
            return


def test_a_worker_that_is_behind_and_waits_for_redis_takes_more_at_once(worker: Worker) -> None:
    worker.redis.delay_seconds = 0.05
    settings = msgspec.structs.replace(SETTINGS, streams_batch_records=2)
    full = events(*[sign_in(at, ANNA) for at in range(2)])
    broker = worker.work(full, events(ORDER), settings=settings)
    assert broker.asked_for[:3] == [2, 4, 2]


def test_a_dead_letter_is_buried_once_however_often_redis_is_rebuilt(worker: Worker) -> None:
    """Again in its topic it would begin its retention anew, with whatever it holds in clear."""
    topic = Topics.DEAD_LETTERS.name("o")
    assert len(worker.work(UNREADABLE).taken[topic]) == 1
    rebuilt = worker.work(UNREADABLE, border=1)
    assert topic not in rebuilt.taken
    assert rebuilt.offsets == {EVENTS: 1}


def test_what_streams_had_not_read_before_a_rebuild_is_buried_by_it(worker: Worker) -> None:
    assert len(worker.work(UNREADABLE, border=0).taken[Topics.DEAD_LETTERS.name("o")]) == 1


def test_a_partition_that_another_worker_has_now_lags_behind_no_more_here(worker: Worker) -> None:
    lags = [("streams_lag_records", 3.0), ("streams_lag_seconds", 5.0)]

    async def give_up() -> None:
        broker = Broker(0)
        broker.end = 4
        firehose = Firehose(SETTINGS, broker, broker, worker.redis, worker.metrics)  # type: ignore[arg-type]  # fakes
        (records,) = events(sign_in(1, ANNA)).values()
        records[0].timestamp = clock.now_ms() - 5000
        await firehose._until_done({EVENTS: records})
        assert all(lag(name) >= least for name, least in lags)
        await firehose.on_partitions_revoked({EVENTS})
        assert all(lag(name) is None for name, _ in lags)

    def lag(name: str) -> Any:  # noqa: ANN401 - a number or None
        labels = {"topic": "events", "partition": "0"}
        return worker.metrics.registry.get_sample_value(name, labels)

    asyncio.run(give_up())


def billed(nonce: str, offset: int) -> Record:
    """An impression under a cap of one, billed a second after its bid."""
    notice = Billing(
        node=DEVICE, nonce=nonce, campaign=CampaignId("C"), creative=CreativeId("R"),
        exchange=ExchangeId("north"), clearing_cpm_micros=1, notice_time_ms=DAY_MS + offset,
        personal=True, bid_time_ms=DAY_MS + offset - 1_000, advertiser=SHOP, reserved_seconds=10,
        limits=(Limit(1, 60),),
    )  # fmt: skip
    return Record(DEVICE.encode(), encode(notice), offset)


@pytest.mark.parametrize("left", [None, *range(1, 12)])
def test_impressions_beyond_a_cap_are_counted_once_however_often_a_batch_is_done(
    worker: Worker, left: int | None
) -> None:
    """C 4: Redis may go away at any command in between."""
    worker.redis.left = left
    records = [billed("1", 0), billed("2", 1), billed("2", 2)]
    worker.work(*({OUTCOMES: [record]} for record in records))
    leaked = worker.count("over_cap_impressions", cause="in_flight")
    _, ledger = person_of(run(worker.redis.store, settle(KEYS, DEVICE)))
    assert ledger.billed_count == 2
    # What was folded before the loss is not measured again: it may go unseen, never count twice.
    assert leaked == 1 if left is None else leaked <= 1
    delays = worker.metrics.registry.get_sample_value(
        "streams_billing_delay_seconds_bucket", {"exchange": "north", "le": "1.0"}
    )
    assert delays == 2 if left is None else delays is None or delays <= 2


USER, OTHER_USER = NodeId("u" + "a" * 22), NodeId("u" + "b" * 22)


def matches(*told: tuple[NodeId, NodeId, int]) -> dict[TopicPartition, list[Record]]:
    """Matches of user ids with cookies, so many days ago; and one record that is none."""
    now_ms = clock.now_ms()
    records = []
    for offset, (user, cookie, days_ago) in enumerate(told):
        at_ms = now_ms - days_ago * DAY_MS
        match = Match(node=user, cookie=cookie, matched_ms=at_ms, expires_ms=at_ms + 14 * DAY_MS)
        records.append(Record(user.encode(), encode_match(match), offset, at_ms))
    return {MATCHES: [*records, Record(b"key", b"{", len(told), now_ms)]}


def test_a_match_leads_to_its_newest_cookie_until_it_expires_and_links_nobody(
    worker: Worker,
) -> None:
    """R13: what has expired is not written, and no person comes of a match."""
    cookies = [NodeId("k" + letter * 22) for letter in "xyz"]
    told = matches((USER, cookies[0], 3), (OTHER_USER, cookies[1], 20), (USER, cookies[2], 1))
    broker = worker.work(told)
    store = worker.redis.store
    key = KEYS.match(USER).encode()
    assert store.data[key] == cookies[2].encode()
    assert 12 * DAY_MS < store.expiring[key] - clock.now_ms() <= 13 * DAY_MS
    assert KEYS.match(OTHER_USER).encode() not in store.data
    assert worker.person(USER) == {USER}
    assert worker.count("dead_letters", topic="matches") == 1
    assert worker.count("events", topic="matches") == 4
    assert broker.offsets[MATCHES] == 4


def test_matches_read_again_come_to_the_same(worker: Worker) -> None:
    """Kafka is the record: after a rebuild the same stands in Redis."""
    cookies = [NodeId("k" + letter * 22) for letter in "xy"]
    told = matches((USER, cookies[0], 3), (USER, cookies[1], 1))
    worker.work(told)
    before = dict(worker.redis.store.data)
    worker.work(told)
    assert worker.redis.store.data[KEYS.match(USER).encode()] == cookies[1].encode()
    assert before.keys() == worker.redis.store.data.keys()
