"""Workers that share partitions, and one of them killed: what that loses, doubles and delays."""

import asyncio
from collections import Counter
from typing import Final

import msgspec

from benchmarks.bench.canary import Visible, canaries, summary
from benchmarks.bench.pace import Offered, offer
from benchmarks.bench.people import People
from benchmarks.bench.site import BenchError
from benchmarks.bench.stand import Draw, Stand
from models.commands import Steps
from models.events import Event
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.profile import person_of

__all__ = ["Takeover", "Tally", "kill_one"]

CAUGHT_UP_SECONDS: Final = 60.0
CHUNK: Final = 500


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of several killed with -9 while events and merges come.

    Attributes:
        offered_per_second: the rate, steady through it all.
        events, merges: how many were offered.
        lost, doubled: of these, by the counts of everybody's profile afterwards.
        event_to_visible: over the whole time; its most is how long somebody's events stood still.
    """

    offered_per_second: float
    events: int
    merges: int
    lost: int
    doubled: int
    event_to_visible: Visible


async def kill_one(
    stand: Stand, draw: Draw, persons: int, *, per_second: float, seconds: float
) -> Takeover:
    """Offers events for a time, kills a worker after a third of it, and counts when all are done.

    Args:
        stand: two workers or more; one is gone afterwards.
        draw: events of the population, and merges of strangers whom one event is known of.
        persons: how many there are.
        per_second: what the others must be able to do.
        seconds: how long events come; best longer than Kafka waits for a dead worker.

    Raises:
        BenchError: something was lost or counted twice, or not folded within a minute.
    """
    tally = Tally(stand.people, persons)
    before = await _counts(stand, persons)
    offered = Offered()
    sending = asyncio.create_task(
        offer(
            stand.producer, stand.settings, lambda: tally.add(draw()), per_second=per_second,
            seconds=seconds, offered=offered,
        )
    )  # fmt: skip
    watching = asyncio.create_task(
        canaries(stand.producer, stand.settings, stand.people, seconds)
    )  # fmt: skip
    await asyncio.sleep(seconds / 3)
    await asyncio.to_thread(stand.workers.pop().kill)
    await sending
    seen = await watching
    behind = await stand.site.records_behind(stand.settings, CAUGHT_UP_SECONDS)
    after = await _counts(stand, persons)
    lost, doubled = tally.compare(before, after)
    if behind or lost or doubled:
        raise BenchError(
            f"a worker was killed, and of {offered.count} events {lost} were lost, {doubled} "
            f"counted twice and {behind} records not folded"
        )
    return Takeover(
        offered_per_second=per_second, events=offered.count, merges=tally.merges, lost=lost,
        doubled=doubled, event_to_visible=summary(seen),
    )  # fmt: skip


class Tally:
    """How many records of browsing each person must have more of: the kinds that are counted."""

    def __init__(self, people: People, persons: int) -> None:
        self._person_of = {
            node: index for index in range(persons) for node in people.trio(index)
        }  # fmt: skip
        self.expected: Counter[int] = Counter()
        self.merges = 0

    def add(self, event: Event) -> Event:
        """Counts an event; a sign-in, which is none of browsing, brings a stranger's one along."""
        self.merges += len(event.ids) > 1
        self.expected[self._person_of[event.ids[-1]]] += 1
        return event

    def compare(self, before: list[int], after: list[int]) -> tuple[int, int]:
        """How many events are missing, and how many too many, person by person."""
        surplus = [
            now - was - self.expected[index]
            for index, (was, now) in enumerate(zip(before, after, strict=True))
        ]
        return -sum(min(0, one) for one in surplus), sum(max(0, one) for one in surplus)


async def _counts(stand: Stand, persons: int) -> list[int]:
    """How many records of browsing the profile of each person has counted."""
    counts: list[int] = []
    for start in range(0, persons, CHUNK):
        chunk = range(start, min(persons, start + CHUNK))
        counts += await stand.link.run_all(
            _count(stand.keys, stand.people.trio(index).crm) for index in chunk
        )
    return counts


def _count(keys: Keys, node: NodeId) -> Steps[int]:
    facet, _ = person_of((yield from settle(keys, node)))
    return sum(facet.counts.values())
