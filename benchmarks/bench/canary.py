"""Event to visible: from the production of an event until a bidder's lookup finds what it says."""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from benchmarks.bench.backlog import send_now
from benchmarks.bench.pace import Offered
from benchmarks.bench.people import SHOP, People
from benchmarks.bench.site import BenchError
from benchmarks.bench.stand import Stand
from bidder.lookup import Found, fetch_person
from models.events import Event, ProductView
from models.identifiers import NodeId
from runtime import clock

__all__ = ["Kind", "Visible", "canaries", "place_canaries", "summary"]

EVERY_SECONDS: Final = 0.05
POLL_SECONDS: Final = 0.001
GRAIN: Final = 0.02
"""Whoever has waited for long is asked less often: else the watch would be most of the load."""
LOST_SECONDS: Final = 30.0
"""Longer than it takes another worker to come in for a dead one."""
ITEM: Final = "canary"
NO_RESERVATION: Final = b"r:canary"

Kind: TypeAlias = Literal["new visitor", "known person", "sign-in that merges"]
Delays: TypeAlias = Mapping[Kind, Sequence[float]]


class Visible(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from production to visibility.

    Attributes:
        canaries: how many were sent; all of them were seen.
        p50_ms, p99_ms, max_ms: the watch has a grain of a millisecond, or 2 % of what is more.
    """

    canaries: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Canary(msgspec.Struct, frozen=True):
    """An event, and how a bidder's lookup of its first identifier shows that it was folded."""

    event: Event
    is_seen_in: Callable[[Found], bool]


def view_of(node: NodeId, name: str) -> Canary:
    """A look at a product that nobody else looks at."""
    event = ProductView(
        event_id=name, ids=(node,), event_time_ms=clock.now_ms(), advertiser=SHOP, item=ITEM
    )
    return Canary(
        event, lambda found: ITEM in found.person.header.dealings_with(SHOP).items
    )  # fmt: skip


def make_canary(people: People, kind: Kind, number: int) -> Canary:
    """A canary about a person or stranger of its own."""
    match kind:
        case "new visitor":
            name = f"canary/{number}"
            return view_of(people.node("k", name), name)
        case "known person":
            return view_of(people.trio(number).cookie, f"canary/{number}")
        case "sign-in that merges":
            trio = people.trio(number)
            event = people.merge(people.stranger(number), trio, clock.now_ms())
            return Canary(event, lambda found: found.is_known and found.person.root == trio.crm)


KINDS: Final[tuple[Kind, ...]] = ("new visitor", "known person", "sign-in that merges")


async def place_canaries(stand: Stand, seconds: float) -> list[int]:
    """Puts into Redis whom canaries of so many seconds are about; returns their numbers."""
    numbers = list(itertools.islice(stand.canaries, math.ceil(seconds / EVERY_SECONDS)))
    await stand.add_persons(numbers)
    await stand.add_strangers(numbers)
    return numbers


async def canaries(
    stand: Stand, numbers: Sequence[int], seconds: float, offered: Offered
) -> dict[Kind, list[float]]:
    """Sends an event every 50 ms, of the kinds in turn, and looks for it as a bidder does.

    Args:
        stand: whose workers fold it.
        numbers: from :func:`place_canaries`.
        seconds: how long canaries are sent.
        offered: counts them too.

    Returns:
        Milliseconds for each; infinite where it was not seen within half a minute.
    """
    tasks: list[tuple[Kind, asyncio.Task[float]]] = []
    until = time.monotonic() + seconds
    for kind, number in zip(itertools.cycle(KINDS), numbers, strict=False):
        canary = make_canary(stand.people, kind, number)
        tasks.append((kind, asyncio.create_task(_until_seen(stand, canary, offered))))
        await asyncio.sleep(EVERY_SECONDS)
        if time.monotonic() >= until:
            break
    delays: dict[Kind, list[float]] = {}
    for kind, task in tasks:
        delays.setdefault(kind, []).append(await task)
    return delays


async def _until_seen(stand: Stand, canary: Canary, offered: Offered) -> float:
    node, began = canary.event.ids[0], time.monotonic()
    offered.count += 1
    await send_now(stand.producer, stand.settings, [canary.event], clock.now_ms())
    while (waited := time.monotonic() - began) < LOST_SECONDS:
        found = await stand.link.run(
            fetch_person(stand.keys, [node], clock.now_ms(), NO_RESERVATION)
        )  # fmt: skip
        if canary.is_seen_in(found):
            return (time.monotonic() - began) * 1000
        await asyncio.sleep(max(POLL_SECONDS, waited * GRAIN))
    return math.inf


def summary(delays: Delays) -> dict[Kind, Visible]:
    """Quantiles of the delays by kind.

    Raises:
        BenchError: a canary was never seen.
    """
    for kind, found in delays.items():
        if lost := sum(map(math.isinf, found)):
            raise BenchError(
                f"{lost} of {len(found)} canaries ({kind}) were not seen by a bidder's lookup "
                f"within {LOST_SECONDS:g} s"
            )
    return {
        kind: Visible(
            canaries=len(found), p50_ms=quantile(found, 0.5), p99_ms=quantile(found, 0.99),
            max_ms=max(found),
        )
        for kind, found in delays.items()
    }  # fmt: skip


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
