"""Patience with Kafka, by a clock that a test moves."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from runtime import kafka
from runtime.kafka import PATIENCE_SECONDS, KafkaDownError

PART = TopicPartition("o.erasures.v1", 0)


async def pass_time(seconds: float) -> None:
    """Moves the loop's clock, and lets everything run that is due by then."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_moving", [True, False])
def test_only_what_stands_still_is_given_up(is_moving: bool) -> None:
    async def work() -> None:
        async with kafka.patience() as moved:
            for _ in range(3):
                await pass_time(PATIENCE_SECONDS * 0.6)
                if is_moving:
                    moved()

    if is_moving:
        asyncio.run(work())
        return
    with pytest.raises(KafkaTimeoutError, match="stood still"):
        asyncio.run(work())


def test_a_timeout_of_something_else_is_not_taken_for_kafkas() -> None:
    async def work() -> None:
        async with kafka.patience():
            raise TimeoutError

    with pytest.raises(TimeoutError):
        asyncio.run(work())


class GoneBroker:
    """A consumer whose broker died after it had told where the topic ends."""

    async def seek_to_beginning(self, *_: TopicPartition) -> None:
        """Nothing to do."""

    async def end_offsets(self, parts: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, 3)

    async def position(self, _: TopicPartition) -> int:
        return 0

    def seek(self, _: TopicPartition, offset: int) -> None:
        """Nothing to do."""

    def highwater(self, _: TopicPartition) -> None:
        """Not known without a record."""

    async def getmany(self, *_: TopicPartition, timeout_ms: int) -> dict[TopicPartition, Any]:
        await pass_time(timeout_ms / 1000)
        return {}


def test_reading_a_topic_whose_broker_is_gone_ends_by_a_sentence() -> None:
    with pytest.raises(KafkaDownError, match=r"o\.erasures\.v1 cannot be read: .*stood still"):
        asyncio.run(kafka.replay(GoneBroker(), [PART], lambda _: None))


def test_asking_where_a_partition_ends_is_given_up_when_the_broker_is_gone() -> None:
    with pytest.raises(KafkaTimeoutError, match="stood still"):
        asyncio.run(kafka.true_ends(GoneBroker(), [PART]))
