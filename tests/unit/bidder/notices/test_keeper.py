"""Durable before it is answered: Kafka first, the disk while Kafka is away, and back."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from bidder.metrics import Counters
from bidder.notices import keeper as module
from bidder.notices.keeper import Keeper
from bidder.notices.segments import MAGIC, KafkaRecord, frame
from runtime.settings import Settings
from tests.unit.bidder.notices.support import FakeProducer
from tests.unit.bidder.support import SETTINGS

RECORDS = [KafkaRecord("demo.outcomes.v1", b"value %d" % n, b"k") for n in range(4)]
DOWN = KafkaConnectionError("no broker")


@pytest.fixture
def spooling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    return msgspec.structs.replace(SETTINGS, spool_directory=str(tmp_path / "spool"))


def run(steps: Coroutine[Any, Any, None]) -> None:
    asyncio.run(steps)


def values(producer: FakeProducer) -> list[bytes]:
    return [value for _, value, _, _ in producer.sent]


async def until(keeper: Keeper, is_right: Callable[[], bool]) -> None:
    """Drains until it is right."""
    draining = asyncio.create_task(keeper.drain())
    try:
        for _ in range(500):
            if is_right():
                return
            await asyncio.sleep(0.005)
        pytest.fail("it never came")
    finally:
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)


def test_while_kafka_takes_records_the_disk_is_not_touched(
    counters: Counters, spooling: Settings, tmp_path: Path
) -> None:
    async def scenario() -> None:
        producer = FakeProducer()
        keeper = Keeper(spooling, producer, counters)
        assert await keeper.keep(RECORDS[0])
        assert producer.sent == [("demo.outcomes.v1", b"value 0", b"k", {})]
        assert not any((tmp_path / "spool" / "demo").iterdir())
        await keeper.close()

    run(scenario())


def test_without_kafka_records_wait_on_disk_and_reach_it_when_it_is_back(
    counters: Counters, spooling: Settings
) -> None:
    """N5: durable either way; Kafka is asked once, not by every notice."""

    async def scenario() -> None:
        producer = FakeProducer(DOWN)
        keeper = Keeper(spooling, producer, counters)
        assert [await keeper.keep(one) for one in RECORDS] == [True] * 4
        assert producer.asked == 1
        assert counters.value("bidder_spooled_records") == 4
        producer.failure = None
        await until(keeper, lambda: keeper._asks_kafka)
        assert values(producer) == [one.value for one in RECORDS]
        assert counters.value("bidder_drained_records") == 4
        asked = producer.asked
        assert await keeper.keep(KafkaRecord("t", b"direct"))
        assert (producer.asked, values(producer)[-1]) == (asked + 1, b"direct")
        await keeper.close()

    run(scenario())


def test_a_kafka_that_is_slow_is_not_waited_for(counters: Counters, spooling: Settings) -> None:
    """N5: OpenX wants its answer within 80 ms."""

    async def scenario() -> None:
        producer = FakeProducer()
        producer.hangs = True
        keeper = Keeper(spooling, producer, counters)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await keeper.keep(RECORDS[0])
        assert loop.time() - began >= module.KAFKA_SECONDS
        assert counters.value("bidder_dependency_failures", "kafka") == 1
        assert counters.value("bidder_spooled_records") == 1
        await keeper.close()

    run(scenario())


def test_a_successor_sends_on_what_a_worker_left(counters: Counters, spooling: Settings) -> None:
    async def scenario() -> None:
        first = Keeper(spooling, FakeProducer(DOWN), counters)
        for one in RECORDS:
            assert await first.keep(one)
        await first.close()
        producer = FakeProducer()
        second = Keeper(spooling, producer, counters)
        await until(second, lambda: len(producer.sent) == 4)
        assert values(producer) == [one.value for one in RECORDS]
        await second.close()

    run(scenario())


def test_a_segment_that_breaks_off_is_sent_again_whole(
    counters: Counters, spooling: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: what comes twice counts once, by its nonce."""
    monkeypatch.setattr(module, "AT_ONCE", 1)

    class Breaks(FakeProducer):
        async def send_and_wait(
            self, topic: str, *, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]
        ) -> None:
            await super().send_and_wait(topic, value=value, key=key, headers=headers)
            if len(self.sent) == 2:
                self.failure = DOWN

    async def scenario() -> None:
        keeper = Keeper(spooling, FakeProducer(DOWN), counters)
        for one in RECORDS:
            await keeper.keep(one)
        breaking = keeper._producer = Breaks()
        await until(keeper, lambda: breaking.failure is not None)
        keeper._producer = whole = FakeProducer()
        await until(keeper, lambda: len(whole.sent) == 4)
        assert values(whole) == [one.value for one in RECORDS]
        await keeper.close()

    run(scenario())


def test_without_a_spool_the_sender_is_asked_to_repeat(counters: Counters) -> None:
    """N5, the declared mode: closed, and Kafka is asked by every notice."""

    async def scenario() -> None:
        producer = FakeProducer(DOWN)
        keeper = Keeper(SETTINGS, producer, counters)
        assert [await keeper.keep(one) for one in RECORDS] == [False] * 4
        assert producer.asked == 4
        assert counters.value("bidder_dependency_failures", "kafka") == 4
        producer.failure = None
        assert await keeper.keep(RECORDS[0])
        await keeper.close()

    run(scenario())


def test_a_full_spool_is_counted_and_the_sender_asked_to_repeat(
    counters: Counters, spooling: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        keeper = Keeper(spooling, FakeProducer(DOWN), counters)
        assert keeper._spool is not None
        keeper._spool._most_bytes = 50
        taken = [await keeper.keep(one) for one in RECORDS]
        assert taken == [True, False, False, False]
        assert counters.value("bidder_dependency_failures", "spool") == 3
        await keeper.close()

    run(scenario())


def test_a_segment_that_is_not_whole_is_told_and_what_is_whole_is_sent(
    counters: Counters, spooling: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool" / "demo"
    folder.mkdir(parents=True)
    damaged = bytearray(frame(RECORDS[1]))
    damaged[-1] ^= 1
    torn = frame(RECORDS[3])[:-2]
    content = MAGIC + frame(RECORDS[0]) + bytes(damaged) + frame(RECORDS[2]) + torn
    (folder / "0000000000001-1-0.spool").write_bytes(content)

    async def scenario() -> None:
        producer = FakeProducer()
        keeper = Keeper(spooling, producer, counters)
        await until(keeper, lambda: len(producer.sent) == 2)
        assert values(producer) == [RECORDS[0].value, RECORDS[2].value]
        await keeper.close()

    run(scenario())
    assert "spool_segment_not_whole" in [one.getMessage() for one in caplog.records]
    assert counters.value("bidder_dependency_failures", "spool") == 1
