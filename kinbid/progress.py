"""How far streams has come, asked as a bystander: a consumer of its group would take partitions."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError

from models.topics import Topics
from runtime import kafka
from runtime.settings import Settings

__all__ = ["records_behind", "until_committed"]

LOOK_SECONDS: Final = 0.1

Offsets = Mapping[TopicPartition, int]


async def until_committed(settings: Settings, wanted: Offsets, wait_seconds: float) -> int:
    """Waits until streams has committed all offsets that are wanted.

    Returns:
        How many records it has not come to when the time is over; 0 if it has come to all.

    Raises:
        KafkaDownError: no broker says how far it is.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    group = f"{settings.owner}.streams"
    deadline = asyncio.get_running_loop().time() + wait_seconds
    where = f"Kafka at {settings.kafka_bootstrap}"
    try:
        with kafka.failures_told(f"{where} does not say how far streams has come"):
            await admin.start()
            while True:
                done = await _committed(admin, group, list(wanted))
                left = sum(max(0, offset - done[part]) for part, offset in wanted.items())
                if not left or asyncio.get_running_loop().time() >= deadline:
                    return left
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await admin.close()


async def records_behind(settings: Settings, wait_seconds: float) -> int:
    """How many of the events and outcomes that stand in Kafka now streams has not folded in time.

    Raises:
        KafkaDownError: no broker answers.
    """
    await kafka.ensure_topics(settings)
    parts = [
        TopicPartition(topic.name(settings.owner), number)
        for topic in (Topics.EVENTS, Topics.OUTCOMES)
        for number in range(topic.partitions)
    ]
    async with kafka.consuming(settings) as consumer:
        with kafka.failures_told(f"Kafka at {settings.kafka_bootstrap} does not say what it holds"):
            consumer.assign(parts)
            ends: Offsets = await kafka.true_ends(consumer, parts)
    return await until_committed(settings, {p: end for p, end in ends.items() if end}, wait_seconds)


async def _committed(
    admin: Any,  # noqa: ANN401 - untyped library
    group: str,
    parts: list[TopicPartition],
) -> dict[TopicPartition, int]:
    """What a group has committed; 0 for nothing, and while the group has no coordinator."""
    if not parts:
        return {}
    try:
        found = await admin.list_consumer_group_offsets(group, partitions=parts)
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError):
        found = {}  # the group was never heard of, or its broker has just gone
    return {part: max(0, found[part].offset) if part in found else 0 for part in parts}
