"""A stand: one owner's population in Redis, workers that fold its events, and their producer."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from benchmarks.bench.backlog import Backlog, producing
from benchmarks.bench.people import People, browse
from benchmarks.bench.seeding import TEMPLATE_EVENTS, seed_persons, seed_strangers
from benchmarks.bench.site import Site, Worker, owned
from benchmarks.bench.window import Cost, look, watch
from models.events import Event
from models.keys import Keys
from runtime import clock
from runtime.link import Link
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["Crowd", "Draw", "Stand", "hot", "merging", "mixed", "standing"]

Draw = Callable[[], Event]


class Stand:
    """One owner's population, its workers, a producer, and a connection to its Redis."""

    def __init__(
        self, site: Site, settings: Settings, people: People, producer: Any, link: Link  # noqa: ANN401
    ) -> None:  # fmt: skip
        self.site = site
        self.settings = settings
        self.people = people
        self.producer = producer
        self.link = link
        self.keys = Keys(settings.owner)
        self.workers: list[Worker] = []
        self.canaries = itertools.count(-2, -1)
        """Numbers of persons and strangers whom no load draws."""

    async def add_persons(self, indexes: Iterable[int], events: int = TEMPLATE_EVENTS) -> None:
        """Puts persons into Redis, or back to a history of so many events."""
        await seed_persons(self.link, self.keys, self.people, indexes, events)

    async def add_strangers(self, indexes: Iterable[int]) -> None:
        """Puts strangers into Redis."""
        await seed_strangers(self.link, self.keys, self.people, indexes)

    async def add_worker(self) -> None:
        """Starts one more worker."""
        self.workers.append(await asyncio.to_thread(self.site.start_worker, self.settings))

    def stop_workers(self) -> None:
        """Ends those that are left."""
        for worker in self.workers:
            worker.stop()

    async def measure(self, draw: Draw, count: int) -> Cost:
        """The cost of ``count`` events that wait when the worker comes to them."""
        backlog = Backlog(self.producer, self.settings, clock.now_ms())
        backlog.add(draw() for _ in range(count))
        before = await look(self.site, self.link, self.workers)
        await backlog.send()
        return await watch(self.site, self.link, self.workers, before, count)


@contextlib.asynccontextmanager
async def standing(
    site: Site,
    people: People,
    name: str,
    *,
    persons: int,
    events: int = TEMPLATE_EVENTS,
    strangers: int = 0,
    workers: int = 1,
) -> AsyncIterator[Stand]:
    """Makes a stand whose topics and keys are its own; its workers end with the block."""
    settings = owned(site, name)
    site.say(f"{name}: {persons:,} persons, {strangers:,} strangers, {workers} workers")
    async with contextlib.AsyncExitStack() as cleanup:
        link = link_to(settings.redis_url, name="kinbid-bench")
        await link.connect()
        cleanup.push_async_callback(link.close)
        producer = await cleanup.enter_async_context(producing(settings))
        stand = Stand(site, settings, people, producer, link)
        await stand.add_persons(range(persons), events)
        await stand.add_strangers(range(strangers))
        cleanup.callback(stand.stop_workers)
        for _ in range(workers):
            await stand.add_worker()
        yield stand


class Crowd:
    """Events of persons drawn at random: the worst case for whatever remembers persons.

    Attributes:
        drawn: who has come so far.
    """

    def __init__(self, people: People, persons: int, seed: int) -> None:
        self._people = people
        self._persons = persons
        self._rng = random.Random(seed)
        self.drawn: set[int] = set()

    def __call__(self) -> Event:
        """One event of somebody."""
        index = self._rng.randrange(self._persons)
        self.drawn.add(index)
        return self._people.plain(self._rng, self._people.trio(index), clock.now_ms())


def merging(people: People, persons: int, seed: int, first: int) -> Draw:
    """Sign-ins that each merge a stranger, counted from ``first``, into a person."""
    rng, numbers = random.Random(seed), itertools.count(first)
    return lambda: people.merge(
        people.stranger(next(numbers)), people.trio(rng.randrange(persons)), clock.now_ms()
    )


def hot(people: People, seed: int) -> Draw:
    """Events of one identifier, that of the first person's browser."""
    rng, cookie = random.Random(seed), people.trio(0).cookie
    return lambda: browse(rng, cookie, clock.now_ms())


def mixed(often: Draw, rare: Draw, share: float) -> Draw:
    """Draws of both, ``share`` (0 to 1) of them ``rare``: evenly, so a part holds what all hold."""
    owed = 0.0

    def draw() -> Event:
        nonlocal owed
        owed += share
        if owed < 1:
            return often()
        owed -= 1
        return rare()

    return draw
