"""One round of replacing all workers, with workers that are only told of."""

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from bidder.supervisor import roll
from bidder.worker_slot import WorkerSlot


class Slot:
    """A place that writes down what is done with it."""

    def __init__(self, number: int, story: list[str]) -> None:
        self.number = number
        self._story = story
        self.is_leaving = False
        self.counters = SimpleNamespace(is_serving=False)
        self.exit_code: int | None = None

    def start_successor(self) -> "Slot":
        self._story.append(f"start {self.number}")
        return self

    def hand_over(self) -> None:
        self._story.append(f"hand over {self.number}")
        self.is_leaving = True

    def give_up_successor(self) -> None:
        self._story.append(f"give up {self.number}")


def places(*slots: Slot) -> Sequence[WorkerSlot]:
    return cast("Sequence[WorkerSlot]", slots)


def test_no_worker_is_asked_to_leave_before_its_successor_serves_nor_two_at_once() -> None:
    story: list[str] = []
    slots = [Slot(number, story) for number in range(2)]
    steps = roll(places(*slots))
    next(steps)
    next(steps)
    assert story == ["start 0"]
    slots[0].counters.is_serving = True
    next(steps)
    next(steps)
    assert story == ["start 0", "hand over 0"]
    slots[0].is_leaving = False
    next(steps)
    assert story[2:] == ["start 1"]
    slots[1].counters.is_serving = True
    next(steps)
    slots[1].is_leaving = False
    with pytest.raises(StopIteration):
        next(steps)
    assert story[3:] == ["hand over 1"]


@pytest.mark.parametrize("how", ["ended", "took too long"])
def test_a_successor_that_cannot_serve_ends_the_round_and_nobody_leaves(how: str) -> None:
    story: list[str] = []
    slots = [Slot(number, story) for number in range(2)]
    steps = roll(places(*slots), ready_seconds=0.01 if how == "took too long" else 60)
    next(steps)
    slots[0].exit_code = 1 if how == "ended" else None
    time.sleep(0.02)
    with pytest.raises(StopIteration):
        next(steps)
    assert story == ["start 0", "give up 0"]
