"""The persons of the bid benchmarks: four identifiers each, of which a request carries three.

A request has four identifiers and three of them lead to one person, as in what is published of
exchanges' traffic: the cookie that the exchange gives back, the device's advertising id, an
extended id of the device, and one of a vendor that we know nothing of.

Persons differ by type: so many histories are folded by the code that folds them in production, and
person ``i`` is a copy of one of them with identifiers of its own.
"""

import hashlib
import random
import uuid
from collections.abc import Iterator
from typing import Final, NamedTuple

from models.events import CartAdd, Event, FlightSearch, Order, PageView, ProductView, SignIn
from models.identifiers import Namespace, NodeId, Pepper, eid
from models.units import DAY_MS, HOUR_MS, MICROS, AdvertiserId, date_of

__all__ = [
    "AIRLINES", "ITEMS", "ROUTES", "SEARCH_DAYS", "TYPES", "Audience", "Ids", "airline", "item",
    "route", "shop",
]  # fmt: skip

TYPES: Final = 32
"""Different histories."""
EVENTS: Final = 50
"""Of each history."""
ADVERTISERS_KNOWN: Final = 3
"""Airlines and shops with which a person has to do, of the first ``AIRLINES`` of each kind."""
AIRLINES: Final = 10
ITEMS: Final = 200
ROUTES: Final = 20
SEARCH_DAYS: Final = 20
"""Trips are searched for days ahead: from 3 to so many more."""
MOST_ORDERS: Final = 6
KNOWN_VENDOR: Final = "ids.example"
OTHER_VENDOR: Final = "elsewhere.example"
PERSON_BASED: Final = 3
AIRPORTS: Final = ("AMS", "BCN", "CDG", "FCO", "JFK", "LHR", "LIS", "ORD", "SFO", "ZRH")


class Ids(NamedTuple):
    """A person's identifiers as exchanges send them, and one that nobody knows."""

    cookie: str
    ifa: str
    known_eid: str
    other_eid: str


def airline(number: int) -> AdvertiserId:
    """An advertiser with flights."""
    return AdvertiserId(f"air-{number}")


def shop(number: int) -> AdvertiserId:
    """An advertiser with products."""
    return AdvertiserId(f"shop-{number}")


def item(number: int) -> str:
    """A product of any shop."""
    return f"item-{number}"


def route(number: int) -> tuple[str, str]:
    """Origin and destination, of ``ROUTES``."""
    return AIRPORTS[number % 10], AIRPORTS[(number + 1 + number // 10) % 10]


class Audience:
    """A population that is a function of its seed and of the present.

    Args:
        seed: the same one gives the same identifiers and histories.
        pepper: hashes identifiers as the bidder does.
        now_ms: what persons did lately they did before it, Unix ms.
    """

    def __init__(self, seed: int, pepper: Pepper, now_ms: int) -> None:
        self._key = str(seed).encode()
        self._seed = seed
        self._pepper = pepper
        self._now_ms = now_ms

    def ids(self, index: int) -> Ids:
        """The identifiers of person ``index``."""
        digest = hashlib.blake2b(str(index).encode(), digest_size=64, key=self._key).digest()
        parts = [digest[at : at + 16] for at in range(0, 64, 16)]
        return Ids(parts[0].hex(), str(uuid.UUID(bytes=parts[1])), parts[2].hex(), parts[3].hex())

    def nodes(self, index: int) -> tuple[NodeId, ...]:
        """The nodes that belong to a person: CRM id, cookie, advertising id, extended id."""
        ids = self.ids(index)
        found = [
            self._pepper.node(Namespace.CRM, f"bench-{self._seed}-{index}"),
            self._pepper.node(Namespace.COOKIE, ids.cookie),
            self._pepper.node(Namespace.IFA, ids.ifa),
            self._pepper.node(*eid(KNOWN_VENDOR, ids.known_eid, 1)),
        ]
        return tuple(node for node in found if node is not None)

    def history(self, kind: int, nodes: tuple[NodeId, ...]) -> Iterator[Event]:
        """What persons of one of the ``TYPES`` have done: signed in, ordered, browsed."""
        rng = random.Random(self._seed * TYPES + kind)
        crm, *devices = nodes
        begun_ms = self._now_ms - 60 * DAY_MS
        known = _advertisers(rng, kind)
        for place, device in enumerate(devices):
            yield SignIn(
                event_id=f"in-{place}", ids=(device, crm), event_time_ms=begun_ms + place,
                advertiser=known[0],
            )  # fmt: skip
        orders = rng.randint(0, MOST_ORDERS)
        for number in range(orders):
            yield _order(rng, crm, rng.choice(known), number, begun_ms + number * 7 * DAY_MS)
        for number in range(EVENTS - orders - len(devices)):
            at_ms = self._now_ms - 3 * DAY_MS + number * HOUR_MS
            # Each advertiser first sees something that it can sell, so everybody can be bid for.
            yield _browse(rng, rng.choice(devices), known[number % len(known)], at_ms, number)


def _advertisers(rng: random.Random, kind: int) -> list[AdvertiserId]:
    """One of the first pair, which every catalogue has, and two others."""
    first = (airline, shop)[kind % 2](0)
    others = [made(number) for made in (airline, shop) for number in range(1, AIRLINES)]
    return [first, *rng.sample(others, ADVERTISERS_KNOWN - 1)]


def _order(
    rng: random.Random, crm: NodeId, advertiser: AdvertiserId, number: int, at_ms: int
) -> Order:
    return Order(
        event_id=f"order-{number}", ids=(crm,), event_time_ms=at_ms, channel="shop",
        advertiser=advertiser, order_id=f"{number}", revenue_micros=rng.randint(10, 200) * MICROS,
        margin_micros=5 * MICROS, items=(item(rng.randrange(ITEMS)),),
    )  # fmt: skip


def _browse(
    rng: random.Random, device: NodeId, advertiser: AdvertiserId, at_ms: int, number: int
) -> Event:
    name, draw = f"{rng.getrandbits(48):012x}", rng.random()
    if number >= ADVERTISERS_KNOWN and draw < 0.5:
        return PageView(
            event_id=name, ids=(device,), event_time_ms=at_ms, advertiser=advertiser, page="/sale"
        )
    if advertiser.startswith("air-"):
        origin, destination = route(rng.randrange(ROUTES))
        # Counted from the last event: what was searched for first departs after the present, too.
        depart_ms = at_ms + (6 + rng.randrange(SEARCH_DAYS)) * DAY_MS
        return FlightSearch(
            event_id=name, ids=(device,), event_time_ms=at_ms, advertiser=advertiser,
            origin=origin, destination=destination, depart_date=date_of(depart_ms // DAY_MS),
        )  # fmt: skip
    kind = CartAdd if draw > 0.95 else ProductView
    return kind(
        event_id=name, ids=(device,), event_time_ms=at_ms, advertiser=advertiser,
        item=item(rng.randrange(ITEMS)),
    )  # fmt: skip
