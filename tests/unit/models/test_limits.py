"""Caps as they are declared, and as they hold for one person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError
from models.limits import (
    MAX_CAP,
    Adjustment,
    Cap,
    Limit,
    adjusted,
    duration_text,
    read_cap,
    read_duration,
)

bounds = st.none() | st.floats(-10, 400)
adjustments = st.lists(
    st.builds(
        Adjustment,
        st.sampled_from(["days_to_departure", "customer_value"]),
        bounds,
        bounds,
        multiply=st.floats(0.01, 64),
        add=st.integers(-MAX_CAP, MAX_CAP),
    ),
    max_size=4,
)
caps = st.integers(1, MAX_CAP)
measured = st.none() | st.floats(0, 400)


def limit_of(
    cap: int, rules: list[Adjustment], days: float | None = None, value: float | None = None
) -> int:
    return adjusted(cap, rules, days_to_departure=days, customer_value=value)


@given(caps, adjustments, measured, measured)
def test_a_cap_stays_from_one_to_the_most_whatever_the_rules(
    cap: int, rules: list[Adjustment], days: float | None, value: float | None
) -> None:
    assert 1 <= limit_of(cap, rules, days, value) <= MAX_CAP


@given(caps, caps, adjustments, measured, measured)
def test_a_greater_cap_is_never_adjusted_below_a_smaller_one(
    one: int, other: int, rules: list[Adjustment], days: float | None, value: float | None
) -> None:
    low, high = sorted((one, other))
    assert limit_of(low, rules, days, value) <= limit_of(high, rules, days, value)


raising = st.tuples(st.floats(1, 8), st.integers(0, 20), st.floats(0, 30))


@given(caps, st.lists(raising, max_size=4), st.floats(0, 40), st.floats(0, 40))
def test_who_departs_sooner_never_has_a_lower_cap_by_rules_that_raise_it(
    cap: int, rules: list[tuple[float, int, float]], one: float, other: float
) -> None:
    made = [
        Adjustment("days_to_departure", at_most=most, multiply=factor, add=added)
        for factor, added, most in rules
    ]
    sooner, later = sorted((one, other))
    assert limit_of(cap, made, days=later) <= limit_of(cap, made, days=sooner)


@given(caps, st.lists(raising, max_size=4), st.floats(0, 40), st.floats(0, 40))
def test_who_is_worth_more_never_has_a_lower_cap_by_rules_that_raise_it(
    cap: int, rules: list[tuple[float, int, float]], one: float, other: float
) -> None:
    made = [
        Adjustment("customer_value", at_least=least, multiply=factor, add=added)
        for factor, added, least in rules
    ]
    less, more = sorted((one, other))
    assert limit_of(cap, made, value=less) <= limit_of(cap, made, value=more)


@given(caps, adjustments)
def test_nothing_changes_for_somebody_of_whom_nothing_is_known(
    cap: int, rules: list[Adjustment]
) -> None:
    assert limit_of(cap, rules) == cap


def test_who_flies_this_week_sees_more_and_who_flies_in_half_a_year_less() -> None:
    """Table A 10: 3 days, 6 a day; 180 days, 1 a day; the bounds belong to the rule."""
    rules = [
        Adjustment("days_to_departure", at_most=7, multiply=2),
        Adjustment("days_to_departure", at_least=60, add=-2),
    ]
    days = {0: 6, 3: 6, 7: 6, 8: 3, 59: 3, 60: 1, 180: 1}
    assert {day: limit_of(3, rules, days=day) for day in days} == days


def test_products_come_before_sums_and_roundings_move_no_cap() -> None:
    rules = [
        Adjustment("customer_value", at_least=0, add=1),
        Adjustment("customer_value", at_least=0, multiply=0.7),
    ]
    assert limit_of(10, rules, value=1) == 8
    tenth = Adjustment("customer_value", at_least=0, multiply=1.1)
    assert limit_of(3, [tenth], value=1) == 3


@given(caps, st.integers(1, 30 * 86_400))
def test_a_cap_is_read_as_it_is_written(impressions: int, window_seconds: int) -> None:
    cap = Cap(impressions, window_seconds)
    assert read_cap(cap.text()) == cap
    assert read_duration("x", duration_text(window_seconds)) == window_seconds


@pytest.mark.parametrize("text", ["3", "3/", "/1d", "x/1d", "3/1w", "3/d", "3/-1d", "3/1.5d", ""])
def test_what_is_no_cap_is_told(text: str) -> None:
    with pytest.raises(InvalidFieldError, match="cap: "):
        read_cap(text)


def test_a_limit_says_how_full_it_is() -> None:
    assert Limit(3, 86_400, used=3).text() == "3 of 3 in 1d"
    assert Limit(1, 1_800, of_advertiser=True).text() == "0 of 1 in 30m of the advertiser"
    assert Limit(3, 1, used=4).room == -1
