"""Orders with each advertiser, as they stand after every telling, refund and refusal.

Sources may tell of one order several times and in any order: the shop, the CRM, a refund before
its order. So the newest telling of each order is kept under its id, and beside it the newest word
on what was paid back of it and on what was refused, which state their total to date. Each of the
three is a map of its own that keeps its newest entries (:mod:`models.newest`), hence exact: no
order of events and no repetition changes anything. One map for all three would not be: an order
that was dropped came back with its refund, and without its price.

Counts, days, spend and what is owned are worked out from the orders that stand: those of which
something is left after refusals and refunds. What was told before the newest 256 orders with an
advertiser is forgotten, and a refund of it later moves no money; so is, of customers of several
advertisers, what was told before the newest 768 orders in all.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from models.events import Order, Refund, Refusal
from models.newest import join_newest, keep_newest
from models.units import DAY_S, SECOND_MS

__all__ = [
    "KEPT_BUYS",
    "KEPT_IN_ALL",
    "KEPT_ORDERS",
    "Purchases",
    "ToldOrder",
    "ToldRefund",
    "ToldRefusal",
    "Totals",
    "item_of",
    "join_purchases",
    "join_shops",
    "owned_items",
    "purchases_of",
    "short_name",
    "standing_orders",
    "totals",
]

KEPT_ORDERS: Final = 256
"""With one advertiser; as many refunds, and as many refusals."""
KEPT_BUYS: Final = 16
KEPT_GROUPS: Final = 8
FEW_ADVERTISERS: Final = 8
KEPT_IN_ALL: Final = (
    3 * KEPT_ORDERS, FEW_ADVERTISERS * KEPT_BUYS, FEW_ADVERTISERS * KEPT_GROUPS,
    FEW_ADVERTISERS * KEPT_BUYS, KEPT_ORDERS, KEPT_ORDERS,
)  # fmt: skip
"""Of each field of :class:`Purchases`, over all advertisers. More would not fit a facet: each entry
may be another advertiser's, and its name is longer than the rest."""
NAME_BYTES: Final = 12
"""Longer order ids are kept as so many characters of their digest."""
NAME_END: Final = "\n"
"""Between an order's name and one of its items. By item alone, what was bought twice and given back
once would be owned or not as its orders came; its order's fate would not be known."""


class ToldOrder(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """An order in its newest telling.

    Attributes:
        told_s: when it was told, Unix seconds.
        since_told_s: from then to the order's own time: 0, or less where it was told again. Takes
            a byte, where that time takes five.
        revenue_micros, margin_micros, cabin, seat: as in the event.
    """

    told_s: int
    since_told_s: int
    revenue_micros: int
    margin_micros: int
    cabin: str = ""
    seat: str = ""

    @property
    def ordered_s(self) -> int:
        """When it was ordered, Unix seconds."""
        return self.told_s + self.since_told_s


class ToldRefund(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The newest word on what was paid back of an order, in all.

    Attributes:
        told_s: when it was told, Unix seconds.
        refunded_micros, refunded_margin_micros: as in the event.
    """

    told_s: int
    refunded_micros: int
    refunded_margin_micros: int


class ToldRefusal(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The newest word on what was refused of an order, in all.

    Attributes:
        told_s: when it was told, Unix seconds.
        is_whole: all of the order.
        refused_micros, reason: as in the event.
    """

    told_s: int
    is_whole: bool
    refused_micros: int
    reason: str = ""


class Purchases(msgspec.Struct, frozen=True, array_like=True):
    """Everything kept of the orders with one advertiser.

    Attributes:
        orders, refunds, refusals: an order's short name to the newest word; the newest of each.
        items: what was bought to when, Unix seconds; by order and item, see :data:`NAME_END`.
        groups: of what was bought, to the latest time.
        returned: what was given back or refused to when; by order and item.
    """

    orders: dict[str, ToldOrder] = {}
    items: dict[str, int] = {}
    groups: dict[str, int] = {}
    returned: dict[str, int] = {}
    refunds: dict[str, ToldRefund] = {}
    refusals: dict[str, ToldRefusal] = {}


class Totals(msgspec.Struct, frozen=True, gc=False):
    """The kept orders with one advertiser in numbers.

    Attributes:
        order_count: orders that stand; money and times are theirs.
        refused_count: orders that were refused as a whole, be they told or not.
        net_micros: revenue less refunds and refusals.
        margin_micros: margin less what refunds took of it.
        day_count: days (UTC) with an order.
        first_order_ms, last_order_ms: Unix ms, whole seconds; 0 without an order.
        first_day_micros: net revenue of the first day, which the models leave out.
    """

    order_count: int
    refused_count: int
    net_micros: int
    margin_micros: int
    day_count: int
    first_order_ms: int
    last_order_ms: int
    first_day_micros: int


def purchases_of(event: Order | Refund | Refusal) -> Purchases:
    """What one event says about its advertiser's orders."""
    now_s, told_s = event.event_time_ms // SECOND_MS, event.version_ms // SECOND_MS
    name = short_name(event.order_id)
    named = [f"{name}{NAME_END}{item}" for item in event.items]
    items = join_newest({}, dict.fromkeys(named, now_s), KEPT_BUYS)
    match event:
        case Order():
            told = ToldOrder(
                told_s,
                now_s - told_s,
                event.revenue_micros,
                event.margin_micros,
                event.cabin,
                event.seat,
            )
            groups = join_newest({}, dict.fromkeys(event.groups, now_s), KEPT_GROUPS)
            return Purchases({name: told}, items, groups)
        case Refund():
            refund = ToldRefund(told_s, event.refunded_micros, event.refunded_margin_micros)
            return Purchases(returned=items, refunds={name: refund})
        case Refusal():
            refusal = ToldRefusal(told_s, not event.items, event.refused_micros, event.reason)
            return Purchases(returned=items, refusals={name: refusal})


def short_name(order_id: str) -> str:
    """The name under which an order is kept: its id, or 12 characters of an odd id's digest.

    Odd are ids that are long, and those with a line break, which ends the name in ``items``.
    """
    encoded = order_id.encode()
    if len(encoded) <= NAME_BYTES and NAME_END not in order_id:
        return order_id
    return urlsafe_b64encode(hashlib.blake2b(encoded, digest_size=9).digest()).decode()


def join_shops(a: dict[str, Purchases], b: dict[str, Purchases]) -> dict[str, Purchases]:
    """The orders of both, by advertiser: the newest with each, and of those the newest in all.

    That is exact, too. What is dropped of all has :data:`KEPT_IN_ALL` newer entries among those
    kept with each, and what is dropped of one advertiser has its full number of newer ones there.
    Further events only add entries and make them newer, and where one of the newer is dropped for
    its advertiser's limit, that advertiser has its full number of still newer ones, so as many as
    before are ahead. So what is dropped of a part would be dropped of the whole, and what the whole
    keeps no part drops.
    """
    if not b:
        return a
    joined = dict(a)
    for name, purchases in b.items():
        joined[name] = join_purchases(joined[name], purchases) if name in joined else purchases
    # Nearly everybody is far below all limits, and this runs for every view that is written.
    told = sum([len(one.orders) + len(one.refunds) + len(one.refusals) for one in joined.values()])
    if told <= KEPT_ORDERS and len(joined) <= FEW_ADVERTISERS:
        return joined
    return _newest_in_all(joined)


def _newest_in_all(shops: dict[str, Purchases]) -> dict[str, Purchases]:
    fields = zip(*map(msgspec.structs.astuple, shops.values()), strict=True)
    kept = [
        keep_newest(dict(zip(shops, maps, strict=True)), limit)
        for maps, limit in zip(fields, KEPT_IN_ALL, strict=True)
    ]
    rows = zip(*(maps.values() for maps in kept), strict=True)
    return {name: Purchases(*row) for name, row in zip(shops, rows, strict=True) if any(row)}


def join_purchases(a: Purchases, b: Purchases) -> Purchases:
    """What both know of the orders with one advertiser."""
    return Purchases(
        join_newest(a.orders, b.orders, KEPT_ORDERS),
        join_newest(a.items, b.items, KEPT_BUYS),
        join_newest(a.groups, b.groups, KEPT_GROUPS),
        join_newest(a.returned, b.returned, KEPT_BUYS),
        join_newest(a.refunds, b.refunds, KEPT_ORDERS),
        join_newest(a.refusals, b.refusals, KEPT_ORDERS),
    )


def standing_orders(purchases: Purchases) -> list[ToldOrder]:
    """The orders that stand, oldest first, less what was paid back or refused of them."""
    return sorted(_standing(purchases), key=lambda one: (one.ordered_s, one))


def _standing(purchases: Purchases) -> Iterable[ToldOrder]:
    if purchases.refunds or purchases.refusals:
        return _less_taken_back(purchases)
    return purchases.orders.values()


def _less_taken_back(purchases: Purchases) -> Iterator[ToldOrder]:
    for name, told in purchases.orders.items():
        if not _is_undone(purchases, name):
            refund = purchases.refunds.get(name, NO_REFUND)
            yield ToldOrder(
                told.told_s,
                told.since_told_s,
                told.revenue_micros - _taken_back_micros(purchases, name),
                told.margin_micros - refund.refunded_margin_micros,
                told.cabin,
                told.seat,
            )


def _taken_back_micros(purchases: Purchases, name: str) -> int:
    refund = purchases.refunds.get(name, NO_REFUND)
    return refund.refunded_micros + purchases.refusals.get(name, NO_REFUSAL).refused_micros


def _is_undone(purchases: Purchases, name: str) -> bool:
    """Whether an order was refused as a whole, or all of its price was paid back or refused.

    One that cost nothing, of which nothing can be paid back, stands.
    """
    if purchases.refusals.get(name, NO_REFUSAL).is_whole:
        return True
    told, taken_micros = purchases.orders.get(name), _taken_back_micros(purchases, name)
    return told is not None and 0 < taken_micros >= told.revenue_micros


NO_REFUND: Final = ToldRefund(0, 0, 0)
NO_REFUSAL: Final = ToldRefusal(0, is_whole=False, refused_micros=0)


def item_of(name: str) -> str:
    """The item of a key of :attr:`Purchases.items` or ``returned``."""
    return name.partition(NAME_END)[2]


def owned_items(purchases: Purchases) -> set[str]:
    """Items of orders that stand, less those that were given back or refused.

    An item that was bought twice and given back once is owned.
    """
    names: Iterable[str] = purchases.items
    if purchases.refunds or purchases.refusals:
        names = [
            name
            for name in names
            if name not in purchases.returned
            and not _is_undone(purchases, name.partition(NAME_END)[0])
        ]
    return {item_of(name) for name in names}


def totals(purchases: Purchases) -> Totals:
    """The orders in numbers."""
    net_micros = margin_micros = order_count = first_s = last_s = 0
    days: dict[int, int] = {}
    for told in _standing(purchases):  # in one pass: this runs for every view that is written
        ordered_s, paid_micros = told.told_s + told.since_told_s, told.revenue_micros
        net_micros += paid_micros
        margin_micros += told.margin_micros
        day = ordered_s // DAY_S
        days[day] = days.get(day, 0) + paid_micros
        first_s = ordered_s if not order_count or ordered_s < first_s else first_s
        last_s = max(last_s, ordered_s)
        order_count += 1
    return Totals(
        order_count=order_count,
        refused_count=sum([one.is_whole for one in purchases.refusals.values()]),
        net_micros=net_micros,
        margin_micros=margin_micros,
        day_count=len(days),
        first_order_ms=first_s * SECOND_MS,
        last_order_ms=last_s * SECOND_MS,
        first_day_micros=days[min(days)] if days else 0,
    )
