"""``kinbid rebuild``: Redis anew from Kafka, for one owner.

A crash between any two steps is mended by the same command. Before anything is changed, a mark in
Redis says how far streams had come, and it stands until all is done: whatever broke off, the
command done again knows which calls are old, and no streams worker reads on meanwhile, which would
join old calls anew, and to other sessions. Then offsets go back to the beginning, and only then
keys go. Ownership epochs begin again with them, which is safe as the fields that carry older ones
are gone as well, and nobody owns a partition meanwhile: the command does its work as the group's
only member.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from kinbid.link_topics import read_evidence
from kinbid.lost_records import LostRecordsError, lost_in, persons_from
from kinbid.owned import remove_all
from models.errors import KinbidError
from models.keys import Keys
from models.link_records import EvidenceRecord
from models.rebuild_mark import mark_rebuild, unmark_rebuild
from runtime import kafka
from runtime.link import Link
from runtime.redis_url import link_to
from runtime.settings import Settings
from streams.firehose import Firehose
from streams.metrics import Metrics
from streams.replay import Replay
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


async def rebuild(settings: Settings, progress: Progress, *, is_lossy: bool = False) -> Rebuilt:
    """Removes the owner's keys from Redis and folds everything that Kafka keeps.

    Args:
        settings: where Redis and Kafka are.
        progress: told about every half second.
        is_lossy: go on although topics have lost their oldest records. Links are then made from all
            evidence that Kafka keeps beside the records that told of it.

    Raises:
        LostRecordsError: topics have lost their oldest records, and it is not lossy.
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
        replay = Replay(consumer)
        firehose = Firehose(settings, consumer, producer, redis, Metrics(), replay=replay)
        partitions = await _own_all(consumer, firehose)
        with kafka.failures_told("nothing was changed"):
            lost = await lost_in(consumer, persons_from(partitions, settings))
            if lost and not is_lossy:
                raise LostRecordsError(lost)
            evidence = await read_evidence(settings)
            starts: Positions = await consumer.beginning_offsets(partitions)
            ends: Positions = await kafka.true_ends(consumer, partitions)
            folded = await _folded_before(consumer, ends, evidence)
        with _broken_off_told():
            keys = Keys(settings.owner)
            replay.begin(await _mark(redis, keys, folded, ends))
            await consumer.commit(starts)
            removed = await remove_all(redis, keys)
            await suppress(settings, redis)  # before any record of somebody erased is read
            await firehose.begin(partitions)
            await firehose.follow_evidence(
                [one for one in evidence if is_lossy or one.kind == "call_session"]
            )
            await consumer.seek_to_beginning(*partitions)
            await _fold(firehose, consumer, (starts, ends), progress)
            await redis.run(unmark_rebuild(keys))
    return Rebuilt(removed, _between(starts, ends))


async def _folded_before(
    consumer: Any,  # noqa: ANN401 - untyped library
    ends: Positions,
    evidence: list[EvidenceRecord],
) -> Positions:
    """How far streams had come.

    A group that never committed anything, beside evidence that somebody found, is that of a copy
    (``kinbid rotate``) or has been forgotten by the broker: then everything is old.
    """
    committed = {part: await consumer.committed(part) for part in ends}
    if evidence and not any(committed.values()):
        return ends
    return {part: offset or 0 for part, offset in committed.items()}


async def _mark(redis: Link, keys: Keys, folded: Positions, ends: Positions) -> Positions:
    """Sets the mark; how far streams had come before, as it says, which may be an earlier one."""
    named = {f"{part.topic}:{part.partition}": part for part in ends}
    offsets = {name: folded[part] for name, part in named.items()}
    marked = await redis.run(mark_rebuild(keys, offsets))
    return {part: min(marked.get(name, 0), ends[part]) for name, part in named.items()}


@contextlib.contextmanager
def _broken_off_told() -> Iterator[None]:
    try:
        yield
    except (KafkaError, KinbidError) as error:
        raise KinbidError(
            f"the rebuild broke off: {error or type(error).__name__}. Mend that and run the same "
            "command again, which begins anew; until it has finished, streams does not start"
        ) from error


async def _own_all(consumer: Any, firehose: Firehose) -> list[TopicPartition]:  # noqa: ANN401
    """Joins the group; whoever is in it too holds a partition, so holding all is being alone."""
    consumer.subscribe(firehose.topics, listener=firehose)
    try:
        async with asyncio.timeout(JOIN_SECONDS):
            await firehose.assigned.wait()
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
    """Runs the firehose until it has committed all that stood in the topics at the start.

    Raises:
        KinbidError: it ended, or somebody else joined the group and reads, too.
    """
    starts, ends = bounds
    total, done = _between(starts, ends), 0
    folding = asyncio.create_task(firehose.run())
    try:
        while done < total and not folding.done():
            await asyncio.wait({folding}, timeout=LOOK_SECONDS)
            reached = {part: await consumer.committed(part) or starts[part] for part in ends}
            done = sum(min(reached[part], ends[part]) - starts[part] for part in ends)
            progress(done, total)
            if 0 < len(consumer.assignment()) < len(ends):
                raise KinbidError("a streams worker of this owner was started meanwhile: stop it")
    finally:
        folding.cancel()
        await asyncio.wait({folding})
        await firehose.stop()
    if not folding.cancelled():
        raise KinbidError(f"the firehose ended: {folding.exception()!r}")


def _between(starts: Positions, ends: Positions) -> int:
    return sum(ends[part] - starts[part] for part in ends)
