"""kinbid's answer without a server: streams workers over one store, interleaved at random."""

import random
from collections.abc import Sequence

from benchmarks.quality import share_out
from models.events import Event
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from tests.fakes.memory_store import MemoryStore, Runner, run

__all__ = ["persons_of", "resolve_in_memory"]

KEYS = Keys("quality")


def resolve_in_memory(
    events: Sequence[Event], *, workers: int = 2, schedule: int = 0
) -> dict[NodeId, NodeId]:
    """Digests the records and asks for every node's person.

    Args:
        events: in the order of their arrival.
        workers: how many work side by side.
        schedule: another number lets the workers take turns in another way.
    """
    store, rng = MemoryStore(), random.Random(schedule)
    digesting = [worker.batches() for worker in share_out(KEYS, events, workers)]
    at_work: list[list[Runner[object]]] = [[] for _ in digesting]
    while digesting:
        place = rng.randrange(len(digesting))
        if not at_work[place]:
            batch = next(digesting[place], None)
            if batch is None:
                del digesting[place], at_work[place]
                continue
            at_work[place] = [Runner(store, steps) for steps in batch]
        runner = rng.choice(at_work[place])
        runner.step()
        if runner.done:
            at_work[place].remove(runner)
    return {node: run(store, find(KEYS, node)) for event in events for node in event.ids}


def persons_of(partition: dict[NodeId, NodeId]) -> set[frozenset[NodeId]]:
    """A partition without the names of its clusters."""
    members: dict[NodeId, set[NodeId]] = {}
    for node, cluster in partition.items():
        members.setdefault(cluster, set()).add(node)
    return {frozenset(nodes) for nodes in members.values()}
