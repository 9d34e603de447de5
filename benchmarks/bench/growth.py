"""CPU per event against the number of persons, what is known of each, and the share of merges."""

import contextlib
from typing import Any

from benchmarks.bench.people import People
from benchmarks.bench.plan import WARM_UP, Plan
from benchmarks.bench.site import Site, metric, scrape
from benchmarks.bench.stand import Crowd, Stand, merging, mixed, standing
from benchmarks.bench.window import Cost, median_cost

__all__ = ["growth", "merges"]


def _costs(costs: list[Cost]) -> dict[str, Any]:
    """The median of the repeats, and their spread."""
    return {
        "median": median_cost(costs),
        "worker_us_spread": [min(c.worker_us for c in costs), max(c.worker_us for c in costs)],
        "redis_us_spread": [min(c.redis_us for c in costs), max(c.redis_us for c in costs)],
        "repeats": costs,
    }


async def growth(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """Cost against the number of persons, and against what is known of each.

    The windows of all cases take turns. Before each one whoever was drawn is put back to the
    history that all began with: else of few persons more would be known than of many.
    """
    cases = [
        *((size, plan.history) for size in plan.persons),
        (plan.base_persons, plan.busy_history),
    ]
    async with contextlib.AsyncExitStack() as stands:
        rows = [
            _Row(
                persons, history, Crowd(people, persons, seed),
                await stands.enter_async_context(
                    standing(site, people, f"p{persons}-{history}", persons=persons, events=history)
                ),
            )
            for persons, history in cases
        ]  # fmt: skip
        for row in rows:
            await row.measure(WARM_UP)
        for _ in range(plan.repeats):
            for row in rows:
                row.costs.append(await row.measure(plan.events))
                site.say(
                    f"{row.persons:,} persons of {row.history} events: "
                    f"{row.costs[-1].worker_us:.1f} us an event"
                )
    made = [{"persons": r.persons, "events": r.history, **_costs(r.costs)} for r in rows]
    medians = [one["median"].worker_us for one in made]
    largest = medians[len(plan.persons) - 1]
    return {"cases": made, "largest_to_smallest": largest / medians[0]}


class _Row:
    """One case of the growth."""

    def __init__(self, persons: int, history: int, crowd: Crowd, stand: Stand) -> None:
        self.persons = persons
        self.history = history
        self._crowd = crowd
        self._stand = stand
        self.costs: list[Cost] = []

    async def measure(self, count: int) -> Cost:
        """One window; afterwards everybody has the history of before."""
        cost = await self._stand.measure(self._crowd, count)
        await self._stand.add_persons(self._crowd.drawn, self.history)
        self._crowd.drawn.clear()
        return cost


async def merges(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """Cost against the share of merges, and what a merge costs in plain events."""
    percents = plan.merge_percents
    costs: dict[int, list[Cost]] = {percent: [] for percent in percents}
    each = max(percents) * plan.events // 100 + 1
    async with standing(
        site, people, "merges", persons=plan.base_persons,
        strangers=each * len(percents) * plan.repeats,
    ) as stand:  # fmt: skip
        ordinary = Crowd(people, plan.base_persons, seed)
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
