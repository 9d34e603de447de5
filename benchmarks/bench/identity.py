"""``kinbid bench identity``: what each step of the protocol costs, in commands, rounds and CPU."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from benchmarks.bench.people import EPOCH_MS, People
from benchmarks.bench.seeding import seed_persons, seed_strangers
from benchmarks.bench.site import Site, about, owned, redis_cpu_micros
from models.commands import Steps
from models.events import PageView
from models.evidence import Evidence
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from models.links import link
from models.profile import publish_all
from models.units import AdvertiserId
from runtime.link import Link
from runtime.redis_url import link_to
from streams.stages.persons import KnownLinks, digest_events

__all__ = ["OPERATIONS", "run_identity"]

T = TypeVar("T")
SIGN_IN: Final = Evidence("sign_in", EPOCH_MS)
TOGETHER: Final = 200
"""Generators in flight at once, as in the worker's batches."""


class StepCost(msgspec.Struct, frozen=True, kw_only=True):
    """One operation: commands and rounds (means), CPU in microseconds, median and spread."""

    commands: float
    rounds: float
    redis_us: float
    client_us: float
    redis_us_spread: tuple[float, float]
    client_us_spread: tuple[float, float]


class _Tally:
    """Counts what generators ask for."""

    def __init__(self) -> None:
        self.commands = 0
        self.rounds = 0

    def watch(self, steps: Steps[T]) -> Steps[T]:
        """The same generator, counted."""
        replies: Any = None
        while True:
            try:
                asked = steps.send(replies)
            except StopIteration as stop:
                result: T = stop.value
                return result
            self.commands += len(asked)
            self.rounds += 1
            replies = yield asked


class _Bench:
    """Operations on a seeded population; each takes persons that it has not used yet."""

    def __init__(self, keys: Keys, people: People, persons: int) -> None:
        self.keys = keys
        self.people = people
        self.offset = itertools.count(1_000_000)
        self.tokens = itertools.count()
        self.known = KnownLinks()
        self._persons = itertools.cycle(range(persons))
        self.strangers = itertools.count()
        self.fresh = itertools.count()

    def trio_cookie(self) -> NodeId:
        """A cookie below a CRM id."""
        return self.people.trio(next(self._persons)).cookie

    def token(self) -> str:
        """A token of its own."""
        return f"bench.{next(self.tokens):x}"

    def find(self) -> Steps[Any]:
        """The root of a cookie."""
        return find(self.keys, self.trio_cookie())

    def fold(self, node: NodeId, epoch: int) -> Steps[Any]:
        """One page view of ``node``, without the publication."""
        event = PageView(
            event_id="e", ids=(node,), event_time_ms=EPOCH_MS, advertiser=AdvertiserId("shop"),
            page="/",
        )  # fmt: skip
        entries = [(next(self.offset), event)]
        return digest_events(
            self.keys, node, epoch, entries, known=self.known, next_token=self.token
        )

    def fold_known(self) -> Steps[Any]:
        """The plain event: its identifier's field is of this epoch."""
        return self.fold(self.trio_cookie(), 1)

    def fold_new(self) -> Steps[Any]:
        """An identifier that nobody has seen."""
        return self.fold(self.people.node("k", f"fresh/{next(self.fresh)}"), 1)

    def link_new(self) -> Steps[Any]:
        """Two identifiers of which nothing is known."""
        one, other = (self.people.node("k", f"link/{next(self.fresh)}") for _ in range(2))
        return link(self.keys, one, other, SIGN_IN, self.token)

    def link_known(self) -> Steps[Any]:
        """Two identifiers of one person."""
        trio = self.people.trio(next(self._persons))
        return link(self.keys, trio.cookie, trio.crm, SIGN_IN, self.token)

    def merge(self) -> Steps[Any]:
        """A stranger with a profile becomes one more identifier of a person."""
        stranger = self.people.stranger(next(self.strangers))
        crm = self.people.trio(next(self._persons)).crm
        return link(self.keys, stranger, crm, SIGN_IN, self.token)

    def publish(self) -> Steps[Any]:
        """The bid view of a person."""
        root = self.people.trio(next(self._persons)).crm
        return publish_all(self.keys, [root], root)


OPERATIONS: Final[dict[str, Callable[[_Bench], Steps[Any]]]] = {
    "find": _Bench.find,
    "fold": _Bench.fold_known,
    "fold, new identifier": _Bench.fold_new,
    "link, new identifiers": _Bench.link_new,
    "link, known": _Bench.link_known,
    "merge": _Bench.merge,
    "publish": _Bench.publish,
}


async def run_identity(
    site: Site, sizes: tuple[int, ...], rounds: int, repeats: int, seed: int
) -> dict[str, Any]:
    """Costs of each operation, for each number of persons.

    Args:
        site: where to run; no worker is started.
        sizes: populations.
        rounds: batches of 200 operations in one repeat.
        repeats: how often each operation is measured, in turns.
        seed: of the population.
    """
    chosen = {"sizes": sizes, "rounds": rounds, "repeats": repeats, "together": TOGETHER}
    report = {"benchmark": "identity", **about(site, seed, chosen)}
    report["by_persons"] = {
        str(size): await _measure(site, size, rounds, repeats, seed) for size in sizes
    }
    return report


async def _measure(
    site: Site, size: int, rounds: int, repeats: int, seed: int
) -> dict[str, StepCost]:
    settings, people = owned(site, f"identity{size}"), People(seed)
    redis = link_to(settings.redis_url, name="kinbid-bench")
    await redis.connect()
    keys = Keys(settings.owner)
    strangers = range((rounds * repeats + 1) * TOGETHER)
    site.say(f"{size:,} persons")
    try:
        await seed_persons(redis, keys, people, range(size))
        await seed_strangers(redis, keys, people, strangers)
        bench = _Bench(keys, people, size)
        counted = {name: await _count(redis, bench, make) for name, make in OPERATIONS.items()}
        timed: dict[str, list[tuple[float, float]]] = {name: [] for name in OPERATIONS}
        for _ in range(repeats):
            for name, make in OPERATIONS.items():
                timed[name].append(await _time(site, redis, _batches(bench, make, rounds)))
    finally:
        await redis.close()
    return {
        name: _cost(counted[name], [r for r, _ in found], [c for _, c in found])
        for name, found in timed.items()
    }


def _batches(
    bench: _Bench, make: Callable[[_Bench], Steps[Any]], rounds: int
) -> Iterator[list[Steps[Any]]]:
    for _ in range(rounds):
        yield [make(bench) for _ in range(TOGETHER)]


async def _count(
    redis: Link, bench: _Bench, make: Callable[[_Bench], Steps[Any]]
) -> tuple[float, float]:
    tally = _Tally()
    await redis.run_all(tally.watch(make(bench)) for _ in range(TOGETHER))
    return tally.commands / TOGETHER, tally.rounds / TOGETHER


async def _time(
    site: Site, redis: Link, batches: Iterator[list[Steps[Any]]]
) -> tuple[float, float]:
    """Microseconds of Redis' and of this process's CPU for one operation."""
    began_redis, client, done = await redis_cpu_micros(site, redis), 0.0, 0
    for batch in batches:
        began = time.thread_time()
        await redis.run_all(batch)
        client += time.thread_time() - began
        done += len(batch)
    return (await redis_cpu_micros(site, redis) - began_redis) / done, client * 1e6 / done


def _cost(counted: tuple[float, float], redis: list[float], client: list[float]) -> StepCost:
    redis, client = sorted(redis), sorted(client)
    return StepCost(
        commands=counted[0],
        rounds=counted[1],
        redis_us=redis[len(redis) // 2],
        client_us=client[len(client) // 2],
        redis_us_spread=(redis[0], redis[-1]),
        client_us_spread=(client[0], client[-1]),
    )
