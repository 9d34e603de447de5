"""Events into Kafka in whole batches, encoded before the clock runs."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from benchmarks.world.feed import make_producer
from models.events import Event, encode
from models.identifiers import NodeId
from models.topics import FIREHOSE_PARTITIONS, Topics
from runtime import kafka
from runtime.settings import Settings

__all__ = ["Backlog", "partition_of", "producing", "send_now"]

_choose: Final = DefaultPartitioner()
PARTITIONS: Final = list(range(FIREHOSE_PARTITIONS))


def partition_of(node: NodeId) -> int:
    """Where the events go whose first identifier this is."""
    return int(_choose(node.encode(), PARTITIONS, PARTITIONS))


@contextlib.asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer for the owner's topics, which exist from then on."""
    await kafka.ensure_topics(settings)
    producer = make_producer(settings.kafka_bootstrap, idempotence=settings.kafka_idempotence)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


class Backlog:
    """Events that are ready to leave.

    Args:
        producer: makes and sends the batches.
        settings: whose topic they go to.
        now_ms: the records' production time, Unix ms.
    """

    def __init__(self, producer: AIOKafkaProducer, settings: Settings, now_ms: int) -> None:
        self._producer = producer
        self._topic = Topics.EVENTS.name(settings.owner)
        self._now_ms = now_ms
        self._open: dict[int, Any] = {}
        self._full: list[tuple[int, Any]] = []

    def add(self, events: Iterable[Event]) -> None:
        """Encodes events; their order is kept within an identifier."""
        for event in events:
            key = event.ids[0].encode()
            partition = partition_of(event.ids[0])
            if not self._append(partition, key, encode(event)):
                self._full.append((partition, self._open.pop(partition)))
                self._append(partition, key, encode(event))

    def _append(self, partition: int, key: bytes, value: bytes) -> bool:
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = self._producer.create_batch()
        return batch.append(key=key, value=value, timestamp=self._now_ms) is not None

    async def send(self) -> None:
        """Sends everything, and returns when it is durable.

        Raises:
            KafkaError: Kafka does not take them.
        """
        batches = [*self._full, *self._open.items()]
        self._full, self._open = [], {}
        for partition, batch in batches:
            batch.close()
            await (await self._producer.send_batch(batch, self._topic, partition=partition))


async def send_now(
    producer: AIOKafkaProducer, settings: Settings, events: Iterable[Event], now_ms: int
) -> None:
    """Sends one small batch for each partition concerned."""
    backlog = Backlog(producer, settings, now_ms)
    backlog.add(events)
    await backlog.send()
