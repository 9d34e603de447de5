"""Events and offers into Kafka, in order, stamped when they are sent."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from benchmarks.world.referee import Referee
from models.catalog_records import Flight, Offer, Product, encode_record, record_key
from models.events import Event, encode
from models.topics import Topics

__all__ = ["Clock", "Feed", "make_producer"]

NS_PER_MS: Final = 1_000_000

Send: TypeAlias = Callable[[str, bytes, bytes], Any]
"""Topic, key, value; an awaitable of a future, as ``AIOKafkaProducer.send`` is."""


class Clock:
    """Unix time that never steps: the wall clock read once, then the monotonic one.

    Args:
        wall_ns: Unix time now.
        monotonic_ns: a clock that only rises.
    """

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.monotonic_ns = monotonic_ns
        self._offset_ns = wall_ns() - monotonic_ns()

    def now_ms(self) -> float:
        """Unix milliseconds."""
        return (self.monotonic_ns() + self._offset_ns) / NS_PER_MS

    def at_ms(self, monotonic_ns: int) -> float:
        """Unix milliseconds of a reading of ``monotonic_ns``."""
        return (monotonic_ns + self._offset_ns) / NS_PER_MS


class _Waiting(NamedTuple):
    record: Event | Offer
    is_live: bool
    sent: asyncio.Future[float] | None


def make_producer(bootstrap: str, *, idempotence: bool) -> AIOKafkaProducer:
    """A producer for which a record is written only when all in-sync replicas have it.

    Args:
        bootstrap: ``HOST:PORT``.
        idempotence: whether the broker removes duplicates of retries; not every broker can.
    """
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=idempotence,
        linger_ms=0,
        max_batch_size=131_072,
    )


class Feed:
    """Sends records one after the other, so that each key's records stay in order.

    A stalled broker holds up the records behind it, not the caller: time passes on, and late
    sends show.

    Args:
        send: ``AIOKafkaProducer.send``, or a stand-in.
        topics_owner: prefix of the topics.
        referee: told of each record just before it is sent.
        clock: stamps the live records.
        failures: what could not be delivered is counted here.
    """

    def __init__(
        self, send: Send, topics_owner: str, referee: Referee, clock: Clock, failures: Counter[str]
    ) -> None:
        self._send = send
        self._events = Topics.EVENTS.name(topics_owner)
        self._inventory = Topics.INVENTORY.name(topics_owner)
        self._referee = referee
        self._clock = clock
        self._failures = failures
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue()

    def put(self, record: Event | Offer, *, is_live: bool = True) -> None:
        """Queues a record; a live one gets the time of its sending."""
        self._queue.put_nowait(_Waiting(record, is_live, None))

    def probe(self, event: Event) -> asyncio.Future[float]:
        """Queues a probe's event, of which the referee is not told.

        Returns:
            A future of the Unix ms at which it was handed to the producer.
        """
        sent: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Waiting(event, is_live=True, sent=sent))
        return sent

    def finish(self) -> None:
        """Ends `pump` once everything queued before has been sent."""
        self._queue.put_nowait(None)

    async def pump(self) -> None:
        """Sends what is queued, until `finish`."""
        while (waiting := await self._queue.get()) is not None:
            await self._send_one(waiting)

    async def _send_one(self, waiting: _Waiting) -> None:
        now_ms = self._clock.now_ms()
        record = _stamped(waiting.record, int(now_ms)) if waiting.is_live else waiting.record
        if isinstance(record, Flight | Product):
            self._referee.on_offer(record, now_ms)
            topic, key, value = self._inventory, record_key(record), encode_record(record)
        else:
            if waiting.sent is None:
                self._referee.on_event(record, now_ms)
            topic, key, value = self._events, record.ids[0], encode(record)
        try:
            delivery = await self._send(topic, key.encode(), value)
        except KafkaError as error:
            self._failures[f"kafka {type(error).__name__}"] += 1
        else:
            delivery.add_done_callback(self._delivered)
        if waiting.sent is not None and not waiting.sent.done():
            waiting.sent.set_result(now_ms)

    def _delivered(self, delivery: asyncio.Future[Any]) -> None:
        if delivery.cancelled():
            self._failures["kafka cancelled"] += 1
        elif (error := delivery.exception()) is not None:
            self._failures[f"kafka {type(error).__name__}"] += 1


def _stamped(record: Event | Offer, now_ms: int) -> Event | Offer:
    if isinstance(record, Flight | Product):
        return msgspec.structs.replace(record, updated_ms=now_ms)
    return msgspec.structs.replace(record, event_time_ms=now_ms)
