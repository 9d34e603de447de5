"""The tally that a killed worker is held against, on profiles that are made up."""

import random

import pytest

from benchmarks.bench.people import EPOCH_MS, People
from benchmarks.bench.takeover import Tally

PEOPLE = People(seed=7)
BEFORE = [50, 50, 50]


def a_tally() -> Tally:
    """Two plain events of person 0, a merge into person 2."""
    tally, rng = Tally(PEOPLE, 3), random.Random(1)
    for _ in range(2):
        tally.add(PEOPLE.plain(rng, PEOPLE.trio(0), EPOCH_MS))
    tally.add(PEOPLE.merge(PEOPLE.stranger(0), PEOPLE.trio(2), EPOCH_MS))
    return tally


@pytest.mark.parametrize(
    ("after", "lost", "doubled"),
    [
        pytest.param([52, 50, 51], 0, 0, id="all of it, the stranger's first visit with it"),
        pytest.param([51, 50, 51], 1, 0, id="one event lost"),
        pytest.param([52, 50, 50], 1, 0, id="the sign-in, and with it the stranger, lost"),
        pytest.param([53, 50, 51], 0, 1, id="one event twice"),
        pytest.param([51, 51, 51], 1, 1, id="one event with somebody else: no sum hides it"),
    ],
)
def test_what_is_lost_or_doubled_is_told(after: list[int], lost: int, doubled: int) -> None:
    assert a_tally().compare(BEFORE, after) == (lost, doubled)


def test_merges_are_counted() -> None:
    assert a_tally().merges == 1
