"""The way of receipts to Kafka: bounded, in batches, and the first thing to be dropped."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from bidder import receipt_outbox
from bidder.metrics import Counters
from bidder.receipt_outbox import MOST_WAITING_BYTES, Outbox
from models.nonces import Nonces
from models.receipts import receipt_partition
from models.topics import Topics
from runtime import kafka
from tests.unit.bidder.support import NOW_MS, SETTINGS

WORKER = "abc123"
NAME = Nonces(WORKER).next(NOW_MS)


class FakeBatch:
    """A batch of two."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes, int]] = []

    def append(self, *, key: bytes, value: bytes, timestamp: int) -> object | None:
        if len(self.records) == 2:
            return None
        self.records.append((key, value, timestamp))
        return object()

    def close(self) -> None:
        """Nothing more comes."""


class FakeProducer:
    """Takes batches, until it fails or waits for ever."""

    def __init__(self, failure: Exception | None = None, *, is_stuck: bool = False) -> None:
        self.sent: list[tuple[list[Any], str, int]] = []
        self.is_stopped = False
        self._failure = failure
        self._is_stuck = is_stuck

    def create_batch(self) -> FakeBatch:
        return FakeBatch()

    async def send_batch(
        self, batch: FakeBatch, topic: str, *, partition: int
    ) -> asyncio.Future[None]:
        if self._failure is not None:
            raise self._failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._is_stuck:
            self.sent.append((batch.records, topic, partition))
            future.set_result(None)
        return future

    async def stop(self) -> None:
        self.is_stopped = True


def outbox_with(
    counters: Counters, monkeypatch: pytest.MonkeyPatch, producer: FakeProducer | Exception
) -> Outbox:
    async def made(*_: object, **__: object) -> FakeProducer:
        if isinstance(producer, Exception):
            raise producer
        return producer

    monkeypatch.setattr(kafka, "lossy_producer", made)
    monkeypatch.setattr(receipt_outbox, "PATIENCE_SECONDS", 0.05)
    return Outbox(SETTINGS, counters, WORKER)


def test_receipts_go_to_their_workers_partition_in_batches_with_the_time_of_the_decision(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = FakeProducer()
    box = outbox_with(counters, monkeypatch, producer)
    for value in (b"1", b"2", b"3"):
        assert box.add(NAME, value, NOW_MS + 5)
    asyncio.run(box.close())
    assert [[value for _, value, _ in records] for records, _, _ in producer.sent] == [
        [b"1", b"2"], [b"3"],
    ]  # fmt: skip
    records, topic, partition = producer.sent[0]
    assert records[0] == (NAME.encode(), b"1", NOW_MS + 5)
    assert topic == Topics.RECEIPTS.name(SETTINGS.owner)
    assert partition == receipt_partition(WORKER)
    assert producer.is_stopped
    assert counters.value("bidder_receipts_dropped", "kafka") == 0


def test_a_record_is_never_older_than_its_name_says(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = FakeProducer()
    box = outbox_with(counters, monkeypatch, producer)
    box.add(NAME, b"1", NOW_MS - 60_000)  # the clock was put back
    asyncio.run(box.close())
    assert producer.sent[0][0][0][2] == NOW_MS


def test_a_full_queue_drops_what_comes_and_counts_it(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = FakeProducer()
    box = outbox_with(counters, monkeypatch, producer)
    half = bytes(MOST_WAITING_BYTES // 2)
    assert [box.add(NAME, half, NOW_MS) for _ in range(3)] == [True, True, False]
    assert counters.value("bidder_receipts_dropped", "queue") == 1
    asyncio.run(box.close())
    assert box.add(NAME, half, NOW_MS)


@pytest.mark.parametrize(
    "producer", [FakeProducer(KafkaTimeoutError()), FakeProducer(is_stuck=True)]
)
def test_what_kafka_does_not_take_in_time_is_dropped_and_counted(
    counters: Counters,
    monkeypatch: pytest.MonkeyPatch,
    producer: FakeProducer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    box = outbox_with(counters, monkeypatch, producer)
    for _ in range(3):
        box.add(NAME, b"1", NOW_MS)
    asyncio.run(box.close())
    assert counters.value("bidder_receipts_dropped", "kafka") == 3  # the batch, and one that waits
    assert "receipts_dropped" in caplog.text


def test_without_a_broker_receipts_wait_and_are_shipped_when_one_comes(
    counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = outbox_with(counters, monkeypatch, kafka.KafkaDownError("away"))
    box.add(NAME, b"1", NOW_MS)
    asyncio.run(box.close())
    producer = FakeProducer()

    async def made(*_: object, **__: object) -> FakeProducer:
        return producer

    async def run() -> None:
        monkeypatch.setattr(kafka, "lossy_producer", made)
        monkeypatch.setattr(receipt_outbox, "SHIP_SECONDS", 0.001)
        running = asyncio.create_task(box.run())
        while not producer.sent:  # noqa: ASYNC110 - the fake tells nobody
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(asyncio.wait_for(run(), 5))
    assert producer.sent[0][0][0][1] == b"1"
