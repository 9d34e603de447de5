"""What a dead worker left uncommitted, by the watermarks in a store and made-up commits."""

import asyncio
import itertools
import random
from collections.abc import Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from benchmarks.bench import redelivery
from benchmarks.bench.backlog import partition_of
from benchmarks.bench.people import EPOCH_MS, People, browse
from benchmarks.bench.redelivery import count_uncommitted
from models.commands import Steps
from models.identifiers import NodeId
from models.keys import Keys
from runtime.settings import Settings
from streams.stages.persons import KnownLinks, digest_events
from tests.fakes.memory_store import MemoryStore, run

if TYPE_CHECKING:
    from benchmarks.bench.stand import Stand

KEYS = Keys("bench")
PEOPLE = People(seed=7)
NODES = [PEOPLE.node("k", str(number)) for number in range(8)]
OFFSET = 10
"""Of the one event of each."""


class FakeLink:
    """Runs generators on a store in memory."""

    def __init__(self) -> None:
        self.store, tokens = MemoryStore(), itertools.count()
        for node in NODES:
            entries = [(OFFSET, browse(random.Random(1), node, EPOCH_MS))]
            run(
                self.store,
                digest_events(
                    KEYS, node, 1, entries, known=KnownLinks(),
                    next_token=lambda: f"t{next(tokens)}",
                ),
            )  # fmt: skip

    async def run_all(self, work: Iterable[Steps[Any]]) -> list[Any]:
        return [run(self.store, steps) for steps in work]


def uncommitted(
    monkeypatch: pytest.MonkeyPatch, next_offset: int, partitions: set[int], nodes: list[NodeId]
) -> int:
    async def committed(_: Settings, asked: set[int]) -> dict[int, int]:
        return dict.fromkeys(asked, next_offset)

    monkeypatch.setattr(redelivery, "_committed", committed)
    stand = SimpleNamespace(link=FakeLink(), keys=KEYS, settings=Settings())
    return asyncio.run(count_uncommitted(cast("Stand", stand), partitions, nodes))


EVERYWHERE = {partition_of(node) for node in NODES}


def test_what_was_folded_from_the_next_offset_on_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert uncommitted(monkeypatch, OFFSET, EVERYWHERE, NODES) == len(NODES)


def test_what_was_committed_does_not_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uncommitted(monkeypatch, OFFSET + 1, EVERYWHERE, NODES) == 0


def test_other_workers_partitions_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    one = partition_of(NODES[0])
    theirs = sum(partition_of(node) == one for node in NODES)
    assert theirs < len(NODES)
    assert uncommitted(monkeypatch, OFFSET, {one}, NODES) == theirs


def test_somebody_of_whom_nothing_was_folded_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = PEOPLE.node("k", "nobody")
    assert uncommitted(monkeypatch, 0, {partition_of(nobody)}, [nobody]) == 0
