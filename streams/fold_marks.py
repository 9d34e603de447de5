"""Tells bidders how far the firehose has folded what was billed: their caps rest on it."""

import asyncio
import logging
import time
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from models.spend_records import FoldMark, encode_spend, spend_key
from models.topics import Topics
from runtime import clock, kafka
from runtime.settings import Settings
from streams.metrics import Metrics

__all__ = ["FoldMarks"]

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0


class FoldMarks:
    """The marks of one worker: of the partitions of the outcomes that are its own.

    Args:
        settings: whose.
        consumer: of the firehose.
        producer: of the spend topic.
        metrics: what is counted.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: Any,  # noqa: ANN401 - untyped library
        producer: Any,  # noqa: ANN401 - untyped library
        metrics: Metrics,
    ) -> None:
        self._outcomes = Topics.OUTCOMES.name(settings.owner)
        self._spend = Topics.SPEND.name(settings.owner)
        self._consumer = consumer
        self._producer = producer
        self._metrics = metrics
        self._folded_ms: dict[TopicPartition, int] = {}
        self._is_owner = False
        self._told = 0.0

    def learn(self, partition: TopicPartition, newest_ms: int) -> None:
        """Takes in that all records of a partition up to one of that time are folded.

        Whoever produced it wrote the time, which may lie ahead.
        """
        if partition.topic == self._outcomes:
            self._folded_ms[partition] = min(newest_ms, clock.now_ms())

    def begin(self) -> None:
        """Learns that partitions are ours: what is fetched of them from now on is folded."""
        self._is_owner = True

    def forget(self) -> None:
        """Learns that they may be somebody else's: what was fetched of them may not be folded."""
        self._is_owner = False
        self._folded_ms.clear()

    async def tell(self) -> None:
        """Tells, once a second, if all that was fetched is folded and Kafka takes it."""
        now = time.monotonic()
        if not self._is_owner or now - self._told < EVERY_SECONDS:
            return
        self._told = now
        try:
            for partition in self._consumer.assignment():
                if partition.topic == self._outcomes:
                    await self._tell_of(partition)
        except KafkaError as error:
            self._failed(error)

    async def _tell_of(self, partition: TopicPartition) -> None:
        folded_ms = await kafka.told_until_ms(
            self._consumer, partition, self._folded_ms.get(partition, 0)
        )
        if folded_ms:
            mark = FoldMark(partition=partition.partition, folded_ms=folded_ms)
            sending = await self._producer.send(
                self._spend, key=spend_key(mark).encode(), value=encode_spend(mark)
            )
            sending.add_done_callback(self._sent)

    def _sent(self, sending: asyncio.Future[Any]) -> None:
        if not sending.cancelled() and sending.exception() is not None:
            self._failed(sending.exception())

    def _failed(self, error: BaseException | None) -> None:
        # Bidders that hear nothing hold their reservations for longer.
        self._metrics.retries.labels("kafka").inc()
        logger.warning("fold_mark_not_told", extra={"reason": str(error)})
