"""What is INVALID: a load that was not delivered, a generator that fell behind, bids that lack."""

from array import array

import msgspec
import pytest

from benchmarks.load.histogram import encoded
from benchmarks.load.outcome import Outcome, Told, merge, objections

SECOND = 1_000_000_000


def told(
    answered: int = 1000, scheduled: int = 1000, elapsed_ns: int = SECOND, late_ns: int = 0
) -> Told:
    latencies = array("q", [1_000_000] * answered + [-1] * (scheduled - answered))
    return Told(
        scheduled=scheduled, statuses={204: answered}, faults={"timeout": scheduled - answered},
        bids=answered // 2, elapsed_ns=elapsed_ns, cpu_us=5000.0, latency=encoded(latencies),
        lateness=encoded(array("q", [late_ns] * scheduled)),
    )  # fmt: skip


def test_generators_are_added_up() -> None:
    made = merge([told(), told(900)], 2000)
    assert (made.scheduled, made.answered, made.bids) == (2000, 1900, 950)
    assert made.statuses == {204: 1900}
    assert made.faults == {"timeout": 100}
    assert made.per_second == 1900
    assert made.generator_us == 5
    assert made.latency.p50_us == pytest.approx(1000, rel=2e-3)


@pytest.mark.parametrize("answered", [980, 989, 990, 1000])
def test_less_than_99_percent_delivered_is_invalid(answered: int) -> None:
    made = merge([told(answered)], 1000)
    assert made.delivered_ratio == answered / 1000
    assert bool(objections([made])) == (answered < 990)


def test_a_load_that_is_delivered_too_late_is_not_delivered() -> None:
    made = merge([told(elapsed_ns=SECOND * 102 // 100)], 1000)
    assert made.answered == made.scheduled
    assert [text for text in objections([made]) if "1 of 1 runs delivered less than 99%" in text]


def test_an_early_end_of_the_schedule_is_no_more_than_all() -> None:
    assert merge([told(elapsed_ns=SECOND // 2)], 1000).delivered_ratio == 1


@pytest.mark.parametrize(("late_us", "is_invalid"), [(900, False), (1100, True)])
def test_a_generator_that_fell_behind_is_invalid(late_us: int, is_invalid: bool) -> None:
    made = merge([told(late_ns=late_us * 1000)], 1000)
    assert any("fell behind" in text for text in objections([made])) == is_invalid


def test_the_closed_loop_has_no_schedule_to_fall_behind() -> None:
    assert objections([merge([told(late_ns=SECOND)], None)]) == []
    assert objections([merge([told(900, late_ns=SECOND)], None)]) != []


def test_too_few_bids_are_invalid_where_everything_bids() -> None:
    made = merge([told()], 1000)
    assert objections([made]) == []
    assert objections([made], least_bids=0.99) == ["50.0% of the answers were bids, less than 99%"]


def test_the_worst_of_several_runs_is_told_once() -> None:
    runs = [merge([told(answered)], 1000) for answered in (1000, 950, 900)]
    assert objections(runs) == [
        "2 of 3 runs delivered less than 99% of their load, the worst 90.0%"
    ]


def test_nothing_answered_is_invalid_and_no_division_by_zero() -> None:
    made: Outcome = merge([told(0)], 1000)
    assert objections([made])
    assert msgspec.json.encode(made)
