"""Sizes of a run of ``kinbid bench streams``."""

from typing import Final

import msgspec

from benchmarks.bench.seeding import TEMPLATE_EVENTS

__all__ = ["FULL", "QUICK", "WARM_UP", "Plan"]

WARM_UP: Final = 4000
"""Events before the first window: past the offsets that the seeded persons know already."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a run.

    Attributes:
        persons: populations for the growth with persons.
        base_persons: the population of everything else.
        merge_percents: shares of events that merge, in per cent.
        events: records of one window.
        repeats: windows of each case, interleaved.
        busy_history: events of each person, for the growth with what is known of a person.
        memory_persons: numbers of persons made from all their events, for the memory.
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
    busy_history: int = 250
    memory_persons: tuple[int, ...]
    history: int = TEMPLATE_EVENTS
    hot_events: int
    offer_seconds: float
    workers: tuple[int, ...] = (1, 2, 4)


FULL: Final = Plan(
    persons=(10_000, 100_000, 1_000_000), base_persons=10_000, events=40_000, repeats=3,
    memory_persons=(1_000, 4_000), hot_events=100_000, offer_seconds=30,
)  # fmt: skip
QUICK: Final = Plan(
    persons=(1_000, 10_000), base_persons=1_000, events=10_000, repeats=2,
    memory_persons=(100, 400), hot_events=10_000, offer_seconds=5, workers=(1, 2),
)  # fmt: skip
