"""Histograms: what goes in comes out within three digits, in however many parts it came."""

from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.histogram import encoded, percentiles

VALUES = st.lists(st.integers(1_000, 10_000_000_000), min_size=1, max_size=300)


def near(value_us: float) -> object:
    return pytest.approx(value_us, rel=2e-3, abs=0.2)


@settings(max_examples=15)
@given(parts=st.lists(VALUES, min_size=1, max_size=4))
def test_parts_that_are_merged_say_what_the_whole_says(parts: list[list[int]]) -> None:
    whole = array("q", [value for part in parts for value in part])
    merged = percentiles([encoded(array("q", part)) for part in parts])
    assert merged == percentiles([encoded(whole)])
    assert merged.count == len(whole)


@settings(max_examples=25)
@given(values=VALUES)
def test_percentiles_are_those_of_the_values_themselves(values: list[int]) -> None:
    found, exact = percentiles([encoded(array("q", values))]), np.array(values) / 1000
    for percent, told in ((50, found.p50_us), (99, found.p99_us)):
        assert told == near(float(np.percentile(exact, percent, method="inverted_cdf")))
    assert found.max_us == near(max(values) / 1000)
    assert found.mean_us == near(float(exact.mean()))


def test_requests_without_an_answer_are_left_out() -> None:
    assert percentiles([encoded(array("q", [-1, 5_000_000, -1]))]).count == 1
    assert percentiles([encoded(array("q", [-1]))]).count == 0


def test_values_beyond_the_range_count_as_its_ends() -> None:
    found = percentiles([encoded(array("q", [0, 10**12]))])
    assert found.count == 2
    assert found.max_us == near(60e6)
