"""A number's book is bounded, and what it forgets changes no join of what it keeps."""

from hypothesis import given
from hypothesis import strategies as st

from models.call_join import join_call
from models.calls import join_leases, lease_of
from models.events import Call, NumberLease
from models.number_book import (
    MOST_CALLS,
    MOST_LEASES,
    NumberBook,
    entry_of,
    fields_about,
    link_mark,
    read_book,
    wrong_mark,
)
from models.units import DAY_MS
from tests.fakes.phone_calls import MINUTE_MS, START_MS, a_call, a_lease, cookie

LATER_MS = START_MS + 100 * DAY_MS
DAY = DAY_MS // MINUTE_MS
news = st.lists(
    st.one_of(
        st.builds(
            lambda name: a_call(f"c{name}", name * 97 % (4 * DAY)), st.integers(0, 200)
        ),
        st.builds(
            lambda name, length: a_lease(
                f"l{name}", name * 89 % (4 * DAY), name * 89 % (4 * DAY) + length,
                session="abc"[name % 3],
            ),
            st.integers(0, 200), st.sampled_from([10, 300, 1500]),
        ),
    ), max_size=60,
)  # fmt: skip


def fields(told: list[Call | NumberLease]) -> dict[bytes, bytes]:
    return dict(entry_of(one) for one in told)


def book(told: list[Call | NumberLease]) -> NumberBook:
    return read_book(fields(told), LATER_MS)


@given(news)
def test_what_is_forgotten_changes_no_join_of_what_stays(told: list[Call | NumberLease]) -> None:
    held = fields(told)
    before = read_book(held, LATER_MS)
    after = read_book({n: v for n, v in held.items() if n not in before.stale}, LATER_MS)
    assert (after.calls, after.leases, after.stale) == (before.calls, before.leases, ())
    ever = join_leases(lease_of(one) for one in told if isinstance(one, NumberLease))
    for call_id, call in after.calls.items():
        assert after.outcome(call_id) == join_call(call.time_ms, ever.values())


def test_a_book_is_bounded_in_count() -> None:
    leases = [a_lease(f"l{n}", n, n + 1) for n in range(MOST_LEASES + 40)]
    calls = [a_call(f"c{n}", n) for n in range(MOST_CALLS + 40)]
    kept = book([*leases, *calls])
    assert len(kept.leases) <= MOST_LEASES
    assert len(kept.calls) <= MOST_CALLS
    assert f"c{MOST_CALLS + 39}" in kept.calls
    assert b"c:c0" in kept.stale


def test_a_clock_from_the_future_empties_no_book() -> None:
    wrong = a_call("wrong", 1000 * DAY)
    kept = book([a_lease("l", 0, 30), a_call("c", 10), wrong])
    assert {"c", "wrong"} == kept.calls.keys()
    assert kept.outcome("c") != "unmatched"


def test_marks_go_with_their_call() -> None:
    held = fields([a_call("c", 0), a_call("old", -10 * DAY)])
    for call_id in ("c", "old"):
        held |= {link_mark(cookie("a"), call_id): b"90", wrong_mark(cookie("a"), call_id): b"7"}
    kept = read_book(held, LATER_MS)
    assert kept.linked == {"c": {cookie("a"): 90}}
    assert kept.wrong_ms == {("c", cookie("a")): 7}
    stale = (b"c:old", link_mark(cookie("a"), "old"), wrong_mark(cookie("a"), "old"))
    assert kept.stale == stale
    about = {name for name in fields_about(held, [cookie("a")]) if name.endswith(b"@c")}
    assert about == {link_mark(cookie("a"), "c"), wrong_mark(cookie("a"), "c")}


def test_calls_within_leases_are_those_that_they_could_have_made() -> None:
    kept = book([a_lease("l", 0, 10), a_call("in", 5), a_call("late", 20), a_call("no", 300)])
    assert kept.calls_within(["l", "unknown"]) == {"in", "late"}
