"""What Kafka keeps about links: those that are not made, and what people decided."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
)

from models.errors import EventError
from models.evidence import Pair
from models.history import Note
from models.link_records import (
    EvidenceRecord,
    QuarantineRecord,
    VerdictRecord,
    decode_evidence_record,
    decode_quarantine,
    decode_verdict,
    encode_link_record,
    pair_key,
    pair_named,
)
from models.topics import Topic, Topics
from runtime import kafka
from runtime.kafka import KafkaDownError
from runtime.settings import Settings

__all__ = ["Noted", "give_verdict", "read_evidence", "read_quarantine", "read_verdicts"]

LOOK_SECONDS: Final = 0.1


class Noted(msgspec.Struct, frozen=True):
    """The quarantine topic.

    Attributes:
        links: those that are not made, the latest record of each.
        notes: all that the topic still tells, in its order.
    """

    links: dict[Pair, QuarantineRecord]
    notes: list[Note]


async def read_evidence(settings: Settings) -> list[EvidenceRecord]:
    """Everything in the evidence topic.

    Raises:
        KafkaDownError: no broker answers.
        EventError: a record that streams cannot have written.
    """
    known: dict[Pair, EvidenceRecord] = {}

    def apply(record: Any) -> None:  # noqa: ANN401 - untyped library
        known.pop(pair_named(record.key), None)
        if record.value is not None:
            one = decode_evidence_record(record.key, record.value)
            known[one.a, one.b] = one

    await _replay(settings, Topics.EVIDENCE, apply)
    return list(known.values())


async def read_quarantine(settings: Settings) -> Noted:
    """Everything in the quarantine topic.

    Raises:
        KafkaDownError: no broker answers.
        EventError: a record that streams cannot have written.
    """
    links: dict[Pair, QuarantineRecord] = {}
    notes: list[Note] = []

    def apply(record: Any) -> None:  # noqa: ANN401 - untyped library
        pair = pair_named(record.key)
        if record.value is None:
            links.pop(pair, None)
            notes.append(Note(pair, record.timestamp, None))
        else:
            links[pair] = one = decode_quarantine(record.key, record.value)
            notes.append(Note(pair, one.noted_ms, one.reason))

    await _replay(settings, Topics.QUARANTINE, apply)
    return Noted(links, notes)


async def read_verdicts(settings: Settings) -> list[VerdictRecord]:
    """What the verdicts topic still tells, in its order: at least the latest of each pair.

    Of a pair of which one was erased it tells nothing.

    Raises:
        KafkaDownError: no broker answers.
    """
    verdicts: list[VerdictRecord] = []

    def apply(record: Any) -> None:  # noqa: ANN401 - untyped library
        if record.value is None:
            erased = pair_named(record.key)
            verdicts[:] = [one for one in verdicts if (one.a, one.b) != erased]
            return
        # What streams puts among the dead letters is no verdict.
        with contextlib.suppress(EventError):
            verdicts.append(decode_verdict(record.key, record.value))

    await _replay(settings, Topics.VERDICTS, apply)
    return verdicts


async def _replay(settings: Settings, topic: Topic, apply: Callable[[Any], None]) -> None:
    await kafka.ensure_topics(settings)
    consumer = await kafka.consumer(settings)
    try:
        part = TopicPartition(topic.name(settings.owner), 0)
        consumer.assign([part])
        await kafka.replay(consumer, [part], apply)
    finally:
        await consumer.stop()


async def give_verdict(settings: Settings, verdict: VerdictRecord, wait_seconds: float) -> bool:
    """Writes a verdict, and waits until streams has carried it out and committed that.

    Args:
        settings: where Kafka is.
        verdict: what was decided.
        wait_seconds: how long to wait.

    Returns:
        Whether it has been carried out; if not yet, it will be, since it is durable.

    Raises:
        KafkaDownError: no broker takes it, or none answers while we wait.
    """
    await kafka.ensure_topics(settings)
    topic, key = Topics.VERDICTS.name(settings.owner), pair_key(verdict.a, verdict.b)
    producer = await kafka.producer(settings)
    try:
        written = await producer.send_and_wait(topic, key=key, value=encode_link_record(verdict))
    except KafkaError as error:
        raise KafkaDownError(f"the verdict was not taken by topic {topic}: {error}") from error
    finally:
        await producer.stop()
    part = TopicPartition(topic, written.partition)
    try:
        async with asyncio.timeout(wait_seconds):
            await _until_committed(settings, part, written.offset + 1)
    except TimeoutError:
        return False
    return True


async def _until_committed(settings: Settings, part: TopicPartition, next_offset: int) -> None:
    """Asks as a bystander: a consumer of the group would take partitions from its workers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    try:
        await admin.start()
        group = f"{settings.owner}.streams"
        while await _committed(admin, group, part) < next_offset:  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(LOOK_SECONDS)
    except KafkaError as error:
        raise KafkaDownError(
            f"the verdict is kept, but Kafka at {settings.kafka_bootstrap} does not say whether it "
            f"has been carried out: {error}"
        ) from error
    finally:
        await admin.close()


async def _committed(admin: Any, group: str, part: TopicPartition) -> int:  # noqa: ANN401
    """What a group has committed; -1 for nothing, and while the group has no coordinator."""
    try:
        found = await admin.list_consumer_group_offsets(group, partitions=[part])
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):
        return -1  # the group was never heard of, or its broker has just gone
    return found[part].offset if part in found else -1
