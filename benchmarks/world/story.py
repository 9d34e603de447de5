"""The world: people, inventory, past and live part, all from one seed."""

import math
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from benchmarks.world.actions import Action
from benchmarks.world.browsing import Shelf, order_of
from benchmarks.world.history import history_of
from benchmarks.world.live import LiveStory
from benchmarks.world.people import OwnerId, Person, make_people
from benchmarks.world.schedule import ScheduledFlight, flights_from, local_date, trip_of
from benchmarks.world.shop import product_feed
from benchmarks.world.stock import Stock
from models.catalog_records import Flight, Offer
from models.events import Event, Order
from models.identifiers import NodeId, Pepper
from models.units import SECOND_MS

__all__ = ["Response", "World"]

DEFAULT_DAYS: Final = 14
TRIPS_PER_DAY: Final = 155
"""Routes that are flown on a day of the week; 166 on average, fewest on a Saturday."""

CANARY_TRIPS: Final = 12
CANARY_ITEMS: Final = 12
CANARY_SEATS_SHARE: Final = 0.5

WITHDRAWN_BEFORE_SHARE: Final = 0.5
"""Cancelled flights that are withdrawn before the live part; the others in its course."""


class Response(msgspec.Struct, frozen=True):
    """An order that an ad brought about, ``delay_ms`` after it was shown."""

    order: Order
    delay_ms: int


class World:
    """A simulated world with ground truth: who owns which device, who looked at what.

    Nothing here reads a clock or a file other than the packages' data, and the same arguments
    give the same world.

    Args:
        seed: of all draws.
        persons: customers with a CRM card, 1 to 23,570; a fifth as many visitors are added.
        start_ms: now, Unix ms: flights leave after it, history lies before it.
        pepper: under which identifiers are hashed; the same as in the system under test.
        days: how far ahead flights are sold; None takes 14, or more where customers would have
            to share a trip.

    Raises:
        MissingDataError: a data package is not installed.
        InvalidFieldError: ``persons`` is out of range.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        persons: int = 2000,
        start_ms: int,
        pepper: Pepper,
        days: int | None = None,
    ) -> None:
        self.seed = seed
        self.persons = persons
        self.start_ms = start_ms
        self._pepper = pepper
        horizon = days or max(DEFAULT_DAYS, math.ceil((persons + CANARY_TRIPS) / TRIPS_PER_DAY))
        rng = random.Random(f"{seed}/world")
        self._flights = _withdraw_some(rng, flights_from(seed, start_ms, horizon))
        self._products = product_feed(seed, start_ms)
        self._shelf = self._fill_shelf()
        self._canary_things = self._pick_canary_things(rng)
        trips, items = self._wanted(rng)
        self.people: list[Person] = make_people(seed, persons, pepper, trips, items)

    def _fill_shelf(self) -> Shelf:
        fares: dict[str, int] = {}
        for scheduled in self._flights:
            trip, fare = trip_of(scheduled.flight), scheduled.flight.fare_micros
            fares[trip] = min(fare, fares.get(trip, fare))
        products = {product.id: product for product in self._products}
        return Shelf(tuple(fares), tuple(products), fares, products)

    def _pick_canary_things(self, rng: random.Random) -> list[str]:
        """Trips with many seats and items well in stock, in turn; nobody else wants them."""
        by_trip: dict[str, list[ScheduledFlight]] = {}
        for scheduled in self._flights:
            by_trip.setdefault(trip_of(scheduled.flight), []).append(scheduled)
        roomy = [trip for trip, flights in by_trip.items() if all(map(_is_roomy, flights))]
        stocked = [product.id for product in self._products if product.stock >= 20]
        trips = rng.sample(roomy, min(CANARY_TRIPS, len(roomy)))
        items = rng.sample(stocked, CANARY_ITEMS)
        return [thing for pair in zip(trips, items, strict=False) for thing in pair]

    def _wanted(self, rng: random.Random) -> tuple[list[str], list[str]]:
        """Trips from tomorrow on and items, without the probes'."""
        taken = set(self._canary_things)
        today = local_date(self.start_ms).isoformat()
        trips = [
            trip for trip in self._shelf.trips if trip not in taken and not trip.endswith(today)
        ]
        rng.shuffle(trips)
        return trips, [item for item in self._shelf.items if item not in taken]

    def offers(self) -> list[Offer]:
        """The inventory and the feed as they stand at the start."""
        return [*(scheduled.flight for scheduled in self._flights), *self._products]

    def backfill(self) -> list[Event]:
        """What happened before: CRM cards, orders, yesterday's visits; by time of the event."""
        return history_of(self.seed, self.people, self._shelf, self.start_ms)

    def live(self, seconds: float) -> Iterator[Action]:
        """What happens from now on, by rising offset; a shorter run is a prefix of a longer one."""
        wanted = {thing for person in self.people for thing in (*person.trips, *person.items)}
        rng = random.Random(f"{self.seed}/stock")
        story = LiveStory(
            seed=self.seed,
            customers=self.persons,
            people=self.people,
            shelf=self._shelf,
            stock=Stock(rng, self._flights, self._products, wanted),
            canary_things=self._canary_things,
            pepper=self._pepper,
            start_ms=self.start_ms,
        )
        return story.actions(seconds)

    def owners(self) -> dict[NodeId, OwnerId]:
        """The truth: every node of the people and whose it is. Probes own themselves."""
        found: dict[NodeId, OwnerId] = {}
        for person in self.people:
            nodes = [node for device in person.devices for node in device.nodes]
            if person.card is not None:
                nodes += [person.card.crm_node, person.card.email_node, person.card.phone_node]
            found.update(dict.fromkeys(nodes, person.owner))
        return found

    def respond(self, person: Person, thing: str, impression: int) -> Response | None:
        """Whether a personal ad makes a person order, and when.

        Args:
            person: who saw it.
            thing: the trip or item that it showed.
            impression: how many personal ads the person had seen before; makes the draw its own.
        """
        rng = random.Random(f"{self.seed}/respond/{person.index}/{impression}")
        if person.card is None or rng.random() >= person.response_rate:
            return None
        desktops = [d for d in person.devices if d.kind == "desktop" and d.signs_in]
        ids: tuple[NodeId, ...] = (person.card.crm_node,)
        if desktops:
            ids = (rng.choice(desktops).node_on("site"), *ids)
        delay_ms = rng.randint(1, 5) * SECOND_MS
        event_id = f"a{self.seed}-{person.index}-{impression}"
        return Response(order_of(ids, thing, event_id, self.start_ms, self._shelf), delay_ms)


def _is_roomy(scheduled: ScheduledFlight) -> bool:
    flight = scheduled.flight
    enough = flight.seats_left >= CANARY_SEATS_SHARE * flight.seats_total
    return enough and not scheduled.is_cancelled


def _withdraw_some(rng: random.Random, flights: list[ScheduledFlight]) -> list[ScheduledFlight]:
    """Cancelled flights of which the airline knows already have no seats to sell."""
    return [
        ScheduledFlight(_without_seats(scheduled.flight), is_cancelled=False)
        if scheduled.is_cancelled and rng.random() < WITHDRAWN_BEFORE_SHARE
        else scheduled
        for scheduled in flights
    ]


def _without_seats(flight: Flight) -> Flight:
    return msgspec.structs.replace(flight, seats_left=0)
