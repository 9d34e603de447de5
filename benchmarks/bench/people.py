"""Synthetic persons of three identifiers, and what they do: enough variety to be no best case.

Person ``i`` has a cookie, an e-mail address and a CRM id. Strangers are cookies that nobody has
signed in on yet: a sign-in merges one into a person.
"""

import base64
import hashlib
import random
from collections.abc import Iterator
from typing import Final, NamedTuple

from models.events import (
    CartAdd,
    CrmCard,
    Event,
    FlightSearch,
    Order,
    PageView,
    ProductView,
    SignIn,
)
from models.identifiers import NodeId
from models.units import DAY_MS, MICROS, AdvertiserId

__all__ = ["EPOCH_MS", "ORDERS", "SHOP", "People", "Trio"]

EPOCH_MS: Final = 1_780_000_000_000
"""When the synthetic history begins, Unix ms: a constant, so a seed gives the same bytes."""

SHOP, AIRLINE = AdvertiserId("shop"), AdvertiserId("airline")
AIRPORTS: Final = ("AMS", "BCN", "CDG", "FCO", "JFK", "LHR", "LIS", "ORD", "SFO", "ZRH")
ITEMS: Final = 1000
ORDERS: Final = 3


class Trio(NamedTuple):
    """One person's identifiers."""

    cookie: NodeId
    email: NodeId
    crm: NodeId


class People:
    """A population that is a function of its seed."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()

    def node(self, letter: str, name: str) -> NodeId:
        """An identifier; the digest of its name is as good as that of a real value."""
        digest = hashlib.blake2b(f"{letter}/{name}".encode(), digest_size=16, key=self._key)
        return NodeId(letter + base64.urlsafe_b64encode(digest.digest())[:22].decode())

    def trio(self, index: int) -> Trio:
        """The identifiers of person ``index``."""
        name = str(index)
        return Trio(self.node("k", name), self.node("e", name), self.node("c", name))

    def stranger(self, index: int) -> NodeId:
        """A cookie of its own."""
        return self.node("k", f"stranger/{index}")

    def history(self, trio: Trio, rng: random.Random, count: int) -> Iterator[Event]:
        """``count`` events of one person, 5 or more: card, sign-in, orders, then browsing."""
        at = EPOCH_MS
        yield CrmCard(
            event_id="card", ids=(trio.crm, trio.email), event_time_ms=at, city="Turin", tier="gold"
        )
        yield SignIn(
            event_id="in", ids=(trio.cookie, trio.crm), event_time_ms=at + 1, advertiser=SHOP
        )
        for number in range(ORDERS):
            yield Order(
                event_id=f"order-{number}", ids=(trio.crm,), event_time_ms=at + number * 9 * DAY_MS,
                channel="shop", advertiser=SHOP, order_id=f"{number}-{rng.randrange(10**9)}",
                revenue_micros=rng.randint(10, 200) * MICROS, margin_micros=5 * MICROS,
                items=(_item(rng),),
            )  # fmt: skip
        for number in range(count - ORDERS - 2):
            node = trio.email if number % 8 == 0 else trio.cookie
            yield browse(rng, node, at + 30 * DAY_MS + number * 1000)

    def first_visit(self, stranger: NodeId, rng: random.Random) -> Event:
        """What is known of a stranger."""
        return browse(rng, stranger, EPOCH_MS)

    def merge(self, stranger: NodeId, trio: Trio, at_ms: int) -> Event:
        """The sign-in that makes the stranger's cookie one more of the person's."""
        return SignIn(
            event_id=stranger, ids=(stranger, trio.crm), event_time_ms=at_ms, advertiser=SHOP
        )

    def plain(self, rng: random.Random, trio: Trio, at_ms: int) -> Event:
        """One event of one identifier: mostly browsing, now and then an opened e-mail."""
        return browse(rng, trio.email if rng.random() < 0.1 else trio.cookie, at_ms)


def browse(rng: random.Random, node: NodeId, at_ms: int) -> Event:
    """A page, a product, a search or a cart, in the proportions of a shop's traffic."""
    draw, name = rng.random(), f"{rng.getrandbits(48):012x}"
    if draw < 0.5:
        return PageView(
            event_id=name, ids=(node,), event_time_ms=at_ms, advertiser=SHOP, page="/sale"
        )
    if draw < 0.8:
        return ProductView(
            event_id=name, ids=(node,), event_time_ms=at_ms, advertiser=SHOP, item=_item(rng)
        )
    if draw < 0.95:
        origin, destination = rng.sample(AIRPORTS, 2)
        return FlightSearch(
            event_id=name, ids=(node,), event_time_ms=at_ms, advertiser=AIRLINE, origin=origin,
            destination=destination, depart_date=f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}",
        )  # fmt: skip
    return CartAdd(
        event_id=name, ids=(node,), event_time_ms=at_ms, advertiser=SHOP, item=_item(rng)
    )


def _item(rng: random.Random) -> str:
    return f"item-{rng.randrange(ITEMS)}"
