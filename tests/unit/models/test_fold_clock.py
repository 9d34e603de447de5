"""The clock of streams: how long reservations outlast it, and when nobody waits any more."""

from models.fold_clock import USUAL_MS, FoldClock
from models.spend_records import FoldMark
from models.topics import Topics

NOW_MS = 1_800_000_000_000
PATIENCE_MS = 60_000


def told(*folded_ms: int) -> FoldClock:
    clock = FoldClock(PATIENCE_MS)
    for partition, at_ms in enumerate(folded_ms):
        clock.learn(FoldMark(partition=partition, folded_ms=at_ms))
    clock.move_to(NOW_MS)
    return clock


def state(clock: FoldClock) -> tuple[int, bool]:
    return clock.behind_ms, clock.is_lost


ALL = Topics.OUTCOMES.partitions


def test_where_nobody_ever_told_it_is_the_present() -> None:
    assert state(told()) == (0, False)
    assert state(told(*[NOW_MS - 10 * PATIENCE_MS] * (ALL - 1))) == (0, False), "one is missing"


def test_the_partition_that_is_furthest_behind_counts_beyond_what_is_usual() -> None:
    assert state(told(*[NOW_MS - USUAL_MS] * ALL)) == (0, False)
    others = [NOW_MS] * (ALL - 1)
    assert state(told(*others, NOW_MS - USUAL_MS - 7_000)) == (7_000, False)


def test_beyond_the_patience_nothing_can_be_checked_until_streams_is_back() -> None:
    clock = told(*[NOW_MS - USUAL_MS - PATIENCE_MS - 1] * ALL)
    assert state(clock) == (PATIENCE_MS, True)
    for partition in range(ALL):
        clock.learn(FoldMark(partition=partition, folded_ms=NOW_MS))
    clock.move_to(NOW_MS)
    assert state(clock) == (0, False)


def test_an_older_mark_changes_nothing() -> None:
    clock = told(*[NOW_MS] * ALL)
    clock.learn(FoldMark(partition=0, folded_ms=NOW_MS - PATIENCE_MS))
    clock.move_to(NOW_MS)
    assert state(clock) == (0, False)
