"""At half load: event to visible, and the lag under what is hard: one busy identifier, merges."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from benchmarks.bench.canary import canaries, place_canaries, summary
from benchmarks.bench.pace import LagPoint, Offered, offer, watch_lag
from benchmarks.bench.people import People
from benchmarks.bench.plan import WARM_UP, Plan
from benchmarks.bench.site import Site
from benchmarks.bench.stand import Crowd, Draw, Stand, hot, merging, mixed, standing
from benchmarks.bench.window import look, watch

__all__ = ["load"]

MOST_HOT: Final = 0.5
"""At most this share of the events is the hot identifier's: the others must not wait for it."""


async def load(site: Site, people: People, plan: Plan, seed: int) -> dict[str, Any]:
    """At half load: event to visible, then a hot identifier, then a storm of merges."""
    persons = plan.base_persons
    # One per cent a minute of the largest population, whatever stands in Redis here.
    storm_per_second = max(plan.persons) / 100 / 60
    strangers = round(storm_per_second * plan.offer_seconds) + 1
    async with standing(site, people, "load", persons=persons, strangers=strangers) as stand:
        draw = Crowd(people, persons, seed)
        await stand.measure(draw, WARM_UP)
        capacity = (await stand.measure(draw, plan.events)).events_per_second
        half = capacity / 2
        found: dict[str, Any] = {"capacity_per_second": capacity, "offered_per_second": half}
        offered, numbers = Offered(), await place_canaries(stand, plan.offer_seconds)
        async with _offering(stand, draw, half, plan.offer_seconds, offered) as points:
            seen = await canaries(stand, numbers, plan.offer_seconds, offered)
        found["event_to_visible"] = summary(seen)
        found["plain_lag"] = points
        of_one = hot(people, seed)
        hot_seconds = max(plan.offer_seconds, plan.hot_events / half / MOST_HOT)
        hot_share = plan.hot_events / (half * hot_seconds)
        mix = mixed(draw, of_one, hot_share)
        async with _offering(stand, mix, half, hot_seconds, Offered()) as points:
            pass
        found["hot_identifier"] = {
            "events": plan.hot_events, "share": hot_share, "lag": points,
            "alone": await stand.measure(of_one, plan.hot_events),
        }  # fmt: skip
        storm = mixed(draw, merging(people, persons, seed, 0), storm_per_second / half)
        async with _offering(stand, storm, half, plan.offer_seconds, Offered()) as points:
            pass
        found["merge_storm"] = {"merges_per_second": storm_per_second, "lag": points}
    return found


@contextlib.asynccontextmanager
async def _offering(
    stand: Stand, draw: Draw, per_second: float, seconds: float, offered: Offered
) -> AsyncIterator[list[LagPoint]]:
    """Offers a rate beside the block; the points of its lag are there when it has ended."""
    points: list[LagPoint] = []
    before = await look(stand.site, stand.link, stand.workers)
    task = asyncio.create_task(
        offer(
            stand.producer, stand.settings, draw, per_second=per_second, seconds=seconds,
            offered=offered,
        )
    )  # fmt: skip
    lag = asyncio.create_task(watch_lag(stand.workers, before.events, offered, task))
    yield points
    points += await lag
    await watch(stand.site, stand.link, stand.workers, before, offered.count)
