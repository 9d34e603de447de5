"""kinbid's answer without a server: streams workers over one store, interleaved at random."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.quality import Digesting, share_out
from models.events import Event
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from tests.fakes.memory_store import MemoryStore, Runner, run

if TYPE_CHECKING:
    from streams.stages.persons import Touched

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
    working = [_Working(store, worker) for worker in share_out(KEYS, events, workers)]
    while working:
        one = rng.choice(working)
        if one.runners:
            one.step(rng.choice(one.runners))
        elif not one.begin():
            working.remove(one)
    return {node: run(store, find(KEYS, node)) for event in events for node in event.ids}


class _Working:
    """A worker and what it has begun and not finished."""

    def __init__(self, store: MemoryStore, worker: Digesting) -> None:
        self._store, self._worker = store, worker
        self._batches = worker.batches()
        self._touched: list[Touched] = []
        self.runners: list[Runner[Any]] = []

    def begin(self) -> bool:
        """Begins what comes next; False when all is done."""
        steps = next(self._batches, None)
        self.runners = [Runner(self._store, one) for one in steps or ()]
        return steps is not None

    def step(self, runner: Runner[Any]) -> None:
        """One step; when a batch is digested, its contested links are looked at."""
        runner.step()
        if not runner.done:
            return
        self.runners.remove(runner)
        if runner.result is not None:
            self._touched.append(runner.result)
        if self._touched and not self.runners:
            looking = Runner(self._store, self._worker.look_and_note(self._touched))
            self.runners = [] if looking.done else [looking]
            self._touched = []


def persons_of(partition: dict[NodeId, NodeId]) -> set[frozenset[NodeId]]:
    """A partition without the names of its clusters."""
    members: dict[NodeId, set[NodeId]] = {}
    for node, cluster in partition.items():
        members.setdefault(cluster, set()).add(node)
    return {frozenset(nodes) for nodes in members.values()}
