"""``kinbid rotate``: an owner's records, copied to a new owner name under one more secret.

The old owner's topics stay as they are, so whatever breaks off is done again to another name. A
record keeps its place among those of its identifier: all of them go from one partition to one.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from kinbid.lost_records import FOLDED, LostRecordsError, lost_in
from kinbid.progress import until_committed
from models.errors import EventError, KinbidError
from models.identifiers import BETWEEN_SECRETS, rehash
from models.rotation import ROTATED, Rehash
from models.topics import ALL_TOPICS, Topic, Topics
from runtime import kafka
from runtime.settings import Settings, SettingsError

__all__ = ["Rotated", "rotate"]

POLL_MS: Final = 500
LINGER_MS: Final = 5
TELL_SECONDS: Final = 0.5
REFUSED_APART: Final = frozenset({Topics.EVENTS, Topics.OUTCOMES, Topics.VERDICTS, Topics.MATCHES})
"""Of these streams puts what it cannot read among the dead letters; the others are its own."""
AGAIN: Final = "the copy is not whole: do it again to another KINBID_OWNER"

Progress = Callable[[str, int, int], None]
"""Called with a topic, how many of its records are copied, of how many."""


class Rotated(msgspec.Struct, frozen=True):
    """What was done.

    Attributes:
        copied: records by topic, without the owner's name.
        left_out: records that streams refuses, too: they stand among the old dead letters.
    """

    copied: dict[str, int]
    left_out: int


async def rotate(
    settings: Settings, old_owner: str, progress: Progress, *, is_lossy: bool = False
) -> Rotated:
    """Copies everything that the persons and ads of an owner follow from.

    Args:
        settings: the new owner's; the last secret of its pepper is the new one.
        old_owner: whose records to copy; nobody may write there meanwhile.
        progress: told about every half second.
        is_lossy: go on although old topics have lost their oldest records; the copy does not show
            that, so it is to be rebuilt as lossy, too.

    Raises:
        LostRecordsError: they have, and it is not lossy.
        SettingsError: the settings are the old owner's, or have no new secret.
        KinbidError: streams is behind, the new topics are not empty, somebody writes to the old
            ones, or one of kinbid's own records cannot be read; or Kafka cannot be used.
    """
    if settings.owner == old_owner:
        raise SettingsError(
            f"owner: {old_owner!r} is the owner to copy from; set KINBID_OWNER to a new name"
        )
    secrets = settings.identity_pepper.split(BETWEEN_SECRETS)
    if len(secrets) < 2:
        raise SettingsError(
            "identity_pepper: no new secret; set KINBID_IDENTITY_PEPPER to every secret so far and "
            "the new one, oldest first, with commas between"
        )
    old = msgspec.structs.replace(settings, owner=old_owner)
    async with contextlib.AsyncExitStack() as cleanup:
        consumer = await cleanup.enter_async_context(kafka.consuming(settings))
        with kafka.failures_told("nothing was changed"):
            ends = await _checked_ends(consumer, old, settings)
            lost = await lost_in(consumer, _parts(old, FOLDED))
            if lost and not is_lossy:
                raise LostRecordsError(lost)
        await kafka.ensure_topics(settings)
        producer = await cleanup.enter_async_context(kafka.producing(settings, linger_ms=LINGER_MS))
        copy = _Copy(consumer, producer, partial(rehash, secret=secrets[-1]))
        copied: dict[str, int] = {}
        with kafka.failures_told(AGAIN):
            for topic in ROTATED:
                parts = {
                    part: end for part, end in ends.items() if part.topic == topic.name(old_owner)
                }
                told = partial(progress, topic.suffix)
                copied[topic.suffix] = await copy.run(
                    topic, parts, topic.name(settings.owner), told
                )
            grown = await _ends(consumer, old, ROTATED)
        if grown != ends:
            raise KinbidError(
                f"somebody writes to the topics of owner {old_owner!r}: stop producers, bidders "
                f"and streams; {AGAIN}"
            )
    return Rotated(copied, copy.left_out)


class _Copy:
    """Copies topics, and counts what is left out."""

    def __init__(self, consumer: Any, producer: Any, again: Rehash) -> None:  # noqa: ANN401 - untyped library
        self._consumer, self._producer, self._rehash = consumer, producer, again
        self._tell_at = 0.0
        self.left_out = 0

    async def run(
        self,
        topic: Topic,
        ends: dict[TopicPartition, int],
        target: str,
        progress: Callable[[int, int], None],
    ) -> int:
        """Copies a topic's partitions up to their ends; returns how many records were copied."""
        consumer, copied = self._consumer, 0
        parts = list(ends)
        consumer.assign(parts)
        async with kafka.patience() as moved:
            await consumer.seek_to_beginning(*parts)
            starts = await consumer.beginning_offsets(parts)
            total = sum(ends.values()) - sum(starts.values())
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                fetched = await consumer.getmany(*parts, timeout_ms=POLL_MS)
                records = [one for records in fetched.values() for one in records]
                copied += await self._copy(topic, records, target)
                if records:
                    moved()
                if (now := time.monotonic()) >= self._tell_at:
                    self._tell_at = now + TELL_SECONDS
                    reached = [await consumer.position(part) for part in parts]
                    progress(sum(reached) - sum(starts.values()), total)
        return copied

    async def _copy(self, topic: Topic, records: Iterable[Any], target: str) -> int:
        sent, turn = [], ROTATED[topic]
        for record in records:
            try:
                key, value = turn(record.key, record.value, record.timestamp, self._rehash)
            except EventError as error:
                if topic not in REFUSED_APART:
                    raise KinbidError(
                        f"topic {record.topic}, offset {record.offset}: {error}. Without this "
                        f"record the copy would know less than the old owner; {AGAIN} when it "
                        "is readable"
                    ) from error
                self.left_out += 1
                continue
            sent.append(
                await self._producer.send(
                    target, key=key, value=value, timestamp_ms=record.timestamp,
                    partition=None if key is not None else record.partition,
                )
            )  # fmt: skip
        await asyncio.gather(*sent)
        return len(sent)


async def _checked_ends(
    consumer: Any,  # noqa: ANN401 - untyped library
    old: Settings,
    new: Settings,
) -> dict[TopicPartition, int]:
    """Where the old topics end, if all is ready for the copy."""
    known = await consumer.topics()
    missing = [topic.name(old.owner) for topic in ROTATED if topic.name(old.owner) not in known]
    if missing:
        raise KinbidError(f"owner {old.owner!r} has no topic {missing[0]}: is that its name?")
    there = [topic for topic in ALL_TOPICS if topic.name(new.owner) in known]
    held = {part.topic for part, end in (await _ends(consumer, new, there)).items() if end}
    if held:
        raise KinbidError(
            f"the topics of owner {new.owner!r} are not empty ({', '.join(sorted(held))}): set "
            "KINBID_OWNER to a name that was never used; nothing was changed"
        )
    ends = await _ends(consumer, old, ROTATED)
    read = {topic.name(old.owner) for topic in REFUSED_APART}
    behind = await until_committed(old, {p: n for p, n in ends.items() if p.topic in read and n}, 0)
    if behind:
        raise KinbidError(
            f"streams of owner {old.owner!r} has {behind:,} records left to read: let it finish "
            "first, since it also writes what it finds out about calls; nothing was changed"
        )
    return ends


def _parts(settings: Settings, topics: Iterable[Topic]) -> list[TopicPartition]:
    return [
        TopicPartition(topic.name(settings.owner), number)
        for topic in topics
        for number in range(topic.partitions)
    ]


async def _ends(
    consumer: Any,  # noqa: ANN401 - untyped library
    settings: Settings,
    topics: Iterable[Topic],
) -> dict[TopicPartition, int]:
    parts = _parts(settings, topics)
    if not parts:
        return {}
    consumer.assign(parts)
    return await kafka.true_ends(consumer, parts)
