"""A number pool never shows one number to two sessions at once."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError
from models.number_pool import NumberPool, PoolLease
from models.units import DAY_MS, HOUR_MS

FALLBACK = "+12125550100"
NUMBERS = ["+12125550101", "+12125550102", "+12125550103"]
LEASE_MS = 30
moves = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 40)), max_size=60)


def pool(count: int = 3, lease_ms: int = LEASE_MS, told: Iterable[PoolLease] = ()) -> NumberPool:
    return NumberPool(NUMBERS[:count], FALLBACK, lease_ms=lease_ms, leases=told)


@given(moves, st.integers(1, 3), st.sets(st.integers(0, 59)))
def test_no_number_is_leased_twice_at_once(
    visits: list[tuple[str, int]], count: int, restarts: set[int]
) -> None:
    """Nor where the pool begins anew in between, with what it told before."""
    numbers, now_ms = pool(count), 0
    leases: dict[str, PoolLease] = {}
    for visit, (session, wait_ms) in enumerate(visits):
        now_ms += wait_ms
        if visit in restarts:
            numbers = pool(count, told=leases.values())
        shown = numbers.show(session, now_ms)
        active = {one.number for one in leases.values() if one.expires_ms > now_ms}
        if shown.lease is None:
            assert shown.number == FALLBACK
            assert len(active) == count
            assert all(one.session != session for one in leases.values() if one.expires_ms > now_ms)
        else:
            assert shown.lease.session == session
            assert shown.lease.expires_ms == now_ms + LEASE_MS
            assert shown.lease.start_ms <= now_ms
            others = leases | {shown.lease.lease_id: shown.lease}
            assert not [
                one
                for name, one in others.items()
                if name != shown.lease.lease_id
                and one.number == shown.number
                and one.expires_ms > shown.lease.start_ms
                and one.start_ms < shown.lease.expires_ms
            ]
            leases = others
    assert numbers.active_count <= count


def test_a_session_keeps_its_number_while_it_lives() -> None:
    numbers = pool()
    first, again = numbers.show("a", 0).lease, numbers.show("a", 29).lease
    assert first is not None
    assert again is not None
    assert again.lease_id == first.lease_id
    assert (again.start_ms, again.expires_ms) == (0, 59)
    assert numbers.show("b", 58).number != again.number
    later = numbers.show("a", 59).lease
    assert later is not None
    assert later.lease_id != first.lease_id


def test_what_has_been_free_for_longest_goes_first() -> None:
    numbers = pool()
    shown = [
        numbers.show(session, at).number for session, at in zip("abc", (0, 5, 10), strict=True)
    ]
    assert shown == NUMBERS
    assert numbers.show("d", 12).number == FALLBACK
    assert [numbers.show(session, 50).number for session in "def"] == NUMBERS


def test_a_clock_that_goes_back_shortens_no_lease() -> None:
    numbers = pool()
    numbers.show("a", 100)
    lease = numbers.show("a", 50).lease
    assert lease is not None
    assert lease.expires_ms == 130


def test_a_pool_that_starts_again_knows_which_numbers_are_on_show() -> None:
    before = pool()
    told = [
        before.show(session, at).lease for session, at in zip("abca", (0, 5, 10, 12), strict=True)
    ]
    leases = [lease for lease in told if lease is not None]
    random.Random(1).shuffle(leases)
    again = pool(told=leases)
    assert again.show("d", 20).number == FALLBACK
    renewed = again.show("b", 20)
    assert renewed.lease is not None
    assert (renewed.number, renewed.lease.start_ms, renewed.lease.expires_ms) == (NUMBERS[1], 5, 50)
    assert [again.show(session, 45).number for session in "de"] == [NUMBERS[2], NUMBERS[0]]


def test_a_number_that_was_given_to_two_sessions_is_given_to_no_third() -> None:
    one, other = (
        PoolLease(f"l{end}", NUMBERS[0], session, 0, end) for session, end in (("a", 20), ("b", 30))
    )
    moved = PoolLease("l25", NUMBERS[1], "b", 0, 25)
    gone = PoolLease("l40", "+12125550199", "c", 0, 40)
    numbers = pool(2, told=[other, one, moved, gone])
    assert [numbers.show(session, 22).number for session in "ac"] == [FALLBACK] * 2
    assert numbers.show("c", 25).number == NUMBERS[1]
    assert numbers.show("b", 29).number == NUMBERS[0]


def test_a_session_that_stays_for_days_leases_its_number_anew_each_day() -> None:
    numbers, told = pool(lease_ms=HOUR_MS), set()
    for half_hour in range(100):
        now_ms = half_hour * HOUR_MS // 2
        shown = numbers.show("a", now_ms)
        assert shown.number == NUMBERS[0]
        assert shown.lease is not None
        assert shown.lease.start_ms <= now_ms
        assert shown.lease.expires_ms - shown.lease.start_ms <= DAY_MS
        told.add(shown.lease.lease_id)
    assert len(told) == 3
    assert numbers.active_count == 1


@pytest.mark.parametrize(
    ("numbers", "fallback", "lease_ms", "field"),
    [
        ([], FALLBACK, 1, "numbers"),
        (["+1", "+1"], FALLBACK, 1, "numbers"),
        ([FALLBACK], FALLBACK, 1, "fallback"),
        (NUMBERS, FALLBACK, 0, "lease_ms"),
        (NUMBERS, FALLBACK, DAY_MS + 1, "lease_ms: 86400001 is not above 0, at most 86400000"),
    ],
)
def test_a_pool_that_cannot_work_is_refused(
    numbers: list[str], fallback: str, lease_ms: int, field: str
) -> None:
    with pytest.raises(InvalidFieldError, match=field):
        NumberPool(numbers, fallback, lease_ms=lease_ms)
