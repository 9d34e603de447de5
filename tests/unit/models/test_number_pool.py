"""A number pool never shows one number to two sessions at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError
from models.number_pool import NumberPool, PoolLease

FALLBACK = "+12125550100"
NUMBERS = ["+12125550101", "+12125550102", "+12125550103"]
moves = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 40)), max_size=60)


def pool(count: int = 3, lease_ms: int = 30) -> NumberPool:
    return NumberPool(NUMBERS[:count], FALLBACK, lease_ms=lease_ms)


@given(moves, st.integers(1, 3))
def test_no_number_is_leased_twice_at_once(visits: list[tuple[str, int]], count: int) -> None:
    numbers, now_ms = pool(count), 0
    leases: dict[str, PoolLease] = {}
    for session, wait_ms in visits:
        now_ms += wait_ms
        shown = numbers.show(session, now_ms)
        active = {one.number for one in leases.values() if one.expires_ms > now_ms}
        if shown.lease is None:
            assert shown.number == FALLBACK
            assert len(active) == count
            assert all(one.session != session for one in leases.values() if one.expires_ms > now_ms)
        else:
            assert shown.lease.session == session
            assert shown.lease.expires_ms == now_ms + 30
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


@pytest.mark.parametrize(
    ("numbers", "fallback", "lease_ms", "field"),
    [
        ([], FALLBACK, 1, "numbers"),
        (["+1", "+1"], FALLBACK, 1, "numbers"),
        ([FALLBACK], FALLBACK, 1, "fallback"),
        (NUMBERS, FALLBACK, 0, "lease_ms"),
    ],
)
def test_a_pool_that_cannot_work_is_refused(
    numbers: list[str], fallback: str, lease_ms: int, field: str
) -> None:
    with pytest.raises(InvalidFieldError, match=field):
        NumberPool(numbers, fallback, lease_ms=lease_ms)
