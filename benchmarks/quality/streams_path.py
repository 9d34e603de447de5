"""kinbid's own answer, by the code that runs in production.

Records are encoded, laid into partitions by their key, and digested in batches by several workers
at once, each the owner of some partitions, over one Redis. Then each node is asked for its person.
Only Kafka is left out.
"""

import asyncio
import itertools
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from models.commands import Steps
from models.events import Event, encode
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from models.splits import note
from runtime.redis_link import RedisLink
from streams.stages.persons import KnownLinks, Touched, digest_events, look_around, read_batch

__all__ = ["Digesting", "resolve_on_redis", "share_out"]

PARTITIONS: Final = 4
BATCH_RECORDS: Final = 50
"""Per partition, so that four make the batch of a worker that owns them all."""

FIND_AT_ONCE: Final = 1000
FIRST_EPOCH: Final = 1

Record: TypeAlias = tuple[int, int, bytes | None, bytes | None]
"""Offset, timestamp, key and value."""


class Digesting:
    """One streams worker: its partitions, the links that it knows, tokens that nobody else has.

    Args:
        keys: of the data owner.
        name: begins its tokens; no other worker has it.
        partitions: the records of each partition that it owns, in the order of their offsets.
    """

    def __init__(self, keys: Keys, name: str, partitions: Sequence[Sequence[Record]]) -> None:
        self._keys = keys
        self._partitions = partitions
        self._known = KnownLinks()
        self._tokens = (f"{name}.{number:x}" for number in itertools.count())

    def batches(self) -> Iterator[list[Steps[Touched]]]:
        """The generators of one batch after another; those of one batch run side by side.

        Raises:
            ValueError: a record that streams would bury; the world makes none.
        """
        longest = max(map(len, self._partitions), default=0)
        for start in range(0, longest, BATCH_RECORDS):
            work: list[Steps[Touched]] = []
            for records in self._partitions:
                work += self._digest(records[start : start + BATCH_RECORDS])
            yield work

    def _digest(self, records: Sequence[Record]) -> Iterator[Steps[Touched]]:
        batch = read_batch(records, "events")
        if batch.refused:
            raise ValueError(f"a record of the world is refused: {batch.refused[0].reason}")
        for node, entries in batch.events.items():
            yield digest_events(
                self._keys, node, FIRST_EPOCH, entries,
                known=self._known, next_token=self._tokens.__next__,
            )  # fmt: skip

    def look_and_note(self, touched: Sequence[Touched]) -> Steps[None]:
        """What streams does about a batch's contested links; Kafka's part is left out."""
        for one in (yield from look_around(self._keys, touched, self._tokens.__next__)):
            for link in one.links:
                if link.resettled is not None:
                    yield from note(self._keys, link.resettled)


def share_out(keys: Keys, events: Sequence[Event], workers: int) -> list[Digesting]:
    """Lays records into partitions by their key, and partitions into the hands of workers."""
    partitions: defaultdict[int, list[Record]] = defaultdict(list)
    for event in events:
        key = event.ids[0].encode()
        records = partitions[zlib.crc32(key) % PARTITIONS]
        records.append((len(records), event.event_time_ms, key, encode(event)))
    return [
        Digesting(keys, f"w{worker}", [partitions[p] for p in range(worker, PARTITIONS, workers)])
        for worker in range(workers)
    ]


async def resolve_on_redis(
    url: str, events: Sequence[Event], *, workers: int = 2
) -> dict[NodeId, NodeId]:
    """Digests the records and asks for every node's person.

    Args:
        url: a Redis of ours alone: it is emptied first.
        events: in the order of their arrival.
        workers: how many work side by side, 1 to 4.

    Raises:
        RedisDownError: it cannot be reached.
    """
    keys = Keys("quality")
    links = [RedisLink(url, name=f"quality-{number}") for number in range(workers)]
    try:
        for link in links:
            await link.connect()
        await links[0].run(_empty())
        digesting = zip(links, share_out(keys, events, workers), strict=True)
        await asyncio.gather(*(_work(link, worker) for link, worker in digesting))
        return await _read_back(links[0], keys, {node for event in events for node in event.ids})
    finally:
        for link in links:
            await link.close()


async def _work(link: RedisLink, worker: Digesting) -> None:
    for batch in worker.batches():
        await link.run(worker.look_and_note(await link.run_all(batch)))


async def _read_back(link: RedisLink, keys: Keys, nodes: set[NodeId]) -> dict[NodeId, NodeId]:
    found: dict[NodeId, NodeId] = {}
    ordered = sorted(nodes)
    for start in range(0, len(ordered), FIND_AT_ONCE):
        chunk = ordered[start : start + FIND_AT_ONCE]
        roots = await link.run_all(find(keys, node) for node in chunk)
        found.update(zip(chunk, roots, strict=True))
    return found


def _empty() -> Steps[None]:
    yield [("FLUSHDB",)]
