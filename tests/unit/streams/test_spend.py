"""What the keeper of spend says that it knows, by a consumer that is told what to find."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from models.events import Billing, encode
from models.identifiers import NodeId
from models.spend_book import SpendBook
from models.spend_records import SpendMark, SpendRecord, decode_spend
from models.topics import Topics
from models.units import CampaignId, CreativeId, ExchangeId
from runtime import clock
from runtime.settings import Settings
from streams.metrics import Metrics
from streams.spend import SpendKeeper

NOW_MS = 1_790_000_000_000
SETTINGS = Settings(kafka_bootstrap="nowhere:1")
PART = TopicPartition(Topics.OUTCOMES.name(SETTINGS.owner), 1)


class Consumer:
    """Stands at ``at``; a broker said at ``asked_ms`` that the partition ends at ``end``."""

    def __init__(self, *, at: int, end: int | None, asked_ms: int | None) -> None:
        self.at, self.end, self.asked_ms = at, end, asked_ms

    def assignment(self) -> set[TopicPartition]:
        return {PART}

    def highwater(self, _: TopicPartition) -> int | None:
        return self.end

    def last_poll_timestamp(self, _: TopicPartition) -> int | None:
        return self.asked_ms

    async def position(self, _: TopicPartition) -> int:
        return self.at


class Producer:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[SpendRecord] = []

    async def send(self, _: str, *, key: bytes, value: bytes) -> "asyncio.Future[None]":
        self.sent.append(decode_spend(value))
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def marks(consumer: Consumer, fetched: dict[TopicPartition, list[Any]]) -> list[int]:
    """Until when all is counted, as it is told after one look."""
    producer = Producer()

    async def run() -> None:
        keeper = SpendKeeper(SETTINGS, consumer, producer, Metrics())
        keeper._books[PART] = SpendBook(PART.partition)
        await keeper._count(fetched)
        await keeper._publish()

    asyncio.run(run())
    return [one.counted_ms for one in producer.sent if isinstance(one, SpendMark)]


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)


def billed(offset: int, time_ms: int) -> "ConsumerRecord[bytes, bytes]":
    outcome = Billing(
        node=NodeId(""), nonce=str(offset), campaign=CampaignId("a"), creative=CreativeId("c"),
        exchange=ExchangeId("e"), clearing_cpm_micros=5000, notice_time_ms=time_ms, personal=False,
    )  # fmt: skip
    value = encode(outcome)
    return ConsumerRecord(
        topic=PART.topic, partition=PART.partition, offset=offset, timestamp=time_ms,
        timestamp_type=0, key=b"n", value=value, checksum=None, serialized_key_size=1,
        serialized_value_size=len(value), headers=(),
    )  # fmt: skip


def test_nothing_fetched_is_not_nothing_told_while_notices_wait() -> None:
    """A partition that was just taken over has a backlog: budgets stay closed until it is read."""
    assert marks(Consumer(at=3, end=500, asked_ms=NOW_MS - 5), {}) == []
    assert marks(Consumer(at=3, end=None, asked_ms=None), {}) == []


def test_spend_is_known_as_of_the_brokers_last_answer() -> None:
    """Of a broker that is gone nothing comes either: what was known grows old, and closes."""
    assert marks(Consumer(at=9, end=9, asked_ms=NOW_MS - 60_000), {}) == [NOW_MS - 60_000]


def test_in_a_backlog_spend_is_known_as_of_the_last_notice_read() -> None:
    notices = {PART: [billed(7, NOW_MS - 40_000), billed(8, NOW_MS - 30_000)]}
    assert marks(Consumer(at=9, end=500, asked_ms=NOW_MS - 5), notices) == [NOW_MS - 30_000]


def test_at_the_end_a_bidder_whose_clock_is_behind_makes_nothing_old() -> None:
    notices = {PART: [billed(8, NOW_MS - 30_000)]}
    assert marks(Consumer(at=9, end=9, asked_ms=NOW_MS - 5), notices) == [NOW_MS - 5]
