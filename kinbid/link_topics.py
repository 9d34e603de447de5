"""What Kafka keeps about links: their past, those that are not made, and what people decided."""

import contextlib
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from aiokafka import TopicPartition

from kinbid.progress import until_committed
from models.errors import EventError
from models.evidence import Pair
from models.history import Note
from models.identifiers import NodeId
from models.link_records import (
    EvidenceRecord,
    QuarantineRecord,
    ToldRecord,
    VerdictRecord,
    decode_evidence_record,
    decode_quarantine,
    decode_told,
    decode_verdict,
    encode_link_record,
    pair_key,
    pair_named,
    told_pair,
)
from models.topics import Topic, Topics
from runtime import kafka
from runtime.kafka import KafkaDownError
from runtime.settings import Settings

__all__ = [
    "Noted",
    "give_verdict",
    "read_evidence",
    "read_quarantine",
    "read_told",
    "read_verdicts",
]


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


async def read_told(settings: Settings, nodes: Collection[NodeId]) -> list[ToldRecord]:
    """What was ever told of pairs with one of ``nodes``.

    Raises:
        KafkaDownError: no broker answers.
        EventError: a record that streams cannot have written.
    """
    told: dict[bytes, ToldRecord] = {}

    def apply(record: Any) -> None:  # noqa: ANN401 - untyped library
        if set(told_pair(record.key)).isdisjoint(nodes):
            return
        told.pop(record.key, None)
        if record.value is not None:
            told[record.key] = decode_told(record.key, record.value)

    await _replay(settings, Topics.LINK_HISTORY, apply)
    return list(told.values())


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
    await kafka.read_topic(settings, topic.name(settings.owner), apply)


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
    async with kafka.producing(settings) as producer:
        with kafka.failures_told(f"the verdict was not taken by topic {topic}"):
            async with kafka.patience():
                written = await producer.send_and_wait(
                    topic, key=key, value=encode_link_record(verdict)
                )
    part = TopicPartition(topic, written.partition)
    try:
        return not await until_committed(settings, {part: written.offset + 1}, wait_seconds)
    except KafkaDownError as error:
        raise KafkaDownError(f"the verdict is kept, but {error}") from error
