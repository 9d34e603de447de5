"""Workers that share partitions, and one of them killed: what that loses, doubles and delays."""

import asyncio
from collections import Counter
from typing import Final

import msgspec

from benchmarks.bench.canary import Kind, Visible, canaries, place_canaries, summary
from benchmarks.bench.pace import Offered, offer
from benchmarks.bench.people import People
from benchmarks.bench.redelivery import count_uncommitted, partitions_of, takeovers
from benchmarks.bench.site import BenchError
from benchmarks.bench.stand import Draw, Stand
from models.commands import Steps
from models.events import Event
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.profile import person_of

__all__ = ["MOST_KILLS", "Takeover", "Tally", "kill_one"]

CAUGHT_UP_SECONDS: Final = 60.0
CHUNK: Final = 500
MOST_KILLS: Final = 3
"""Whoever is killed between a commit and the next batch leaves nothing to fold again."""
RECENT: Final = 4000
"""So many identifiers are looked at for what was folded last."""


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """One worker of several killed with -9 while events and merges come.

    Attributes:
        offered_per_second: the rate, steady through it all.
        events, merges: how many were offered, canaries not counted.
        redelivered: so many identifiers had records that the dead worker had folded and not
            committed, so that its successor was given them once more.
        lost, doubled: events, by the counts of everybody's profile afterwards.
        event_to_visible: over the whole time; its most is how long somebody's events stood still.
    """

    offered_per_second: float
    events: int
    merges: int
    redelivered: int
    lost: int
    doubled: int
    event_to_visible: dict[Kind, Visible]


async def kill_one(
    stand: Stand, draw: Draw, persons: int, *, per_second: float, seconds: float
) -> Takeover:
    """Offers events for a time, kills a worker after a third of it, and counts when all are done.

    Where nothing was redelivered by that, which would show nothing, it is done again with a new
    worker.

    Args:
        stand: two workers or more; one is gone afterwards.
        draw: events of the population, and merges of strangers whom one event is known of, for
            :data:`MOST_KILLS` times.
        persons: how many there are.
        per_second: what the others must be able to do.
        seconds: how long events come; best longer than Kafka waits for a dead worker.

    Raises:
        BenchError: something was lost or counted twice, or not folded within a minute; a canary
            was not seen; or no kill led to a redelivery.
    """
    for _ in range(MOST_KILLS):
        found = await _kill(stand, draw, persons, per_second=per_second, seconds=seconds)
        if found.redelivered > 0:
            return found
        stand.site.say("nothing was redelivered; killing another one")
        await stand.add_worker()
    raise BenchError(f"{MOST_KILLS} workers were killed, and nothing was redelivered")


async def _kill(
    stand: Stand, draw: Draw, persons: int, *, per_second: float, seconds: float
) -> Takeover:
    tally, offered = Tally(stand.people, persons), Offered()
    counts, numbers = await _counts(stand, persons), await place_canaries(stand, seconds)
    sending = asyncio.create_task(
        offer(
            stand.producer, stand.settings, lambda: tally.add(draw()), per_second=per_second,
            seconds=seconds, offered=offered,
        )
    )  # fmt: skip
    watching = asyncio.create_task(canaries(stand, numbers, seconds, offered))
    await asyncio.sleep(seconds / 3)
    redelivered = await _kill_one_worker(stand, tally)
    await sending
    seen = await watching
    behind = await stand.site.records_behind(stand.settings, CAUGHT_UP_SECONDS)
    lost, doubled = tally.compare(counts, await _counts(stand, persons))
    if behind or lost or doubled:
        raise BenchError(
            f"a worker was killed, and of {tally.events} events {lost} were lost, {doubled} "
            f"counted twice and {behind} records not folded"
        )
    return Takeover(
        offered_per_second=per_second, events=tally.events, merges=tally.merges,
        redelivered=redelivered, lost=lost, doubled=doubled, event_to_visible=summary(seen),
    )  # fmt: skip


async def _kill_one_worker(stand: Stand, tally: "Tally") -> int:
    """Kills the newest worker; how many identifiers had something folded and not committed."""
    victim = stand.workers.pop()
    partitions, before = await partitions_of(victim), await takeovers(stand.workers)
    await asyncio.to_thread(victim.kill)
    found = await count_uncommitted(stand, partitions, tally.recent)
    # A successor that was so quick may have folded these itself, and nobody before it.
    return found if await takeovers(stand.workers) == before else 0


class Tally:
    """How many records of browsing each person must have more of: the kinds that are counted."""

    def __init__(self, people: People, persons: int) -> None:
        self._person_of = {
            node: index for index in range(persons) for node in people.trio(index)
        }  # fmt: skip
        self.expected: Counter[int] = Counter()
        self.events = 0
        self.merges = 0
        self.recent: dict[NodeId, None] = {}
        """Whose events came last, by their first identifiers: the newest are at the end."""

    def add(self, event: Event) -> Event:
        """Counts an event; a sign-in, which is none of browsing, brings a stranger's one along."""
        self.events += 1
        self.merges += len(event.ids) > 1
        self.recent.pop(event.ids[0], None)
        self.recent[event.ids[0]] = None
        if len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]
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
