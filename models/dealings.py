"""What a person and one advertiser have to do with each other, as a bid view keeps it.

Columns instead of a record for each thing: names and times stand side by side, searches with the
newest first and products with the top interest first, and each time is the distance from the one
before it. So a flight search takes some 13 bytes instead of 41, and a reader that wants no more
than the first takes nothing else apart.
"""

from collections.abc import Iterator
from itertools import accumulate
from operator import sub
from typing import Final

import msgspec

from models.units import DAY_S, SECOND_MS, date_of

__all__ = [
    "KEPT_PRODUCTS",
    "KEPT_SEARCHES",
    "BuyerStats",
    "Dealings",
    "Intent",
    "Known",
    "dealings_of",
]

KEPT_SEARCHES: Final = 8
KEPT_PRODUCTS: Final = 8
"""As many can be advertised, beside whatever is in the cart: whoever wants eight other things more
hardly comes back to one, and a facet knows more."""


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
        net_micros: revenue of all orders, less what was given back.
    """

    order_count: int
    repeat_count: int
    first_order_s: int
    last_order_s: int
    repeat_mean_micros: int
    net_micros: int = 0

    @property
    def first_order_ms(self) -> int:
        """The first order, Unix ms."""
        return self.first_order_s * SECOND_MS

    @property
    def last_order_ms(self) -> int:
        """The last order, Unix ms."""
        return self.last_order_s * SECOND_MS


class Known(msgspec.Struct, gc=False):
    """What is known of one advertiser, in the order of :class:`Dealings`, while it is collected.

    Attributes:
        buyer: None without an order.
        routes, days_ahead, searched_s: of each flight search the route, the days from then to the
            departure, and when it was searched, Unix seconds.
        items, seen_s: of each product its name, and when it was seen, Unix seconds.
        carts, tier: as in :class:`Dealings`.
    """

    buyer: BuyerStats | None = None
    routes: list[str] = []
    days_ahead: list[int] = []
    searched_s: list[int] = []
    items: list[str] = []
    seen_s: list[int] = []
    carts: int = 0
    tier: str = ""


class Dealings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All that shows of one advertiser; what was bought and not given back is left out.

    Attributes:
        buyer: None without an order.
        routes: ``ORIGIN-DESTINATION`` of the flight searches, newest first.
        days_ahead: of each the days from the search (UTC) to the departure.
        route_gaps_s: the newest search, Unix seconds; then how long before it each next one was.
        items: products viewed or put into the cart, the top interest first
            (:func:`models.looks.looks`).
        item_gaps_s: as ``route_gaps_s``; below 0 where the next one is newer.
        carts: those of ``items`` that are in the cart: bit ``n`` stands for item ``n``.
        tier: in the advertiser's loyalty programme, or on the CRM's card.
    """

    buyer: BuyerStats | None = None
    routes: tuple[str, ...] = ()
    days_ahead: tuple[int, ...] = ()
    route_gaps_s: tuple[int, ...] = ()
    items: tuple[str, ...] = ()
    item_gaps_s: tuple[int, ...] = ()
    carts: int = 0
    tier: str = ""

    def filled(self) -> "Dealings | tuple[object, ...]":
        """The fields up to the last that holds something, by kinds: what is worth writing."""
        if self.tier:
            return self
        searched = self.buyer, self.routes, self.days_ahead, self.route_gaps_s
        if self.carts:
            return (*searched, self.items, self.item_gaps_s, self.carts)
        if self.items:
            return (*searched, self.items, self.item_gaps_s)
        return searched if self.routes else (self.buyer,)

    @property
    def searched_s(self) -> tuple[int, ...]:
        """When each of ``routes`` was searched, Unix seconds."""
        return tuple(_times_s(self.route_gaps_s))

    @property
    def seen_s(self) -> tuple[int, ...]:
        """When each of ``items`` was seen, Unix seconds."""
        return tuple(_times_s(self.item_gaps_s))

    def searches(self, advertiser: str) -> Iterator[Intent]:
        """The flight searches, newest first."""
        for trip, seen_s in self.trips():
            yield Intent(advertiser, trip, seen_s * SECOND_MS)

    def trips(self) -> Iterator[tuple[str, int]]:
        """The flight searches, newest first: the trip, and when it was searched, Unix seconds."""
        times_s = _times_s(self.route_gaps_s)
        for route, ahead, seen_s in zip(self.routes, self.days_ahead, times_s, strict=True):
            yield f"{route}/{date_of(seen_s // DAY_S + ahead)}", seen_s

    def products(self, advertiser: str) -> Iterator[Intent]:
        """The products, the top interest first."""
        for item, seen_s, in_cart in self.looked_at():
            yield Intent(advertiser, item, seen_s * SECOND_MS, in_cart=in_cart)

    def looked_at(self) -> Iterator[tuple[str, int, bool]]:
        """The products, the top interest first: each with its time, Unix seconds, and the cart."""
        carts = self.carts
        for item, seen_s in zip(self.items, _times_s(self.item_gaps_s), strict=True):
            yield item, seen_s, bool(carts & 1)
            carts >>= 1


def dealings_of(known: Known) -> Dealings:
    """The dealings with one advertiser, packed."""
    return Dealings(
        known.buyer,
        tuple(known.routes),
        tuple(known.days_ahead),
        _gaps_s(known.searched_s),
        tuple(known.items),
        _gaps_s(known.seen_s),
        known.carts,
        known.tier,
    )


def _gaps_s(times_s: list[int]) -> tuple[int, ...]:
    """The first time, then how long before each the next one was."""
    return (times_s[0], *map(sub, times_s, times_s[1:])) if times_s else ()


def _times_s(gaps_s: tuple[int, ...]) -> Iterator[int]:
    """The times that :func:`_gaps_s` was told."""
    return accumulate(gaps_s, sub)
