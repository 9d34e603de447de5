"""Visits, counted so that no order of events changes them: by half hours of the clock.

Silence of thirty minutes ends a visit, but to cut exactly there one would have to keep every
event's time. Kept instead is the set of half hours (of Unix time) in which the person did something
on the owner's own pages (:mod:`models.deeds`), its newest 24: half hours that follow each other are
one visit. Two deeds up to an hour apart may so be one visit, never two within thirty minutes two.
More than the kept half hours hold is not counted, so a count is exact for recent visits and at
least so for a life.
"""

from itertools import accumulate
from typing import Final

from models.units import SECOND_MS

__all__ = ["HALF_HOUR_S", "KEPT_HALF_HOURS", "HalfHours", "add_half_hour", "join_half_hours",
           "last_visit_ms", "visit_count"]  # fmt: skip

HALF_HOUR_S: Final = 1800
KEPT_HALF_HOURS: Final = 24

HalfHours = tuple[int, ...]
"""The newest half hour since 1970, then the distance from each to the one before it."""


def add_half_hour(kept: HalfHours, half_hour: int) -> HalfHours:
    """``kept`` with one more half hour in which the person was there."""
    if kept and kept[0] == half_hour:
        return kept
    if kept and half_hour > kept[0]:  # events mostly come in order
        return (half_hour, half_hour - kept[0], *kept[1 : KEPT_HALF_HOURS - 1])
    return join_half_hours(kept, (half_hour,))


def join_half_hours(a: HalfHours, b: HalfHours) -> HalfHours:
    """The newest half hours of both."""
    if not a or not b:
        return a or b
    both = sorted({*_absolute(a), *_absolute(b)}, reverse=True)[:KEPT_HALF_HOURS]
    return (both[0], *(both[place - 1] - both[place] for place in range(1, len(both))))


def visit_count(kept: HalfHours) -> int:
    """How many visits the half hours are."""
    return bool(kept) + sum(distance > 1 for distance in kept[1:])


def last_visit_ms(kept: HalfHours) -> int:
    """When the half hour of the newest visit began, Unix ms; 0 without any."""
    return kept[0] * HALF_HOUR_S * SECOND_MS if kept else 0


def _absolute(kept: HalfHours) -> list[int]:
    return list(accumulate(kept, lambda newer, distance: newer - distance))
