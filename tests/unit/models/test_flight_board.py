"""The board: the best departure, as of a moment that is never too late."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.catalog_records import Flight
from models.flight_board import KEPT_MS, FlightBoard
from models.units import DAY_MS, HOUR_MS
from models.value.conversion import trip_horizon_factor
from tests.unit.bidder.support import AIR, NOW_MS, TRIP, flight

departures = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 3 * DAY_MS), st.integers(0, 180), st.integers(1, 3)
    ),
    max_size=8,
)


@given(departures, st.integers(0, 2 * DAY_MS), st.integers(0, 3 * KEPT_MS))
def test_the_best_departure_is_that_of_a_new_board_whatever_was_asked_before(
    told: list[tuple[int, int, int, int]], early_ms: int, later_ms: int
) -> None:
    board = FlightBoard()
    known = dict[int, Flight]()
    for number, in_ms, left, fare in told:
        one = flight(
            id=f"KB{number}/2026-12-01", depart_ms=NOW_MS + in_ms, seats_left=left, fare_micros=fare
        )
        if number in known:
            board.take(known[number])
        known[number] = one
        board.put(one)
        board.best(AIR, TRIP, NOW_MS + early_ms)
    fresh = FlightBoard()
    for one in known.values():
        fresh.put(one)
    now_ms = NOW_MS + later_ms
    assert board.best(AIR, TRIP, now_ms) == fresh.best(AIR, TRIP, now_ms)
    assert {one.id for one in board.departures(AIR, TRIP)} == {one.id for one in known.values()}


@given(st.integers(0, 2 * KEPT_MS))
def test_nothing_is_sold_later_than_it_may_be(before_ms: int) -> None:
    board = FlightBoard()
    board.put(flight(depart_ms=NOW_MS + 2 * HOUR_MS))
    now_ms = NOW_MS + KEPT_MS - before_ms
    found = board.best(AIR, TRIP, now_ms)
    if trip_horizon_factor(NOW_MS + 2 * HOUR_MS - now_ms) == 0:
        assert found is None


def test_a_change_shows_at_once_and_what_was_taken_out_leaves_nothing() -> None:
    board = FlightBoard()
    first = flight(seats_left=150)
    board.put(first)
    assert board.best(AIR, TRIP, NOW_MS) is not None
    board.put(msgspec.structs.replace(first, seats_left=0))
    assert board.best(AIR, TRIP, NOW_MS) is None
    board.take(first)
    assert board.best(AIR, TRIP, NOW_MS) is None
    assert board.best(AIR, "nowhere", NOW_MS) is None
    assert (len(board._trips), len(board._best)) == (0, 0)
