"""The tally that a killed worker is held against, on profiles that are made up."""

import asyncio
import random
from typing import TYPE_CHECKING, cast

import pytest

from benchmarks.bench import takeover
from benchmarks.bench.people import EPOCH_MS, People
from benchmarks.bench.site import BenchError
from benchmarks.bench.takeover import Takeover, Tally, kill_one
from tests.unit.bench.test_window import SITE

if TYPE_CHECKING:
    from benchmarks.bench.stand import Stand

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


def test_events_and_merges_are_counted() -> None:
    assert (a_tally().events, a_tally().merges) == (3, 1)


def test_the_newest_identifiers_are_remembered_and_old_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "RECENT", 1)
    assert list(a_tally().recent) == [PEOPLE.stranger(0)]


class FakeStand:
    """A stand of which only workers are asked for."""

    def __init__(self) -> None:
        self.started = 0
        self.site = SITE

    async def add_worker(self) -> None:
        self.started += 1


def kill(monkeypatch: pytest.MonkeyPatch, redelivered: list[int]) -> tuple[FakeStand, Takeover]:
    async def killed(*_: object, **__: float) -> Takeover:
        return Takeover(
            offered_per_second=1, events=1, merges=0, redelivered=redelivered.pop(0), lost=0,
            doubled=0, event_to_visible={},
        )  # fmt: skip

    monkeypatch.setattr(takeover, "_kill", killed)
    stand = FakeStand()
    done = kill_one(cast("Stand", stand), lambda: pytest.fail("draws"), 3, per_second=1, seconds=1)
    return stand, asyncio.run(done)


def test_a_kill_that_led_to_no_redelivery_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stand, found = kill(monkeypatch, [0, 0, 7])
    assert (stand.started, found.redelivered) == (2, 7)


def test_kills_that_never_lead_to_a_redelivery_show_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BenchError, match="3 workers were killed, and nothing was redelivered"):
        kill(monkeypatch, [0, 0, 0])
