"""Visits by half hours: the same count whatever the order of events."""

from hypothesis import given
from hypothesis import strategies as st

from models.visits import (
    KEPT_HALF_HOURS,
    HalfHours,
    add_half_hour,
    join_half_hours,
    last_visit_ms,
    visit_count,
)

hours = st.lists(st.integers(990_000, 990_060), max_size=60)


def kept(half_hours: list[int]) -> HalfHours:
    found: HalfHours = ()
    for half_hour in half_hours:
        found = add_half_hour(found, half_hour)
    return found


@given(hours, st.integers(0, 60))
def test_half_hours_do_not_depend_on_order_or_split(seen: list[int], cut: int) -> None:
    whole = kept(seen)
    assert kept(sorted(seen)) == kept(sorted(seen, reverse=True)) == whole
    assert join_half_hours(kept(seen[:cut]), kept(seen[cut:])) == whole
    assert len(whole) <= KEPT_HALF_HOURS


@given(hours)
def test_visits_are_the_runs_of_the_newest_half_hours(seen: list[int]) -> None:
    newest = sorted(set(seen))[-KEPT_HALF_HOURS:]
    runs = sum(half_hour - 1 not in newest for half_hour in newest)
    assert visit_count(kept(seen)) == runs


def test_a_visit_over_the_half_hour_is_one_and_a_pause_of_an_hour_makes_two() -> None:
    assert visit_count(()) == 0
    assert visit_count(kept([990_000, 990_001, 990_002])) == 1
    assert visit_count(kept([990_000, 990_002])) == 2
    assert last_visit_ms(kept([990_000, 990_002])) == 990_002 * 1_800_000
    assert last_visit_ms(()) == 0
