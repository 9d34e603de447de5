"""What a dead worker had folded and not committed: its successor is given that once more."""

from collections.abc import Iterable, Sequence
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.bench.backlog import partition_of
from benchmarks.bench.site import Worker, metric, scrape
from benchmarks.bench.stand import Stand
from models.commands import Steps
from models.facets import decode_facet
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.profile import newest_fields
from models.topics import Topics
from runtime.settings import Settings

__all__ = ["count_uncommitted", "partitions_of", "takeovers"]

CHUNK: Final = 500


async def partitions_of(worker: Worker) -> set[int]:
    """The partitions of events that a worker has read of: all of its own if it lost none yet."""
    lags = (await scrape(worker)).get("streams_lag_records", [])
    return {int(labels["partition"]) for labels, _ in lags if labels["topic"] == "events"}


async def takeovers(workers: Sequence[Worker]) -> float:
    """How often the workers have taken a partition over."""
    return sum([metric(await scrape(one), "streams_takeovers_total") for one in workers])


async def count_uncommitted(stand: Stand, partitions: set[int], nodes: Iterable[NodeId]) -> int:
    """How many identifiers have records that are folded and not committed.

    Args:
        stand: whose records; whoever owned the partitions is dead, and nobody has come in yet.
        partitions: of events.
        nodes: identifiers with recent events, as their first one.
    """
    theirs = [node for node in nodes if partition_of(node) in partitions]
    folded: list[int] = []
    for start in range(0, len(theirs), CHUNK):
        chunk = theirs[start : start + CHUNK]
        folded += await stand.link.run_all(_watermark(stand.keys, node) for node in chunk)
    # Only now: a commit that was on its way when the worker died may have come since.
    committed = await _committed(stand.settings, partitions)
    return sum(
        watermark >= committed[partition_of(node)]
        for node, watermark in zip(theirs, folded, strict=True)
    )


def _watermark(keys: Keys, node: NodeId) -> Steps[int]:
    """The offset of the newest event of an identifier that was folded; -1 for none."""
    facets = newest_fields((yield from settle(keys, node)), b"f")
    return decode_facet(facets[node]).watermark if node in facets else -1


async def _committed(settings: Settings, partitions: set[int]) -> dict[int, int]:
    topic = Topics.EVENTS.name(settings.owner)
    wanted = [TopicPartition(topic, partition) for partition in partitions]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(
            f"{settings.owner}.streams", partitions=wanted
        )
    finally:
        await admin.close()
    return {part.partition: max(0, found[part].offset) for part in wanted}
