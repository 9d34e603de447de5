"""CPU per event of the worker, Redis and the broker, while the worker is busy."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.bench.cpu import cpu_micros
from benchmarks.bench.site import BenchError, Site, Worker, metric, redis_cpu_micros, scrape
from runtime.link import Link

__all__ = ["Cost", "Look", "folded", "look", "median_cost", "watch"]

POLL_SECONDS: Final = 0.2
SILENT_SECONDS: Final = 60.0


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one event costs, in microseconds of CPU.

    Attributes:
        events: how many were folded in the window.
        seconds: how long it was.
        worker_us, redis_us, broker_us: CPU per event; the broker's is None for one elsewhere.
        stages_us: the worker's own account of its loop, by stage; their sum is below the whole.
        is_inside: the worker had work before and after; else the window has idle edges.
    """

    events: int
    seconds: float
    worker_us: float
    redis_us: float
    broker_us: float | None
    stages_us: dict[str, float]
    is_inside: bool

    @property
    def events_per_second(self) -> float:
        """The rate in the window."""
        return self.events / self.seconds


class Look(msgspec.Struct, frozen=True):
    """What had been folded and used at one instant; CPU in microseconds."""

    at: float
    events: float
    worker: float
    redis: float
    broker: float
    stages: dict[str, float]


async def folded(workers: Sequence[Worker]) -> float:
    """Records that the workers have folded since they began."""
    return sum([metric(await scrape(one), "streams_events_total") for one in workers])


async def look(site: Site, link: Link, workers: Sequence[Worker]) -> Look:
    """Takes the figures of this instant."""
    scraped = [await scrape(one) for one in workers]
    stages: dict[str, float] = {}
    for samples in scraped:
        for labels, value in samples.get("streams_stage_cpu_seconds_total", []):
            stages[labels["stage"]] = stages.get(labels["stage"], 0.0) + value * 1e6
    return Look(
        time.monotonic(),
        sum(metric(samples, "streams_events_total") for samples in scraped),
        cpu_micros(one.pid for one in workers),
        await redis_cpu_micros(site, link),
        cpu_micros(site.broker_pids),
        stages,
    )


async def watch(
    site: Site, link: Link, workers: Sequence[Worker], before: Look, count: int
) -> Cost:
    """Watches workers fold ``count`` records after ``before``, to the end.

    The window reaches from the first sample at which the work was under way to the last at which
    there was some left. Where all of it fell between two samples, it reaches over both edges.

    Raises:
        BenchError: nothing was folded for a minute.
    """
    base, samples = before.events, [before, await look(site, link, workers)]
    moved = time.monotonic()
    while samples[-1].events < base + count:
        await asyncio.sleep(POLL_SECONDS)
        samples.append(await look(site, link, workers))
        if samples[-1].events > samples[-2].events:
            moved = samples[-1].at
        elif samples[-1].at - moved > SILENT_SECONDS:
            raise BenchError(
                f"the worker stands at {samples[-1].events - base:.0f} of {count} records"
            )
    inside = [one for one in samples if base < one.events < base + count]
    if len(inside) >= 2 and inside[-1].events > inside[0].events:
        return _between(site, inside[0], inside[-1], is_inside=True)
    waiting = [one for one in samples if one.events <= base]
    return _between(site, waiting[-1], samples[-1], is_inside=False)


def _between(site: Site, first: Look, last: Look, *, is_inside: bool) -> Cost:
    events = max(1.0, last.events - first.events)
    return Cost(
        events=round(events),
        seconds=last.at - first.at,
        worker_us=(last.worker - first.worker) / events,
        redis_us=(last.redis - first.redis) / events,
        broker_us=(last.broker - first.broker) / events if site.broker_pids else None,
        stages_us={
            stage: (value - first.stages.get(stage, 0.0)) / events
            for stage, value in last.stages.items()
        },
        is_inside=is_inside,
    )


def median_cost(costs: Sequence[Cost]) -> Cost:
    """The repeat in the middle, by the worker's cost."""
    return sorted(costs, key=lambda cost: cost.worker_us)[len(costs) // 2]
