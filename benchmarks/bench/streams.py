"""``kinbid bench streams``: what an event costs the worker, and what changes that."""

import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from benchmarks.bench.backlog import Backlog
from benchmarks.bench.growth import growth, merges
from benchmarks.bench.load import load
from benchmarks.bench.memory import drop_frozen, memory_of, used_memory
from benchmarks.bench.people import EPOCH_MS, People
from benchmarks.bench.plan import WARM_UP, Plan
from benchmarks.bench.site import Site, about
from benchmarks.bench.stages import stages_apart
from benchmarks.bench.stand import Crowd, merging, mixed, standing
from benchmarks.bench.takeover import MOST_KILLS, kill_one
from benchmarks.bench.window import Cost, folded
from models.events import Event
from runtime import clock

__all__ = ["PARTS", "run_streams"]

MERGING: Final = 0.05
"""The share of merges among the events while a worker is killed."""


async def memory(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """Memory of persons that the worker makes from all their events, for some numbers of them."""
    rng, made, costs = random.Random(seed), 0, list[Cost]()
    async with standing(site, people, "memory", persons=0) as stand:
        link, owner = stand.link, stand.settings.owner
        used = [(made, await used_memory(link))]
        for persons in plan.memory_persons:
            events = _histories(people, range(made, persons), plan.history, rng)
            count = (persons - made) * plan.history
            costs.append(await stand.measure(events.__next__, count))
            made = persons
            await drop_frozen(link, owner)
            used.append((made, await used_memory(link)))
        measured = await memory_of(link, owner, used)
    return {"events_per_person": plan.history, "measured": measured, "costs": costs}


def _histories(
    people: People, indexes: range, count: int, rng: random.Random
) -> Iterator[Event]:  # fmt: skip
    for index in indexes:
        yield from people.history(people.trio(index), rng, count)


async def stages(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """CPU by stage: apart in this process, and as the worker's own account of itself."""
    draw = Crowd(people, plan.base_persons, seed)
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
            draw = Crowd(people, persons, seed)
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
                merges_each = round(per_second * plan.offer_seconds * MERGING) + 1
                await stand.add_strangers(range(merges_each * MOST_KILLS))
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
