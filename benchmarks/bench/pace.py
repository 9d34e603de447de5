"""An offered rate: events that are produced whether the worker keeps up or not."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from benchmarks.bench.backlog import Backlog
from benchmarks.bench.site import Worker
from benchmarks.bench.window import folded
from models.events import Event
from runtime import clock
from runtime.settings import Settings

__all__ = ["LagPoint", "offer", "watch_lag"]

TICK_SECONDS: Final = 0.025
SAMPLE_SECONDS: Final = 0.5

Draw = Callable[[], Event]


class LagPoint(msgspec.Struct, frozen=True):
    """How far behind the workers were: ``lag_records`` produced and not folded, ``at`` seconds."""

    at: float
    produced: int
    lag_records: int


class Offered:
    """Counts what has been produced."""

    def __init__(self) -> None:
        self.count = 0


async def offer(
    producer: Any,  # noqa: ANN401 - untyped library
    settings: Settings,
    draw: Draw,
    *,
    per_second: float,
    seconds: float,
    offered: Offered,
) -> None:
    """Produces events at a rate, in batches every 25 ms; a late tick is caught up."""
    began = time.monotonic()
    total = round(per_second * seconds)
    while offered.count < total:
        due = min(total, int((time.monotonic() - began) * per_second))
        if due > offered.count:
            backlog = Backlog(producer, settings, clock.now_ms())
            backlog.add(draw() for _ in range(due - offered.count))
            offered.count += await backlog.send()
        await asyncio.sleep(TICK_SECONDS)


async def watch_lag(
    workers: Sequence[Worker], base: float, offered: Offered, task: asyncio.Task[None]
) -> list[LagPoint]:
    """The lag over time, until the offer has ended."""
    points: list[LagPoint] = []
    began = time.monotonic()
    while not task.done():
        await asyncio.sleep(SAMPLE_SECONDS)
        produced = offered.count
        lag = max(0, round(produced - (await folded(workers) - base)))
        points.append(LagPoint(round(time.monotonic() - began, 2), produced, lag))
    await task
    return points
