"""Departures by trip, and of each trip the one whose sale gains most.

Many people search the same trips, and what a seat is worth changes slowly, so the best departure is
worked out once in ten seconds, and again when a flight of the trip changes.
"""

from collections import defaultdict
from typing import Final

import msgspec

from models.catalog_records import Flight
from models.value.conversion import trip_horizon_factor
from models.value.seats import seat_pressure

__all__ = ["Departure", "FlightBoard"]

KEPT_MS: Final = 10_000


class Departure(msgspec.Struct, frozen=True):
    """A flight that can be sold, with the factors that come from it."""

    flight: Flight
    trip_horizon_factor: float
    seat_pressure: float


class FlightBoard:
    """What leaves when."""

    def __init__(self) -> None:
        self._trips: defaultdict[tuple[str, str], dict[str, Flight]] = defaultdict(dict)
        self._best: dict[tuple[str, str], tuple[int, Departure | None]] = {}

    def put(self, flight: Flight) -> None:
        """Adds a flight, or changes it."""
        trip = _trip_of(flight)
        self._trips[trip][flight.id] = flight
        self._best.pop(trip, None)

    def take(self, flight: Flight) -> None:
        """Takes a flight out."""
        trip = _trip_of(flight)
        self._best.pop(trip, None)
        del self._trips[trip][flight.id]
        if not self._trips[trip]:
            del self._trips[trip]

    def departures(self, advertiser: str, trip: str) -> list[Flight]:
        """The departures of ``ORIGIN-DESTINATION/DATE``, sold out ones included."""
        return list(self._trips.get((advertiser, trip), {}).values())

    def best(self, advertiser: str, trip: str, now_ms: int) -> Departure | None:
        """Of the day's departures the one whose sale gains most; of equals the cheapest.

        As of the next full ten seconds: nothing is sold later than it may be.

        Args:
            advertiser: whose flights.
            trip: ``ORIGIN-DESTINATION/DATE``.
            now_ms: the present, Unix ms.
        """
        key = advertiser, trip
        at_ms = -(-now_ms // KEPT_MS) * KEPT_MS
        known = self._best.get(key)
        if known is not None and known[0] == at_ms:
            return known[1]
        flights = self._trips.get(key)
        if flights is None:
            return None  # whoever asks for what never was leaves nothing behind
        found = _best_of(flights, at_ms)
        self._best[key] = at_ms, found
        return found


def _best_of(flights: dict[str, Flight], at_ms: int) -> Departure | None:
    best: Departure | None = None
    best_rank = (0.0, 0, "")
    for flight in flights.values():
        departure_in_ms = flight.depart_ms - at_ms
        horizon = trip_horizon_factor(departure_in_ms)
        pressure = seat_pressure(flight.seats_left, flight.seats_total, departure_in_ms)
        rank = (horizon * pressure, -flight.fare_micros, flight.id)
        if rank[0] > 0 and rank > best_rank:
            best, best_rank = Departure(flight, horizon, pressure), rank
    return best


def _trip_of(flight: Flight) -> tuple[str, str]:
    return flight.advertiser, f"{flight.origin}-{flight.destination}/{flight.depart_date}"
