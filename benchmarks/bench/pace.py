"""An offered rate: events that are produced whether the worker keeps up or not."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from benchmarks.bench.backlog import send_now
from benchmarks.bench.site import BenchError, Worker
from benchmarks.bench.window import folded
from models.events import Event
from runtime import clock
from runtime.settings import Settings

__all__ = ["LagPoint", "Offered", "offer", "watch_lag"]

TICK_SECONDS: Final = 0.025
SAMPLE_SECONDS: Final = 0.5

Draw = Callable[[], Event]


class LagPoint(msgspec.Struct, frozen=True):
    """How far behind the workers were: ``lag_records`` produced and not folded, ``at`` seconds."""

    at: float
    produced: int
    lag_records: int


class Offered:
    """Counts whatever has been handed to Kafka, by the load and by canaries.

    Before it is sent: nothing can be folded that is not counted.
    """

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
    began, made = time.monotonic(), 0
    total = round(per_second * seconds)
    while made < total:
        due = min(total, int((time.monotonic() - began) * per_second))
        if due > made:
            events = [draw() for _ in range(due - made)]
            offered.count += len(events)
            made = due
            await send_now(producer, settings, events, clock.now_ms())
        await asyncio.sleep(TICK_SECONDS)


async def watch_lag(
    workers: Sequence[Worker], base: float, offered: Offered, task: asyncio.Task[None]
) -> list[LagPoint]:
    """The lag over time, until the offer has ended.

    What comes while a worker is asked counts as not folded yet.

    Raises:
        BenchError: more was folded than produced, so one of the two was counted wrongly.
    """
    points: list[LagPoint] = []
    began = time.monotonic()
    while not task.done():
        await asyncio.sleep(SAMPLE_SECONDS)
        done = round(await folded(workers) - base)
        produced = offered.count
        lag = produced - done
        if lag < 0:
            raise BenchError(f"{done} records were folded, and only {produced} were produced")
        points.append(LagPoint(round(time.monotonic() - began, 2), produced, lag))
    await task
    return points
