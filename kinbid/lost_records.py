"""What the topics that persons are worked out from no longer hold: their oldest records.

A retention takes them, or somebody deletes them. What is left tells of other persons: of an order
without its customer, of a cookie whose consent was withdrawn by a record that is gone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition

from models.errors import KinbidError
from models.topics import Topics
from runtime import kafka
from runtime.settings import Settings

__all__ = ["FOLDED", "LostRecordsError", "lost_in", "lost_records", "persons_from", "told_of"]

FOLDED = (Topics.EVENTS, Topics.OUTCOMES, Topics.VERDICTS)
"""What streams folds. Compaction removes no beginning: it leaves gaps."""


class LostRecordsError(KinbidError):
    """Persons worked out from what is left would not be those that are known."""

    def __init__(self, lost: Mapping[str, int]) -> None:
        super().__init__(f"{told_of(lost)}; nothing was changed. `--lossy` goes on all the same")


def told_of(lost: Mapping[str, int]) -> str:
    """Which topics lack how many records, and what that means, for people."""
    lacks = " and ".join(f"{topic} lacks its oldest {n:,} records" for topic, n in lost.items())
    return f"{lacks}: what only these told is forgotten, withdrawn consent and orders among it"


def persons_from(partitions: Iterable[TopicPartition], settings: Settings) -> list[TopicPartition]:
    """Those of the partitions that persons are worked out from: matches may lose their oldest."""
    names = {topic.name(settings.owner) for topic in FOLDED}
    return [part for part in partitions if part.topic in names]


async def lost_in(consumer: Any, partitions: Iterable[TopicPartition]) -> dict[str, int]:  # noqa: ANN401 - untyped library
    """How many of the oldest records are gone, by topic; topics that have all are left out."""
    starts: Mapping[TopicPartition, int] = await consumer.beginning_offsets(list(partitions))
    lost: Counter[str] = Counter()
    for part, first in starts.items():
        lost[part.topic] += first
    return dict(sorted((+lost).items()))


async def lost_records(settings: Settings) -> dict[str, int]:
    """What the owner's topics have lost, as :func:`lost_in` says it.

    Raises:
        KafkaDownError: no broker answers.
    """
    await kafka.ensure_topics(settings)
    async with kafka.consuming(settings) as consumer:
        with kafka.failures_told("nobody knows whether Kafka still holds all records"):
            return await lost_in(
                consumer,
                [
                    TopicPartition(topic.name(settings.owner), number)
                    for topic in FOLDED
                    for number in range(topic.partitions)
                ],
            )
