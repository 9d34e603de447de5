"""Names of bids: unique, and they tell when and by whom."""

from hypothesis import given
from hypothesis import strategies as st

from models.nonces import EPOCH_S, WORKERS, NonceParts, Nonces, parse_nonce, worker_name

NOW_MS = 1_790_000_000_123
NOW_S_MS = NOW_MS // 1000 * 1000


def test_a_nonce_tells_its_worker_and_its_second() -> None:
    assert parse_nonce(Nonces("ab12cd").next(NOW_MS)) == NonceParts("ab12cd", NOW_S_MS)


@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=200))
def test_no_nonce_comes_twice_whatever_the_clock_does(steps_ms: list[int]) -> None:
    nonces, now_ms, seen = Nonces("ab12cd"), NOW_MS, set[str]()
    latest_ms = 0
    for step_ms in steps_ms:
        now_ms += step_ms
        nonce = nonces.next(now_ms)
        assert nonce not in seen
        seen.add(nonce)
        told = parse_nonce(nonce)
        assert told is not None
        latest_ms = max(latest_ms, now_ms // 1000 * 1000)
        assert told.second_ms == latest_ms


@given(st.integers(0, WORKERS - 1), st.integers(EPOCH_S, EPOCH_S + WORKERS - 1))
def test_every_worker_and_second_is_told_exactly(number: int, second: int) -> None:
    name = worker_name(number)
    assert parse_nonce(Nonces(name).next(second * 1000)) == NonceParts(name, second * 1000)


@given(st.integers(0, WORKERS - 1), st.integers(0, WORKERS - 1))
def test_workers_of_different_numbers_have_different_names(one: int, other: int) -> None:
    assert (worker_name(one) == worker_name(other)) == (one == other)


def test_other_texts_are_no_nonces() -> None:
    for text in ("", "auction-1", "ABC123abc1230", "ab12cdt5x2k1", "ab12cdt5x2k1g", "x" * 40):
        assert parse_nonce(text) is None
