"""Kafka as every process uses it: topics that exist, producers that do not lose, clear errors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
    for_code,
)

from models.errors import DownError
from models.topics import ALL_TOPICS
from runtime.settings import Settings

__all__ = [
    "KafkaDownError", "consumer", "consuming", "ensure_topics", "failures_told",
    "lossy_producer", "patience", "producer", "producing", "read_topic", "replay", "told_until_ms",
    "true_ends",
]  # fmt: skip

REPLAY_POLL_MS: Final = 500
PATIENCE_SECONDS: Final = 30.0
"""What has an end gives up on a Kafka that stands still for so long: in less, another broker takes
over. The client library would wait for ever, as streams and bidders do."""
CLOSE_SECONDS: Final = 1.0
BATCH_BYTES: Final = 16_384


class KafkaDownError(DownError):
    """Kafka cannot be reached or refuses us."""

    setting: ClassVar[str] = "kafka_bootstrap"


async def ensure_topics(settings: Settings) -> None:
    """Creates the owner's topics where they do not exist yet.

    Raises:
        KafkaDownError: no broker answers, or it refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    try:
        await admin.start()
    except (KafkaConnectionError, KafkaError) as error:
        await admin.close()
        raise KafkaDownError(
            f"Kafka at {settings.kafka_bootstrap} cannot be used: {error}"
        ) from error
    try:
        with failures_told(f"topics of owner {settings.owner!r} cannot be looked up or created"):
            await _create_missing(admin, settings)
    finally:
        await admin.close()


async def _create_missing(admin: Any, settings: Settings) -> None:  # noqa: ANN401 - untyped library
    existing = set(await admin.list_topics())
    wanted = [
        NewTopic(
            name=topic.name(settings.owner),
            num_partitions=topic.partitions,
            replication_factor=settings.kafka_replication,
            topic_configs=topic.configs(),
        )
        for topic in ALL_TOPICS
        if topic.name(settings.owner) not in existing
    ]
    if not wanted:
        return
    response = await admin.create_topics(wanted)
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise KafkaDownError(f"topic {name} cannot be created: {error.__name__}")


async def producer(
    settings: Settings, *, linger_ms: int = 0, batch_bytes: int = BATCH_BYTES
) -> AIOKafkaProducer:
    """A started producer whose records count only once every in-sync replica has them.

    Args:
        settings: where Kafka is.
        linger_ms: so long a batch waits for more records.
        batch_bytes: a batch is no larger.

    Raises:
        KafkaDownError: no broker answers.
    """
    made = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks="all",
        enable_idempotence=settings.kafka_idempotence,
        linger_ms=linger_ms,
        max_batch_size=batch_bytes,
        request_timeout_ms=10_000,
    )
    return await _started(made, settings)


async def lossy_producer(settings: Settings, *, batch_bytes: int) -> AIOKafkaProducer:
    """A started producer of what may be lost: one replica is enough, and it gives up early.

    Args:
        settings: where Kafka is.
        batch_bytes: a batch is no larger.

    Raises:
        KafkaDownError: no broker answers.
    """
    made = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks=1,
        max_batch_size=batch_bytes,
        request_timeout_ms=5_000,
    )
    return await _started(made, settings)


@contextlib.asynccontextmanager
async def producing(
    settings: Settings, *, linger_ms: int = 0, batch_bytes: int = BATCH_BYTES
) -> AsyncIterator[AIOKafkaProducer]:
    """A :func:`producer` of what has an end; see :func:`patience`.

    Raises:
        KafkaDownError: no broker answers.
    """
    made = await producer(settings, linger_ms=linger_ms, batch_bytes=batch_bytes)
    try:
        yield made
    finally:
        await _end(made)


@contextlib.asynccontextmanager
async def consuming(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A :func:`consumer` of what has an end: to assign partitions to by hand.

    Raises:
        KafkaDownError: no broker answers.
    """
    made = await consumer(settings)
    try:
        yield made
    finally:
        await _end(made)


async def _end(client: Any) -> None:  # noqa: ANN401 - untyped library
    # When the broker is gone, a producer waits without end for what was given up, and a consumer
    # that is about to fetch again ends by CancelledError: neither may stand in for the failure.
    await asyncio.wait({asyncio.ensure_future(client.stop())}, timeout=CLOSE_SECONDS)


@contextlib.asynccontextmanager
async def patience() -> AsyncIterator[Callable[[], None]]:
    """Breaks off what is done within it after ``PATIENCE_SECONDS`` in which nothing moved.

    What it gives is to be called whenever something has moved.

    Raises:
        KafkaTimeoutError: nothing did.
    """
    limit = asyncio.timeout(PATIENCE_SECONDS)
    try:
        async with limit:
            loop = asyncio.get_running_loop()
            yield lambda: limit.reschedule(loop.time() + PATIENCE_SECONDS)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise KafkaTimeoutError(f"Kafka has stood still for {PATIENCE_SECONDS:g} s") from error


async def consumer(
    settings: Settings, *topics: str, group: str | None = None, fetch_wait_ms: int | None = None
) -> AIOKafkaConsumer:
    """A started consumer that commits only when told to, from the earliest record.

    Args:
        settings: where Kafka is, and the group's timing.
        topics: full names to subscribe to, or none to assign partitions by hand.
        group: the consumer group, or None to read alone.
        fetch_wait_ms: how long the broker may wait for new records; None takes the setting.

    Raises:
        KafkaDownError: no broker answers.
    """
    made = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if settings.kafka_idempotence else "read_uncommitted",
        fetch_max_wait_ms=fetch_wait_ms or settings.kafka_fetch_wait_ms,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        heartbeat_interval_ms=settings.kafka_session_timeout_ms // 6,
    )
    return await _started(made, settings)


async def replay(consumer: Any, partitions: list[Any], apply: Callable[[Any], None]) -> None:  # noqa: ANN401
    """Hands on every record that stands in partitions now, from the first.

    Args:
        consumer: the partitions are assigned to it by hand; it stands at their ends afterwards.
        partitions: which ones.
        apply: called with each record.

    Raises:
        KafkaDownError: no broker answers.
    """
    names = ", ".join(sorted({part.topic for part in partitions}))
    with failures_told(f"{names} cannot be read"):
        async with patience() as moved:
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                fetched = await consumer.getmany(*partitions, timeout_ms=REPLAY_POLL_MS)
                if fetched:
                    moved()
                for record in (one for records in fetched.values() for one in records):
                    apply(record)


async def true_ends(consumer: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:  # noqa: ANN401
    """Where partitions end now: the offset after the last record.

    The embedded broker, asked for it, names the offset after the first record of the last batch;
    what it says beside fetched records is right.

    Args:
        consumer: it owns the partitions, and stands anywhere in them afterwards.
        partitions: which ones.

    Raises:
        KafkaTimeoutError: nothing is heard of some for ``PATIENCE_SECONDS``.
    """
    ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    filled = [part for part, end in ends.items() if end]
    for part in filled:
        consumer.seek(part, ends[part] - 1)
    async with patience() as moved:
        while any(consumer.highwater(part) is None for part in filled):
            if await consumer.getmany(timeout_ms=REPLAY_POLL_MS):
                moved()
    return {part: max(end, consumer.highwater(part) or 0) for part, end in ends.items()}


async def read_topic(settings: Settings, topic: str, apply: Callable[[Any], None]) -> None:
    """Hands on every record that stands in a topic of one partition now, from the first.

    Raises:
        KafkaDownError: no broker answers.
    """
    part = TopicPartition(topic, 0)
    async with consuming(settings) as reader:
        reader.assign([part])
        await replay(reader, [part], apply)


@contextlib.contextmanager
def failures_told(what: str) -> Iterator[None]:
    """Has what the client library raises be told as people read it.

    Args:
        what: did not work, or is unknown now.

    Raises:
        KafkaDownError: in place of any of the library's own, and of one that says less.
    """
    try:
        yield
    except (KafkaError, KafkaDownError) as error:
        raise KafkaDownError(f"{what}: {error or type(error).__name__}") from error


async def _started(client: Any, settings: Settings) -> Any:  # noqa: ANN401 - untyped library
    try:
        await client.start()
    except KafkaError as error:
        await asyncio.shield(client.stop())
        raise KafkaDownError(
            f"Kafka at {settings.kafka_bootstrap} cannot be used: {error}"
        ) from error
    return client


async def told_until_ms(
    consumer: Any,  # noqa: ANN401 - untyped library
    partition: TopicPartition,
    newest_ms: int,
) -> int:
    """All that was told until then has been read, Unix ms.

    That nothing came is no news: the broker may be gone, or not have been asked yet after a
    partition was taken over. At the end of it we are where the broker has named that end.

    Args:
        consumer: what it has fetched has been dealt with.
        partition: which.
        newest_ms: the time of the newest record that was read; 0 without any.
    """
    if partition in consumer.assignment():
        asked_ms = consumer.last_poll_timestamp(partition)
        if asked_ms and await consumer.position(partition) == consumer.highwater(partition):
            return int(asked_ms)
    return newest_ms
