"""The log is what is known: read anew, from its beginning and by one worker, it gives the same."""

import itertools
import random
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.events import Billing, Event, encode
from models.export import Export, canonical_person, export_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.splits import note
from streams.stages.persons import (
    KnownLinks,
    Touched,
    digest_events,
    digest_outcomes,
    look_around,
    read_batch,
)
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run
from tests.fakes.records import NODES, billings, events

KEYS = Keys("o")
CARDS = NodeId("c" + "x" * 22), NodeId("c" + "y" * 22)

Record: TypeAlias = tuple[int, int, bytes | None, bytes | None]
Log: TypeAlias = tuple[Sequence[Record], Sequence[Record]]
"""Events and notices: offset, key and value."""


def named(event: Event, ids: Sequence[NodeId]) -> Event:
    return msgspec.structs.replace(event, ids=tuple(ids))


some_ids = st.lists(st.sampled_from((*NODES, *CARDS)), min_size=1, max_size=3, unique=True)
told = st.lists(st.builds(named, events, some_ids), min_size=1, max_size=10)
shown = st.lists(billings, max_size=5)


def log_of(happened: Sequence[Event], billed: Sequence[Billing]) -> Log:
    return (
        [
            (n, one.event_time_ms, one.ids[0].encode(), encode(one))
            for n, one in enumerate(happened)
        ],
        [(n, one.notice_time_ms, one.node.encode(), encode(one)) for n, one in enumerate(billed)],
    )


class Worker:
    """Folds batches of the log into a store, with every identifier's work side by side."""

    def __init__(self, store: MemoryStore, epoch: int, seed: int) -> None:
        self.store, self.epoch, self.rng = store, epoch, random.Random(seed)
        self._known = KnownLinks()
        self._tokens = itertools.count()

    def fold(self, happened: Iterable[Record], billed: Iterable[Record]) -> None:
        batch, notices = read_batch(happened, "events"), read_batch(billed, "outcomes")
        work = [
            digest_events(
                KEYS, node, self.epoch, entries, known=self._known, next_token=self._token
            )
            for node, entries in batch.events.items()
        ]
        work += [
            digest_outcomes(KEYS, node, self.epoch, entries)
            for node, entries in notices.outcomes.items()
        ]
        runners: list[Runner[Touched]] = [Runner(self.store, steps) for steps in work]
        interleave(runners, self.rng.randrange)
        touched = [runner.result for runner in runners]
        for one in run(self.store, look_around(KEYS, touched, self._token)):
            for link in one.links:
                if link.resettled is not None:
                    run(self.store, note(KEYS, link.resettled))

    def _token(self) -> str:
        return f"{self.epoch}.{next(self._tokens)}"


def export_from(store: MemoryStore) -> Export:
    persons = [canonical_person(run(store, settle(KEYS, node))) for node in (*NODES, *CARDS)]
    return export_of({one.members: one for one in persons if one is not None}.values())


@given(told, shown, st.integers(0, 2**32), st.data())
def test_row_62_the_log_read_anew_gives_the_same_hash(
    happened: list[Event], billed: list[Billing], seed: int, data: st.DataObject
) -> None:
    """Live: in batches, interleaved, taken over in the middle by a worker that reads some again."""
    log = log_of(happened, billed)
    ends = [data.draw(st.integers(0, len(one)), "taken over") for one in log]
    begins = [data.draw(st.integers(0, end), "committed") for end in ends]
    live = MemoryStore()
    Worker(live, 1, seed).fold(log[0][: ends[0]], log[1][: ends[1]])
    Worker(live, 2, seed + 1).fold(log[0][begins[0] :], log[1][begins[1] :])

    anew = MemoryStore()
    rebuilding = Worker(anew, 1, 0)
    for record in log[0]:
        rebuilding.fold([record], [])
    for record in log[1]:
        rebuilding.fold([], [record])
    assert export_from(anew).digest == export_from(live).digest
