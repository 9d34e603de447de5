"""How the inventory moves while people look at it: fares, seats, sell-outs, cancellations."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from benchmarks.world.actions import Restock
from benchmarks.world.schedule import ScheduledFlight, trip_of
from models.catalog_records import Flight, Product
from models.units import MICROS, SECOND_MS

__all__ = ["Stock"]

CHANGES_PER_SECOND: Final = 4
"""Ordinary changes: a fare, a few seats, a product's price."""

SELL_OUTS_PER_SECOND: Final = 0.8
CANCELLATIONS_PER_SECOND: Final = 0.5
OUT_OF_STOCK_PER_SECOND: Final = 0.9

HALF_MS: Final = SECOND_MS // 2

SMALL_TRIP_FLIGHTS: Final = 3
"""Trips with more flights than this do not sell out within a demo."""

replace = msgspec.structs.replace


class Stock:
    """The current state of everything that is on sale, changed by draws from a generator.

    Args:
        rng: decides which trips sell out, and in which order.
        flights: the inventory at the start; those marked as cancelled are withdrawn later.
        products: the feed at the start.
        wanted: trips and items that change; all others stay as they are.
    """

    def __init__(
        self,
        rng: random.Random,
        flights: Sequence[ScheduledFlight],
        products: Sequence[Product],
        wanted: Collection[str],
    ) -> None:
        self._flights: dict[str, Flight] = {}
        self._trips: defaultdict[str, list[str]] = defaultdict(list)
        for scheduled in flights:
            flight = scheduled.flight
            if trip_of(flight) in wanted:
                self._flights[flight.id] = flight
                self._trips[trip_of(flight)].append(flight.id)
        self._products = {product.id: product for product in products if product.id in wanted}
        small = [trip for trip, ids in self._trips.items() if len(ids) <= SMALL_TRIP_FLIGHTS]
        self._to_sell_out = rng.sample(small, len(small))
        self._to_cancel = [
            s.flight.id for s in flights if s.is_cancelled and s.flight.id in self._flights
        ]
        rng.shuffle(self._to_cancel)
        self._flight_ids = list(self._flights)
        self._items = list(self._products)
        self._deliveries: list[tuple[int, str]] = []

    def second(self, rng: random.Random, begin_ms: int, start_ms: int) -> Iterator[Restock]:
        """The changes of one second, not in order of time.

        Args:
            rng: of this second.
            begin_ms: offset of the second from the start.
            start_ms: Unix ms of offset 0, for ``updated_ms``.
        """
        # Changes fall into the first half and closings into the second, so none reopens a flight.
        yield from self._deliver(rng, begin_ms, start_ms)
        for _ in range(CHANGES_PER_SECOND):
            yield from self._change(rng, begin_ms + rng.randrange(HALF_MS), start_ms)
        if self._to_sell_out and rng.random() < SELL_OUTS_PER_SECOND:
            for flight_id in self._trips[self._to_sell_out.pop()]:
                yield self._close(flight_id, begin_ms + rng.randrange(HALF_MS, SECOND_MS), start_ms)
        if self._to_cancel and rng.random() < CANCELLATIONS_PER_SECOND:
            at_ms = begin_ms + rng.randrange(HALF_MS, SECOND_MS)
            yield self._close(self._to_cancel.pop(), at_ms, start_ms)
        if self._items and rng.random() < OUT_OF_STOCK_PER_SECOND:
            at_ms = begin_ms + rng.randrange(HALF_MS, SECOND_MS)
            yield from self._run_out(rng, at_ms, start_ms)

    def _change(self, rng: random.Random, at_ms: int, start_ms: int) -> Iterator[Restock]:
        if self._flight_ids and (rng.random() < 0.7 or not self._items):
            flight = self._flights[rng.choice(self._flight_ids)]
            if flight.seats_left > 1:  # a closed flight stays closed
                yield self._put(self._move_flight(rng, flight), at_ms, start_ms)
        elif self._items:
            product = self._products[rng.choice(self._items)]
            if product.stock:
                price_micros = round(product.price_micros * rng.uniform(0.9, 1.1) / 10_000) * 10_000
                margin_micros = min(product.margin_micros, price_micros)
                moved = replace(product, price_micros=price_micros, margin_micros=margin_micros)
                yield self._put(moved, at_ms, start_ms)

    @staticmethod
    def _move_flight(rng: random.Random, flight: Flight) -> Flight:
        if rng.random() < 0.5:
            fare = round(flight.fare_micros * rng.uniform(0.9, 1.15) / MICROS)
            return replace(flight, fare_micros=max(1, fare) * MICROS)
        return replace(flight, seats_left=max(1, flight.seats_left - rng.randint(1, 3)))

    def _close(self, flight_id: str, at_ms: int, start_ms: int) -> Restock:
        return self._put(replace(self._flights[flight_id], seats_left=0), at_ms, start_ms)

    def _run_out(self, rng: random.Random, at_ms: int, start_ms: int) -> Iterator[Restock]:
        product = self._products[rng.choice(self._items)]
        if product.stock:
            yield self._put(replace(product, stock=0), at_ms, start_ms)
            self._deliveries.append((at_ms + rng.randint(5, 15) * SECOND_MS, product.id))

    def _deliver(self, rng: random.Random, begin_ms: int, start_ms: int) -> Iterator[Restock]:
        due = [item for due_ms, item in self._deliveries if due_ms < begin_ms]
        self._deliveries = [entry for entry in self._deliveries if entry[0] >= begin_ms]
        for item in due:
            stocked = replace(self._products[item], stock=rng.randint(20, 200))
            yield self._put(stocked, begin_ms, start_ms)

    def _put(self, offer: Flight | Product, at_ms: int, start_ms: int) -> Restock:
        stamped: Flight | Product = replace(offer, updated_ms=start_ms + at_ms)
        if isinstance(stamped, Flight):
            self._flights[stamped.id] = stamped
        else:
            self._products[stamped.id] = stamped
        return Restock(offset_ms=at_ms, offer=stamped)
