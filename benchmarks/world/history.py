"""What happened before the live part: CRM cards, years of orders, yesterday's browsing."""

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.world.browsing import Shelf, look_at, sign_in
from benchmarks.world.people import CrmIdentity, Person
from benchmarks.world.schedule import AIRLINE
from benchmarks.world.shop import LAST_DATE, MARGIN_SHARE, SHOP, read_purchases
from models.events import CrmCard, Event, Order
from models.units import DAY_MS, HOUR_MS, MICROS, SECOND_MS

__all__ = ["history_of"]

PAST_FLIGHT_SHARE: Final = 0.3
"""Customers who flew with the airline in the past year."""

PAST_VISIT_SHARE: Final = 0.5
"""People who browsed yesterday, and, if they can, signed in while they did."""

MOST_ITEMS: Final = 5
"""An order names at most so many items; the log only counts them."""


def history_of(seed: int, people: Sequence[Person], shelf: Shelf, start_ms: int) -> list[Event]:
    """All past events, in the order of their time.

    Args:
        seed: of the parts that the log does not tell.
        people: the world's.
        shelf: what is on sale; orders are drawn from its items.
        start_ms: now; every event is older.
    """
    rng = random.Random(f"{seed}/history")
    yesterday = dt.datetime.fromtimestamp(start_ms / SECOND_MS, dt.UTC).date() - dt.timedelta(
        days=1
    )
    shift = yesterday - LAST_DATE
    found: list[Event] = []
    for person in people:
        if person.card is not None:
            found += _purchases(rng, person, person.card, shelf=shelf, shift=shift)
            found += _past_flights(rng, person, person.card, shelf, start_ms)
        if rng.random() < PAST_VISIT_SHARE:
            found += _past_visit(rng, person, shelf, start_ms)
    return sorted(found, key=lambda event: (event.event_time_ms, event.event_id))


def _purchases(
    rng: random.Random,
    person: Person,
    card: CrmIdentity,
    *,
    shelf: Shelf,
    shift: dt.timedelta,
) -> Iterator[Event]:
    """The card, made at the first purchase, then one order per line of the log."""
    wanted = set(person.items)
    purchases = read_purchases()[card.customer]
    for number, purchase in enumerate(purchases):
        time_ms = _moment(rng, purchase.date + shift)
        if number == 0:
            ids = (card.crm_node, card.email_node, card.phone_node)
            yield CrmCard(
                event_id=f"h-{person.index}-card",
                ids=ids,
                event_time_ms=time_ms - 1,
                city=card.city,
                tier=card.tier,
            )
        drawn = rng.choices(shelf.items, k=min(purchase.quantity, MOST_ITEMS))
        yield Order(
            event_id=f"h-{person.index}-order-{number}",
            ids=(card.crm_node,),
            event_time_ms=time_ms,
            channel="shop",
            advertiser=SHOP,
            order_id=f"cdnow-{card.customer}-{number}",
            revenue_micros=purchase.revenue_micros,
            margin_micros=round(purchase.revenue_micros * MARGIN_SHARE),
            items=tuple(dict.fromkeys(item for item in drawn if item not in wanted)),
        )


def _moment(rng: random.Random, date: dt.date) -> int:
    """Some time between 8 and 23 o'clock UTC."""
    midnight = dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC)
    return int(midnight.timestamp()) * SECOND_MS + rng.randrange(8 * HOUR_MS, 23 * HOUR_MS)


def _past_flights(
    rng: random.Random, person: Person, card: CrmIdentity, shelf: Shelf, start_ms: int
) -> Iterator[Event]:
    if rng.random() >= PAST_FLIGHT_SHARE:
        return
    for number in range(rng.randint(1, 3)):
        booked_ms = start_ms - rng.randrange(30 * DAY_MS, 365 * DAY_MS)
        flown = dt.datetime.fromtimestamp(booked_ms / SECOND_MS + 14 * 86_400, dt.UTC).date()
        route = rng.choice(shelf.trips).partition("/")[0]
        revenue_micros = rng.randint(60, 400) * MICROS
        yield Order(
            event_id=f"h-{person.index}-flight-{number}",
            ids=(card.crm_node,),
            event_time_ms=booked_ms,
            channel="crm",
            advertiser=AIRLINE,
            order_id=f"flown-{person.index}-{number}",
            revenue_micros=revenue_micros,
            margin_micros=revenue_micros // 5,
            items=(f"{route}/{flown.isoformat()}",),
        )


def _past_visit(rng: random.Random, person: Person, shelf: Shelf, start_ms: int) -> Iterator[Event]:
    device = rng.choice(person.devices)
    surface = rng.choice(device.surfaces)
    ids = device.ids_on(surface)
    time_ms = start_ms - rng.randrange(HOUR_MS, DAY_MS)
    name = f"h-{person.index}-visit"
    if person.card is not None and device.signs_in:
        yield sign_in(rng, person.card, device.node_on(surface), f"{name}-0", time_ms)
    for step in range(1, rng.randint(2, 4)):
        event_ms = time_ms + step * 20 * SECOND_MS
        event_id = f"{name}-{step}"
        yield look_at(
            rng, person, shelf, kind=device.kind, ids=ids, event_id=event_id, time_ms=event_ms
        )
