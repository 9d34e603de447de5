"""``kinbid rebuild``: Redis anew from Kafka, for one owner.

The order of steps is what makes a crash between any two harmless. Offsets go back to the beginning
first: over persons that still stand, records that come again change nothing. Only then do keys
go, so whoever reads on, this command again or a streams worker, reads everything. Ownership epochs
begin again with them, which is safe as the fields that carry older ones are gone as well, and
nobody owns a partition meanwhile: the command does its work as the group's only member.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from kinbid.link_topics import read_evidence
from kinbid.owned import remove_all
from models.errors import KinbidError
from models.keys import Keys
from runtime import kafka
from runtime.redis_url import link_to
from runtime.settings import Settings
from streams.firehose import Firehose
from streams.metrics import Metrics
from streams.suppression import suppress

__all__ = ["Rebuilt", "rebuild"]

JOIN_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5

Positions = dict[TopicPartition, int]
Progress = Callable[[int, int], None]
"""Called with how many records are folded, of how many."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What was done: keys removed, and records read from their first to the end at the start."""

    removed_keys: int
    records: int


async def rebuild(settings: Settings, progress: Progress) -> Rebuilt:
    """Removes the owner's keys from Redis and folds everything that Kafka keeps.

    Args:
        settings: where Redis and Kafka are.
        progress: told about every half second.

    Raises:
        KinbidError: a streams worker of this owner is running, or Redis or Kafka cannot be used.
    """
    await kafka.ensure_topics(settings)
    async with contextlib.AsyncExitStack() as cleanup:
        redis = link_to(settings.redis_url, name="kinbid-rebuild")
        await redis.connect()
        cleanup.push_async_callback(redis.close)
        producer = await kafka.producer(settings)
        cleanup.push_async_callback(producer.stop)
        consumer = await kafka.consumer(settings, group=f"{settings.owner}.streams")
        cleanup.push_async_callback(consumer.stop)
        firehose = Firehose(settings, consumer, producer, redis, Metrics(), is_replay=True)
        partitions = await _own_all(consumer, firehose)
        starts: Positions = await consumer.beginning_offsets(partitions)
        ends: Positions = await consumer.end_offsets(partitions)
        with kafka.failures_told("nothing was changed"):
            await consumer.commit(starts)
        removed = await remove_all(redis, Keys(settings.owner))
        await suppress(settings, redis)  # before any record of somebody erased is read
        with kafka.failures_told("the rebuild broke off; the same command begins it anew"):
            await firehose.follow_calls(await read_evidence(settings))
        await consumer.seek_to_beginning(*partitions)
        await _fold(firehose, consumer, (starts, ends), progress)
    return Rebuilt(removed, _between(starts, ends))


async def _own_all(consumer: Any, firehose: Firehose) -> list[TopicPartition]:  # noqa: ANN401
    """Joins the group; whoever is in it too holds a partition, so holding all is being alone."""
    consumer.subscribe(firehose.topics, listener=firehose)
    try:
        await asyncio.wait_for(firehose.assigned.wait(), JOIN_SECONDS)
    except TimeoutError:
        raise KinbidError(
            f"the consumer group of streams did not let us in within {JOIN_SECONDS:.0f} s: "
            "is a streams worker hanging?"
        ) from None
    wanted = [
        TopicPartition(topic, number)
        for topic in firehose.topics
        for number in consumer.partitions_for_topic(topic) or ()
    ]
    if consumer.assignment() != set(wanted):
        raise KinbidError(
            "a streams worker of this owner is running: stop every `kinbid streams` first, and "
            "start them again after the rebuild; nothing was changed"
        )
    return wanted


async def _fold(
    firehose: Firehose,
    consumer: Any,  # noqa: ANN401 - untyped library
    bounds: tuple[Positions, Positions],
    progress: Progress,
) -> None:
    """Runs the firehose until it has committed all that stood in the topics at the start."""
    starts, ends = bounds
    total, done = _between(starts, ends), 0
    folding = asyncio.create_task(firehose.run())
    try:
        while done < total and not folding.done():
            await asyncio.wait({folding}, timeout=LOOK_SECONDS)
            reached = {part: await consumer.committed(part) or starts[part] for part in ends}
            done = sum(min(reached[part], ends[part]) - starts[part] for part in ends)
            progress(done, total)
    finally:
        folding.cancel()
        await asyncio.wait({folding})
        await firehose.stop()
    if not folding.cancelled():
        raise KinbidError(f"the firehose ended: {folding.exception()!r}")


def _between(starts: Positions, ends: Positions) -> int:
    return sum(ends[part] - starts[part] for part in ends)
