"""What streams tells bidders of how far it has folded the outcomes."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from models.spend_records import FoldMark, decode_spend
from models.topics import Topics
from runtime import clock
from runtime.settings import Settings
from streams import fold_marks as module
from streams.fold_marks import FoldMarks
from streams.metrics import Metrics

SETTINGS = Settings()
OUTCOMES = Topics.OUTCOMES.name(SETTINGS.owner)
PART = TopicPartition(OUTCOMES, 2)
EVENTS = TopicPartition(Topics.EVENTS.name(SETTINGS.owner), 2)


class Kafka:
    """A consumer that has read so far of so much, and a producer."""

    def __init__(self) -> None:
        self.read, self.end, self.asked_ms = 5, 9, 9_000
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        """That comes later, once the record is on its way."""
        self.sent: list[tuple[str, bytes, FoldMark]] = []

    def assignment(self) -> set[TopicPartition]:
        return {PART, EVENTS}

    def highwater(self, _: TopicPartition) -> int:
        return self.end

    def last_poll_timestamp(self, _: TopicPartition) -> int:
        return self.asked_ms

    async def position(self, _: TopicPartition) -> int:
        return self.read

    async def send(self, topic: str, *, key: bytes, value: bytes) -> Any:  # noqa: ANN401 - a future
        if self.failure is not None:
            raise self.failure
        told = decode_spend(value)
        assert isinstance(told, FoldMark)
        self.sent.append((topic, key, told))
        sending = asyncio.get_running_loop().create_future()
        if self.refusal is None:
            sending.set_result(None)
        else:
            sending.set_exception(self.refusal)
        return sending


class Case:
    """Marks over fakes, each second another one."""

    def __init__(self) -> None:
        self.kafka, self.metrics = Kafka(), Metrics()
        self.marks = FoldMarks(SETTINGS, self.kafka, self.kafka, self.metrics)
        self.marks.begin()

    def tell(self) -> list[int]:
        async def tell() -> None:
            await self.marks.tell()
            await asyncio.sleep(0)

        asyncio.run(tell())
        sent, self.kafka.sent = self.kafka.sent, []
        assert all(topic == Topics.SPEND.name(SETTINGS.owner) for topic, _, _ in sent)
        assert all(key == b"fold/2" for _, key, _ in sent)
        return [told.folded_ms for _, _, told in sent]


def retries_of(case: Case) -> float | None:
    return case.metrics.registry.get_sample_value(
        "streams_batch_retries_total", {"dependency": "kafka"}
    )


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(module, "EVERY_SECONDS", 0.0)
    return Case()


def test_on_the_way_it_is_the_newest_record_that_is_folded(case: Case) -> None:
    assert case.tell() == [], "nothing is known yet"
    case.marks.learn(PART, 4_000)
    case.marks.learn(EVENTS, 8_000)
    assert case.tell() == [4_000]


def test_at_the_end_it_is_when_the_broker_named_that_end(case: Case) -> None:
    case.marks.learn(PART, 4_000)
    case.kafka.read = 9
    assert case.tell() == [9_000]


def test_after_a_takeover_nothing_is_known_of_what_others_folded(case: Case) -> None:
    case.marks.learn(PART, 4_000)
    case.kafka.read = 9
    case.marks.forget()
    assert case.tell() == [], "what was fetched may not be folded"
    case.marks.begin()
    assert case.tell() == [9_000]


def test_a_record_dated_ahead_makes_no_mark_ahead(case: Case) -> None:
    case.marks.learn(PART, 10**15)
    (folded_ms,) = case.tell()
    assert folded_ms <= clock.now_ms()


def test_a_second_passes_between_two_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case()
    monkeypatch.setattr(module, "EVERY_SECONDS", 3_600.0)
    case.marks.learn(PART, 4_000)
    case.marks._told = -3_600.0
    assert (case.tell(), case.tell()) == ([4_000], [])


def test_a_mark_that_kafka_does_not_take_is_counted_and_the_next_one_tried(case: Case) -> None:
    case.marks.learn(PART, 4_000)
    case.kafka.failure = KafkaConnectionError("no broker")
    assert case.tell() == []
    assert retries_of(case) == 1
    case.kafka.failure = None
    case.kafka.refusal = KafkaConnectionError("the broker went meanwhile")
    assert case.tell() == [4_000]
    assert retries_of(case) == 2
    case.kafka.refusal = None
    assert (case.tell(), retries_of(case)) == ([4_000], 2)
