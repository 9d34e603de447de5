"""What a person and one advertiser have to do with each other, as a bid view keeps it.

Columns instead of a record for each thing: names and times stand side by side, newest first, and
each time is the distance from the one before it. So a flight search takes some 13 bytes instead of
41, and a reader that wants no more than the newest takes nothing else apart.
"""

from collections.abc import Iterator
from operator import sub
from typing import Final, TypeAlias

import msgspec

from models.units import SECOND_MS, date_of

__all__ = [
    "KEPT_PRODUCTS",
    "KEPT_SEARCHES",
    "BuyerStats",
    "Dealings",
    "Intent",
    "Things",
    "Trips",
    "dealings_of",
]

KEPT_SEARCHES: Final = 8
KEPT_PRODUCTS: Final = 8
"""As many can be advertised, beside whatever is in the cart: who has looked at eight newer things
hardly comes back to an older one, and a facet knows more. They halve a bid view."""


Trips: TypeAlias = tuple[list[str], list[int], list[int]]
"""Routes, epoch days of departure, and when they were searched, Unix seconds."""
Things: TypeAlias = tuple[list[str], list[bool], list[int]]
"""Items, whether each is in the cart, and when it was seen, Unix seconds."""


class Intent(msgspec.Struct, frozen=True, gc=False):
    """Something a person looked at and may be shown: a flight search, a product, a cart.

    Attributes:
        advertiser: whose.
        key: ``ORIGIN-DESTINATION/DATE`` of a search, the item of a product.
        seen_ms: the latest time, Unix ms.
        in_cart: it went into the cart.
    """

    advertiser: str
    key: str
    seen_ms: int
    in_cart: bool = False


class BuyerStats(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Orders with one advertiser, as the purchase and spend models want them.

    Attributes:
        order_count: orders in all.
        repeat_count: days with an order, less the first (BTYD frequency).
        first_order_s, last_order_s: Unix seconds.
        repeat_mean_micros: mean revenue of the repeat days; 0 without any.
    """

    order_count: int
    repeat_count: int
    first_order_s: int
    last_order_s: int
    repeat_mean_micros: int

    @property
    def first_order_ms(self) -> int:
        """The first order, Unix ms."""
        return self.first_order_s * SECOND_MS

    @property
    def last_order_ms(self) -> int:
        """The last order, Unix ms."""
        return self.last_order_s * SECOND_MS


class Dealings(msgspec.Struct, frozen=True, array_like=True):
    """All that shows of one advertiser; what was bought and not given back is left out.

    Attributes:
        buyer: None without an order.
        routes: ``ORIGIN-DESTINATION`` of the flight searches, newest first.
        days: their departures, epoch days.
        route_gaps_s: the newest search, Unix seconds; then how long before it each next one was.
        items: products viewed or put into the cart, newest first.
        item_gaps_s: as ``route_gaps_s``.
        carts: those of ``items`` that are in the cart: bit ``n`` stands for item ``n``.
    """

    buyer: BuyerStats | None = None
    routes: tuple[str, ...] = ()
    days: tuple[int, ...] = ()
    route_gaps_s: tuple[int, ...] = ()
    items: tuple[str, ...] = ()
    item_gaps_s: tuple[int, ...] = ()
    carts: int = 0

    def searches(self, advertiser: str) -> Iterator[Intent]:
        """The flight searches, newest first."""
        times = _times_ms(self.route_gaps_s)
        for route, day, seen_ms in zip(self.routes, self.days, times, strict=True):
            yield Intent(advertiser, f"{route}/{date_of(day)}", seen_ms)

    def products(self, advertiser: str) -> Iterator[Intent]:
        """The products, newest first."""
        carts = self.carts
        for item, seen_ms in zip(self.items, _times_ms(self.item_gaps_s), strict=True):
            yield Intent(advertiser, item, seen_ms, in_cart=bool(carts & 1))
            carts >>= 1


def dealings_of(buyer: BuyerStats | None, trips: Trips, things: Things) -> Dealings:
    """The dealings with one advertiser.

    Args:
        buyer: orders.
        trips: flight searches, newest first.
        things: products, newest first.
    """
    routes, days, searched_s = trips
    items, in_cart, seen_s = things
    carts = sum([1 << place for place, is_in in enumerate(in_cart) if is_in])
    return Dealings(
        buyer, tuple(routes), tuple(days), _gaps_s(searched_s), tuple(items), _gaps_s(seen_s), carts
    )


def _gaps_s(times_s: list[int]) -> tuple[int, ...]:
    """The first time, then the distances from each to the next one, which is older."""
    return (times_s[0], *map(sub, times_s, times_s[1:])) if times_s else ()


def _times_ms(gaps_s: tuple[int, ...]) -> Iterator[int]:
    time_s = 0
    for place, gap_s in enumerate(gaps_s):
        time_s = time_s - gap_s if place else gap_s
        yield time_s * SECOND_MS
