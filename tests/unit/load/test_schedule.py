"""Schedules: fixed in advance, of the rate that was asked for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.schedule import ARRIVALS, Arrivals, arrivals

NS = 1_000_000_000
KINDS = st.sampled_from(ARRIVALS)
RATES = st.floats(1, 20_000)
SECONDS = st.floats(0.1, 3)


@given(kind=KINDS, rate=RATES, seconds=SECONDS, seed=st.integers(0, 9))
def test_as_many_are_offered_as_the_rate_says_in_order_and_within_the_time(
    kind: Arrivals, rate: float, seconds: float, seed: int
) -> None:
    due = arrivals(kind, rate, seconds, seed)
    assert len(due) == max(1, round(rate * seconds))
    assert list(due) == sorted(due)
    assert due[0] >= 0
    assert due[-1] <= seconds * NS + NS / rate


@given(kind=KINDS, seed=st.integers(0, 9))
def test_a_seed_gives_the_same_schedule(kind: Arrivals, seed: int) -> None:
    assert arrivals(kind, 500, 1, seed) == arrivals(kind, 500, 1, seed)


def test_constant_arrivals_are_even_and_poisson_ones_as_irregular_as_they_should_be() -> None:
    even = [after - before for before, after in pairwise(arrivals("constant", 1000, 2, 0))]
    assert max(even) - min(even) <= 1
    gaps = [after - before for before, after in pairwise(arrivals("poisson", 1000, 20, 0))]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert spread / mean == pytest.approx(1, abs=0.05)  # of exponential gaps


def test_another_seed_gives_another_poisson_schedule() -> None:
    assert arrivals("poisson", 500, 1, 1) != arrivals("poisson", 500, 1, 2)
