"""Taps: what a function was called with, and what is left of its caller without it."""

import types

import pytest

from benchmarks.bench.site import BenchError
from benchmarks.load.taps import Step, Tap, answered, micros, recorded, replayed, tapped
from models.commands import Steps


def double(number: int, *, by: int = 2) -> int:
    return number * by


def fetch(name: str) -> Steps[str]:
    (reply,) = yield [("GET", name)]
    (other,) = yield [("GET", reply)]
    return f"{reply} {other}"


@pytest.fixture
def house() -> types.ModuleType:
    made = types.ModuleType("house")
    vars(made).update(double=double, fetch=fetch)
    return made


def told(steps: Steps[str], *replies: str) -> str:
    return replayed(steps, [Step([], [one]) for one in replies])


def test_calls_are_written_down_with_what_they_gave_and_can_be_made_again(
    house: types.ModuleType,
) -> None:
    tap = Tap(house, "double")
    with tapped([tap]) as calls:
        assert house.double(4) == 8
        assert house.double(4, by=3) == 12
    assert house.double is double
    assert [one.again() for one in calls[tap]] == [one.result for one in calls[tap]] == [8, 12]


def test_a_generators_call_is_written_down_with_its_end(house: types.ModuleType) -> None:
    tap = Tap(house, "fetch")
    with tapped([tap]) as calls:
        assert told(house.fetch("a"), "b", "c") == "b c"
    (call,) = calls[tap]
    assert call.result == "b c"
    assert told(call.again(), "x", "y") == "x y"


def test_what_stands_in_gives_what_was_given_in_its_order_and_again(
    house: types.ModuleType,
) -> None:
    taps = [Tap(house, "double"), Tap(house, "fetch")]
    with tapped(taps) as calls:
        house.double(1)
        house.double(2)
        told(house.fetch("a"), "b", "c")
    with answered(calls):
        assert [house.double(9), house.double(9), house.double(9)] == [2, 4, 2]
        assert told(house.fetch("z")) == "b c"
    assert house.double is double
    assert house.fetch is fetch


def test_a_stage_that_is_gone_is_named(house: types.ModuleType) -> None:
    with (
        pytest.raises(BenchError, match="moved is no stage of a bid any more"),
        tapped([Tap(house, "moved")]),
    ):
        pass


def test_a_tape_gives_the_same_end_without_asking_anybody() -> None:
    tape: list[Step] = []
    steps = recorded(fetch("a"), tape)
    next(steps)
    steps.send(["b"])
    with pytest.raises(StopIteration):
        steps.send(["c"])
    assert [step.commands for step in tape] == [[("GET", "a")], [("GET", "b")]]
    assert replayed(fetch("a"), tape) == "b c"


def test_a_tape_that_is_too_short_is_an_error() -> None:
    with pytest.raises(BenchError, match="asks Redis for more"):
        told(fetch("a"), "b")


def test_micros_are_of_one_input() -> None:
    def work(count: int) -> int:
        return sum(range(count))

    assert micros(work, []) == 0
    little, much = micros(work, [2000] * 50), micros(work, [40_000] * 50)
    assert 5 < much / little < 80
