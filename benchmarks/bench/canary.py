"""Event to visible: from the production of an event to its bid view, watched from outside."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from benchmarks.bench.backlog import Backlog
from benchmarks.bench.people import People
from models.commands import Steps
from models.events import ProductView
from models.keys import Keys
from models.units import AdvertiserId
from runtime import clock
from runtime.redis_link import RedisLink
from runtime.settings import Settings

__all__ = ["Visible", "canaries", "summary"]

EVERY_SECONDS: Final = 0.05
POLL_SECONDS: Final = 0.001
LOST_SECONDS: Final = 30.0
"""Longer than it takes another worker to come in for a dead one."""


class Visible(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from production to visibility.

    Attributes:
        canaries: how many were sent.
        lost: how many were not seen within half a minute.
        p50_ms, p99_ms, max_ms: of those seen; the watch has a grain of about a millisecond.
    """

    canaries: int
    lost: int
    p50_ms: float
    p99_ms: float
    max_ms: float


async def canaries(
    producer: Any,  # noqa: ANN401 - untyped library
    settings: Settings,
    people: People,
    seconds: float,
) -> list[float | None]:
    """Sends an event of a new cookie every 50 ms and waits for its bid view.

    Returns:
        Milliseconds for each; None where it was not seen in time.
    """
    link = RedisLink(settings.redis_url, name="kinbid-canary")
    await link.connect()
    tasks: list[asyncio.Task[float | None]] = []
    until = time.monotonic() + seconds
    run = clock.now_ms()
    try:
        while time.monotonic() < until:
            name = f"canary/{run}/{len(tasks)}"
            tasks.append(asyncio.create_task(_one(producer, settings, people, link, name)))
            await asyncio.sleep(EVERY_SECONDS)
        return list(await asyncio.gather(*tasks))
    finally:
        await link.close()


async def _one(
    producer: Any,  # noqa: ANN401 - untyped library
    settings: Settings,
    people: People,
    link: RedisLink,
    name: str,
) -> float | None:
    node = people.node("k", name)
    event = ProductView(
        event_id=name, ids=(node,), event_time_ms=clock.now_ms(),
        advertiser=AdvertiserId("shop"), item="canary",
    )  # fmt: skip
    began = time.monotonic()
    backlog = Backlog(producer, settings, clock.now_ms())
    backlog.add([event])
    await backlog.send()
    view = Keys(settings.owner).bid_view(node)
    while time.monotonic() - began < LOST_SECONDS:
        if await link.run(_has_header(view)):
            return (time.monotonic() - began) * 1000
        await asyncio.sleep(POLL_SECONDS)
    return None


def _has_header(view: str) -> Steps[bool]:
    (header,) = yield [("HGET", view, "h")]
    return header is not None


def summary(delays: Sequence[float | None]) -> Visible:
    """Quantiles of the delays; needs two that were seen."""
    seen = sorted(delay for delay in delays if delay is not None)
    cuts = statistics.quantiles(seen, n=100, method="inclusive")
    return Visible(
        canaries=len(delays), lost=len(delays) - len(seen), p50_ms=cuts[49], p99_ms=cuts[98],
        max_ms=seen[-1],
    )  # fmt: skip
