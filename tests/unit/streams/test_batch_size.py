"""Batches grow while a worker is behind and waits, and shrink again."""

from streams.batch_size import MOST_TIMES, BatchSize

ORDINARY = 100


def after(*batches: tuple[int, float]) -> int:
    """The limit after batches of so many records, each of a second with so much work."""
    size = BatchSize(ORDINARY)
    for count, worked_seconds in batches:
        size.learn(count, took_seconds=1.0, worked_seconds=worked_seconds)
    return size.limit


def test_a_worker_that_keeps_up_or_works_all_the_time_has_ordinary_batches() -> None:
    assert after() == ORDINARY
    assert after((99, 0.1)) == ORDINARY
    assert after((ORDINARY, 0.9), (ORDINARY, 0.9)) == ORDINARY


def test_batches_grow_while_a_worker_is_behind_and_waits() -> None:
    assert after((ORDINARY, 0.1)) == 2 * ORDINARY
    full = [(ORDINARY * 2**power, 0.1) for power in range(10)]
    assert after(*full) == MOST_TIMES * ORDINARY


def test_batches_shrink_when_work_takes_longer_than_waiting_and_at_once_when_all_is_done() -> None:
    grown = [(ORDINARY, 0.1), (2 * ORDINARY, 0.1)]
    assert after(*grown, (4 * ORDINARY, 0.9)) == 2 * ORDINARY
    assert after(*grown, (4 * ORDINARY - 1, 0.1)) == ORDINARY
