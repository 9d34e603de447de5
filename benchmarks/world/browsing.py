"""One visit to our pages or app: page views, a sign-in, searches, product views, a cart, an order.

People look only at the trips and items that they want; that is what makes an ad for anything else
recognisable as an ad for somebody else.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from benchmarks.world.devices import Device, DeviceKind
from benchmarks.world.people import CrmIdentity, Person
from benchmarks.world.schedule import AIRLINE
from benchmarks.world.shop import SHOP
from models.catalog_records import Product
from models.events import (
    Call,
    CartAdd,
    Event,
    FlightSearch,
    Order,
    PageView,
    ProductView,
    SignIn,
)
from models.identifiers import NodeId
from models.units import MICROS

__all__ = ["Shelf", "look_at", "order_of", "search_of", "sign_in", "visit"]

SIGN_IN_SHARE: Final = 0.5
"""Visits with a sign-in, on devices where their owner signs in at all."""

SEARCH_SHARE: Final[dict[DeviceKind, float]] = {"phone": 0.65, "tablet": 0.5, "desktop": 0.4}
"""Looks that are flight searches: people search on the phone and buy on the desktop."""

CART_SHARE: Final = 0.2
ORDER_SHARE: Final = 0.03
CALL_SHARE: Final = 0.04
BOTH_IDS_SHARE: Final = 0.3
"""Visits in an app that opens a web page: the event carries the advertising id and the cookie."""

PAGES: Final = ("/", "/deals", "/help", "/account", "/destinations", "/new")


class Shelf(msgspec.Struct, frozen=True):
    """What people may want: trips with their lowest fare, and products.

    Attributes:
        trips: every trip on sale.
        items: every product's id.
        fares: lowest fare of each trip, micros.
        products: by id.
    """

    trips: tuple[str, ...]
    items: tuple[str, ...]
    fares: dict[str, int]
    products: dict[str, Product]


def visit(
    rng: random.Random, person: Person, begin_ms: int, name: str, shelf: Shelf
) -> Iterator[Event]:
    """The events of one visit, in order.

    Args:
        rng: of this visit.
        person: who.
        begin_ms: Unix ms of the first page.
        name: prefix of the event ids, unique.
        shelf: what is on sale.
    """
    device = rng.choice(person.devices)
    surface = rng.choice(device.surfaces)
    ids = device.ids_on(surface)
    if len(device.surfaces) == 2 and rng.random() < BOTH_IDS_SHARE:
        ids = (device.node_on("app"), device.node_on("site"))
    time_ms = begin_ms
    yield PageView(
        event_id=f"{name}-0",
        ids=ids,
        event_time_ms=time_ms,
        channel="app" if surface == "app" else "web",
        advertiser=rng.choice((AIRLINE, SHOP)),
        page=rng.choice(PAGES),
    )
    if person.card is not None and device.signs_in and rng.random() < SIGN_IN_SHARE:
        time_ms += rng.randint(300, 3000)
        yield sign_in(rng, person.card, ids[0], f"{name}-1", time_ms)
    for step in range(2, 2 + rng.randint(1, 4)):
        time_ms += rng.randint(500, 6000)
        event_id = f"{name}-{step}"
        yield look_at(
            rng, person, shelf, kind=device.kind, ids=ids, event_id=event_id, time_ms=time_ms
        )
    yield from _end_of_visit(rng, person, shelf, device=device, ids=ids, time_ms=time_ms, name=name)


def _end_of_visit(
    rng: random.Random,
    person: Person,
    shelf: Shelf,
    *,
    device: Device,
    ids: tuple[NodeId, ...],
    time_ms: int,
    name: str,
) -> Iterator[Event]:
    """A cart and perhaps an order; from a phone, perhaps a call."""
    time_ms += rng.randint(500, 4000)
    if rng.random() < CART_SHARE:
        item = rng.choice(person.items)
        yield CartAdd(
            event_id=f"{name}-7", ids=ids, event_time_ms=time_ms, advertiser=SHOP, item=item
        )
    if person.card is None:
        return
    if device.kind == "desktop" and device.signs_in and rng.random() < ORDER_SHARE:
        thing = rng.choice((*person.items, *person.trips))
        buyer = (person.card.crm_node, device.node_on("site"))  # signed in: the account's order
        yield order_of(buyer, thing, f"{name}-8", time_ms + 2000, shelf)
    if device.kind == "phone" and rng.random() < CALL_SHARE:
        yield Call(
            event_id=f"{name}-9",
            ids=(person.card.phone_node,),
            event_time_ms=time_ms + 3000,
            advertiser=AIRLINE,
            call_id=f"{name}-9",
            duration_seconds=rng.randint(0, 600),
            missed=rng.random() < 0.2,
        )


def sign_in(
    rng: random.Random, card: CrmIdentity, node: NodeId, event_id: str, time_ms: int
) -> SignIn:
    """A sign-in with the account's e-mail, less often its phone or customer number."""
    (account,) = rng.choices((card.email_node, card.phone_node, card.crm_node), (7, 2, 1))
    return SignIn(
        event_id=event_id,
        ids=(node, account),
        event_time_ms=time_ms,
        advertiser=rng.choice((AIRLINE, SHOP)),
    )


def look_at(
    rng: random.Random,
    person: Person,
    shelf: Shelf,
    *,
    kind: DeviceKind,
    ids: tuple[NodeId, ...],
    event_id: str,
    time_ms: int,
) -> Event:
    """A search for one of the person's trips, or a view of one of their items."""
    if person.trips and rng.random() < SEARCH_SHARE[kind]:
        return search_of(rng.choice(person.trips), ids, event_id, time_ms)
    item = shelf.products[rng.choice(person.items)].id
    return ProductView(
        event_id=event_id, ids=ids, event_time_ms=time_ms, advertiser=SHOP, item=item
    )


def search_of(trip: str, ids: Sequence[NodeId], event_id: str, time_ms: int) -> FlightSearch:
    """The search for a trip ``ORIGIN-DESTINATION/DATE``."""
    route, _, date = trip.partition("/")
    origin, _, destination = route.partition("-")
    return FlightSearch(
        event_id=event_id,
        ids=tuple(ids),
        event_time_ms=time_ms,
        advertiser=AIRLINE,
        origin=origin,
        destination=destination,
        depart_date=date,
    )


def order_of(
    ids: tuple[NodeId, ...], thing: str, event_id: str, time_ms: int, shelf: Shelf
) -> Order:
    """An order of a trip or of an item, at the price it had when the world began.

    Margins: a fifth of a fare (assumption), the feed's own for a product.
    """
    product = shelf.products.get(thing)
    if product is not None:
        revenue_micros, margin_micros = product.price_micros, product.margin_micros
    else:
        revenue_micros = shelf.fares.get(thing, 100 * MICROS)
        margin_micros = revenue_micros // 5
    return Order(
        event_id=event_id,
        ids=ids,
        event_time_ms=time_ms,
        advertiser=AIRLINE if product is None else SHOP,
        order_id=f"o-{event_id}",
        revenue_micros=revenue_micros,
        margin_micros=margin_micros,
        items=(thing,),
    )
