"""``kinbid bench streams``: what an event costs the worker, and what changes that."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec

from benchmarks.bench.backlog import Backlog
from benchmarks.bench.canary import canaries, summary
from benchmarks.bench.memory import drop_frozen, memory_of, used_memory
from benchmarks.bench.pace import Offered, offer, watch_lag
from benchmarks.bench.people import EPOCH_MS, People
from benchmarks.bench.site import Site, about, metric, scrape
from benchmarks.bench.stages import stages_apart
from benchmarks.bench.stand import Draw, Stand, hot, merging, mixed, plain, standing
from benchmarks.bench.takeover import kill_one
from benchmarks.bench.window import Cost, folded, look, median_cost, watch
from models.events import Event
from runtime import clock

__all__ = ["FULL", "PARTS", "QUICK", "Plan", "run_streams"]

WARM_UP: Final = 4000
"""Events before the first window: past the offsets that the seeded persons know already."""
MOST_HOT: Final = 0.5
"""At most this share of the events is the hot identifier's: the others must not wait for it."""
MERGING: Final = 0.05
"""The share of merges among the events while a worker is killed."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a run.

    Attributes:
        persons: populations for the growth with persons.
        base_persons: the population of everything else.
        merge_percents: shares of events that merge, in per cent.
        events: records of one window.
        repeats: windows of each case, interleaved.
        memory_persons: persons made from all their events, for the memory.
        history: events of each of those.
        hot_events: events of the hot identifier.
        offer_seconds: how long a paced case lasts.
        workers: numbers of workers that share four partitions.
    """

    persons: tuple[int, ...]
    base_persons: int
    merge_percents: tuple[int, ...] = (0, 5, 20)
    events: int
    repeats: int
    memory_persons: int
    history: int = 50
    hot_events: int
    offer_seconds: float
    workers: tuple[int, ...] = (1, 2, 4)


FULL: Final = Plan(
    persons=(10_000, 100_000, 1_000_000), base_persons=10_000, events=40_000, repeats=3,
    memory_persons=4_000, hot_events=100_000, offer_seconds=30,
)  # fmt: skip
QUICK: Final = Plan(
    persons=(1_000, 10_000), base_persons=1_000, events=10_000, repeats=2,
    memory_persons=400, hot_events=10_000, offer_seconds=5, workers=(1, 2),
)  # fmt: skip


def _costs(costs: list[Cost]) -> dict[str, Any]:
    """The median of the repeats, and their spread."""
    return {
        "median": median_cost(costs),
        "worker_us_spread": [min(c.worker_us for c in costs), max(c.worker_us for c in costs)],
        "redis_us_spread": [min(c.redis_us for c in costs), max(c.redis_us for c in costs)],
        "repeats": costs,
    }


async def growth(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """Cost against the number of persons; the windows of all sizes take turns."""
    costs: dict[int, list[Cost]] = {size: [] for size in plan.persons}
    async with contextlib.AsyncExitStack() as stands:
        ready = {
            size: await stands.enter_async_context(
                standing(site, people, f"p{size}", persons=size)
            )
            for size in plan.persons
        }  # fmt: skip
        draws = {size: plain(people, size, seed) for size in plan.persons}
        for size, stand in ready.items():
            await stand.measure(draws[size], WARM_UP)
        for _ in range(plan.repeats):
            for size, stand in ready.items():
                costs[size].append(await stand.measure(draws[size], plan.events))
                site.say(f"{size:,} persons: {costs[size][-1].worker_us:.1f} us an event")
    made = {str(size): _costs(found) for size, found in costs.items()}
    medians = [one["median"].worker_us for one in made.values()]
    return {"by_persons": made, "largest_to_smallest": medians[-1] / medians[0]}


async def merges(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """Cost against the share of merges, and what a merge costs in plain events."""
    percents = plan.merge_percents
    costs: dict[int, list[Cost]] = {percent: [] for percent in percents}
    each = max(percents) * plan.events // 100 + 1
    async with standing(
        site, people, "merges", persons=plan.base_persons,
        strangers=each * len(percents) * plan.repeats,
    ) as stand:  # fmt: skip
        ordinary = plain(people, plan.base_persons, seed)
        await stand.measure(ordinary, WARM_UP)
        for turn in range(plan.repeats):
            for place, percent in enumerate(percents):
                first = each * (turn * len(percents) + place)
                merges_of_turn = merging(people, plan.base_persons, seed + turn, first)
                draw = mixed(ordinary, merges_of_turn, percent / 100)
                costs[percent].append(await stand.measure(draw, plan.events))
                site.say(f"{percent} % merges: {costs[percent][-1].worker_us:.1f} us an event")
        links = metric(await scrape(stand.workers[0]), "streams_links_total", result="linked")
    made = {str(percent): _costs(found) for percent, found in costs.items()}
    return {
        "by_merge_percent": made,
        "linked": links,
        "merge_in_plain_events": {
            "worker": _in_plain_events(made, percents, "worker_us"),
            "redis": _in_plain_events(made, percents, "redis_us"),
        },
    }


def _in_plain_events(made: dict[str, Any], percents: tuple[int, ...], field: str) -> float:
    least, most = percents[0], percents[-1]
    plain: float = getattr(made[str(least)]["median"], field)
    mixed: float = getattr(made[str(most)]["median"], field)
    return 1 + (mixed - plain) / plain * 100 / (most - least)


async def memory(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """Memory of persons that the worker makes from all their events."""
    before = used_memory(site.settings.redis_url)
    async with standing(site, people, "memory", persons=0) as stand:
        rng = random.Random(seed)
        events = iter(_histories(people, plan, rng))
        count = plan.memory_persons * plan.history
        cost = await stand.measure(lambda: next(events), count)
        url, owner = stand.settings.redis_url, stand.settings.owner
        await asyncio.to_thread(drop_frozen, url, owner)
        measured = await asyncio.to_thread(memory_of, url, owner, plan.memory_persons, before)
    return {"events_per_person": plan.history, "measured": measured, "cost": cost}


def _histories(people: People, plan: Plan, rng: random.Random) -> Iterator[Event]:
    for index in range(plan.memory_persons):
        yield from people.history(people.trio(index), rng, plan.history)


async def stages(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """CPU by stage: apart in this process, and as the worker's own account of itself."""
    draw = plain(people, plan.base_persons, seed)
    async with standing(site, people, "apart", persons=plan.base_persons, workers=0) as stand:
        backlog = Backlog(stand.producer, stand.settings, clock.now_ms())
        backlog.add(draw() for _ in range(plan.events))
        await backlog.send()
        apart = await stages_apart(site, stand.settings, plan.events)
    async with standing(site, people, "stages", persons=plan.base_persons) as stand:
        await stand.measure(draw, WARM_UP)
        cost = await stand.measure(draw, plan.events)
    return {
        "apart_us": apart,
        "worker": cost,
        "worker_outside_its_stages_us": cost.worker_us - sum(cost.stages_us.values()),
    }


async def load(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """At half load: event to visible, then a hot identifier, then a storm of merges."""
    persons = plan.base_persons
    # One per cent a minute of the largest population, whatever stands in Redis here.
    storm_per_second = max(plan.persons) / 100 / 60
    strangers = round(storm_per_second * plan.offer_seconds) + 1
    async with standing(site, people, "load", persons=persons, strangers=strangers) as stand:
        draw = plain(people, persons, seed)
        await stand.measure(draw, WARM_UP)
        capacity = (await stand.measure(draw, plan.events)).events_per_second
        half = capacity / 2
        found: dict[str, Any] = {"capacity_per_second": capacity, "offered_per_second": half}
        async with _offering(stand, draw, half, plan.offer_seconds) as points:
            seen = await canaries(stand.producer, stand.settings, people, plan.offer_seconds)
        found["event_to_visible"] = summary(seen)
        found["plain_lag"] = points
        of_one = hot(people, seed)
        hot_seconds = max(plan.offer_seconds, plan.hot_events / half / MOST_HOT)
        hot_share = plan.hot_events / (half * hot_seconds)
        async with _offering(stand, mixed(draw, of_one, hot_share), half, hot_seconds) as points:
            pass
        found["hot_identifier"] = {
            "events": plan.hot_events, "share": hot_share, "lag": points,
            "alone": await stand.measure(of_one, plan.hot_events),
        }  # fmt: skip
        storm = mixed(draw, merging(people, persons, seed, 0), storm_per_second / half)
        async with _offering(stand, storm, half, plan.offer_seconds) as points:
            pass
        found["merge_storm"] = {"merges_per_second": storm_per_second, "lag": points}
    return found


@contextlib.asynccontextmanager
async def _offering(
    stand: Stand, draw: Draw, per_second: float, seconds: float
) -> AsyncIterator[list[Any]]:
    """Offers a rate beside the block; the points of its lag are there when it has ended."""
    offered, points = Offered(), list[Any]()
    before = await look(stand.site, stand.workers)
    task = asyncio.create_task(
        offer(
            stand.producer, stand.settings, draw, per_second=per_second, seconds=seconds,
            offered=offered,
        )
    )  # fmt: skip
    lag = asyncio.create_task(watch_lag(stand.workers, before.events, offered, task))
    yield points
    points += await lag
    await watch(stand.site, stand.workers, before, offered.count)


async def workers(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """One, two and four workers on four partitions, and one of several killed.

    They share the machine's cores with the engines and the load, which is the limit.
    """
    found: dict[str, Any] = {}
    persons, rates = plan.base_persons, list[float]()
    for count in plan.workers:
        async with standing(
            site, people, f"w{count}", persons=persons, workers=count
        ) as stand:  # fmt: skip
            draw = plain(people, persons, seed)
            await stand.measure(draw, WARM_UP)
            before = [await folded([one]) for one in stand.workers]
            cost = await stand.measure(draw, plan.events)
            shares = [
                await folded([one]) - was
                for one, was in zip(stand.workers, before, strict=True)
            ]  # fmt: skip
            rates.append(cost.events_per_second)
            found[str(count)] = {
                "cost": cost, "events_per_second": cost.events_per_second, "shares": shares,
            }  # fmt: skip
            if count > 1:
                per_second = min(rates) / 2
                await stand.add_strangers(
                    round(per_second * plan.offer_seconds * MERGING) + 1
                )  # fmt: skip
                found[str(count)]["one_killed"] = await kill_one(
                    stand, mixed(draw, merging(people, persons, seed, 0), MERGING), persons,
                    per_second=per_second, seconds=plan.offer_seconds,
                )  # fmt: skip
    return found


PARTS: Final[dict[str, Callable[[Site, People, Plan, int], Awaitable[dict[str, Any]]]]] = {
    "memory": memory, "growth": growth, "merges": merges, "stages": stages, "load": load,
    "workers": workers,
}  # fmt: skip
"""Memory comes first: frozen copies that others leave expire, which would be taken off."""


async def run_streams(
    site: Site, plan: Plan, seed: int, parts: tuple[str, ...]
) -> dict[str, Any]:  # fmt: skip
    """Runs the parts named, one after the other.

    Returns:
        What :func:`about` says, and each part's figures under its name.
    """
    people = People(seed)
    chosen = {"plan": plan, "epoch_ms": EPOCH_MS, "parts": parts}
    report = {"benchmark": "streams", **about(site, seed, chosen)}
    for name in parts:
        site.say(f"part {name}")
        report[name] = await PARTS[name](site, people, plan, seed)
    return report
