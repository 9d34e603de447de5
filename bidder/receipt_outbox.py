"""Receipts on their way to Kafka: a bounded queue, and one batch after the other.

Failure mode: receipts are the first thing to go. Where Kafka is slow or away the queue fills up,
and what comes then is dropped and counted; no bid and no notice waits. They have a producer of
their own, since large receipts ahead of a notice would delay it, and one replica will do.
"""

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, Final

import msgspec
from aiokafka.errors import KafkaError

from bidder import metrics
from bidder.metrics import Counters
from models.nonces import parse_nonce
from models.receipts import receipt_partition
from models.topics import Topics
from runtime import kafka
from runtime.settings import Settings

__all__ = ["Outbox"]

logger = logging.getLogger(__name__)

MOST_WAITING_BYTES: Final = 4_000_000
BATCH_BYTES: Final = 500_000
SHIP_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 5.0
"""A batch that Kafka has not taken by then is given up."""
RETRY_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 1.0

QUEUE = metrics.slot("bidder_receipts_dropped", "queue")
KAFKA = metrics.slot("bidder_receipts_dropped", "kafka")


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    key: bytes
    value: bytes
    timestamp_ms: int


class Outbox:
    """One worker's receipts that Kafka has not taken yet.

    Args:
        settings: where Kafka is.
        counters: the worker's.
        worker: whose receipts these are, as in their ids.
    """

    def __init__(self, settings: Settings, counters: Counters, worker: str) -> None:
        self._settings = settings
        self._counters = counters
        self._topic = Topics.RECEIPTS.name(settings.owner)
        self._partition = receipt_partition(worker)
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._producer: Any = None  # aiokafka has no types

    def add(self, receipt_id: str, value: bytes, time_ms: int) -> bool:
        """Queues a receipt; False where there is no room.

        Args:
            receipt_id: it is looked for under this.
            value: as bytes.
            time_ms: when it was decided, Unix ms.
        """
        if self._waiting_bytes + len(value) > MOST_WAITING_BYTES:
            self._counters.add(QUEUE)
            return False
        named = parse_nonce(receipt_id)
        # Not before the second that its id tells, or whoever looks for it begins behind it.
        timestamp_ms = time_ms if named is None else max(time_ms, named.second_ms)
        self._waiting.append(_Waiting(receipt_id.encode(), value, timestamp_ms))
        self._waiting_bytes += len(value)
        return True

    async def run(self) -> None:
        """Takes receipts to Kafka as they come, until cancelled."""
        while True:
            await asyncio.sleep(SHIP_SECONDS)
            if self._waiting and not await self._ship():
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """Ships what waits, if Kafka takes it at once."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._ship()
        self._counters.add(KAFKA, len(self._waiting))  # nobody ships them any more
        if self._producer is not None:
            # A producer waits without end for what it cannot get rid of.
            stopping = asyncio.ensure_future(self._producer.stop())
            await asyncio.wait({stopping}, timeout=CLOSE_SECONDS)

    async def _ship(self) -> bool:
        """Sends all that waits; False where Kafka cannot be used."""
        try:
            if self._producer is None:
                self._producer = await kafka.lossy_producer(self._settings, batch_bytes=BATCH_BYTES)
        except kafka.KafkaDownError as error:
            logger.warning("receipts_wait", extra={"reason": str(error)})
            return False
        while self._waiting:
            batch, count = self._next_batch()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await (await self._producer.send_batch(
                        batch, self._topic, partition=self._partition
                    ))  # fmt: skip
            except (KafkaError, TimeoutError) as error:
                self._counters.add(KAFKA, count)
                reason = str(error) or type(error).__name__
                logger.warning("receipts_dropped", extra={"reason": reason, "count": count})
                return False
        return True

    def _next_batch(self) -> tuple[Any, int]:
        """As many receipts as one batch takes, off the queue."""
        batch = self._producer.create_batch()
        count = 0
        while self._waiting:
            one = self._waiting[0]
            taken = batch.append(key=one.key, value=one.value, timestamp=one.timestamp_ms)
            if taken is None:
                break
            self._waiting.popleft()
            self._waiting_bytes -= len(one.value)
            count += 1
        batch.close()
        return batch, count
