"""Orders with each advertiser, as they stand after every telling, refund and refusal.

Sources may tell of one order several times and in any order: the shop, the CRM, a refund before
its order. So the newest telling of each order is kept under its id, and beside it the newest word
on what was paid back of it and on what was refused, which state their total to date. Each of the
three is a map of its own that keeps its newest entries (:mod:`models.newest`), hence exact: no
order of events and no repetition changes anything. One map for all three would not be: an order
that was dropped came back with its refund, and without its price.

Counts, days and spend are worked out from the orders that stand. What is older than the newest
256 orders with an advertiser is forgotten, and a refund of it later moves no money.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from models.events import Order, Refund, Refusal
from models.newest import join_newest
from models.units import DAY_S, SECOND_MS

__all__ = [
    "KEPT_ADVERTISERS",
    "KEPT_BUYS",
    "KEPT_ORDERS",
    "Purchases",
    "ToldOrder",
    "ToldRefund",
    "ToldRefusal",
    "Totals",
    "join_purchases",
    "join_shops",
    "purchases_of",
    "short_name",
    "standing_orders",
    "totals",
]

KEPT_ORDERS: Final = 256
"""With one advertiser; as many refunds, and as many refusals."""
KEPT_BUYS: Final = 16
KEPT_GROUPS: Final = 8
KEPT_ADVERTISERS: Final = 8
NAME_BYTES: Final = 12
"""Longer order ids are kept as so many characters of their digest."""


class ToldOrder(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """An order: its newest telling, at its latest time.

    Attributes:
        ordered_s: when, Unix seconds.
        revenue_micros, margin_micros, cabin, seat: as in the event.
    """

    ordered_s: int
    revenue_micros: int
    margin_micros: int
    cabin: str = ""
    seat: str = ""


class ToldRefund(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The newest word on what was paid back of an order, in all.

    Attributes:
        told_s: when, Unix seconds.
        refunded_micros, refunded_margin_micros: as in the event.
    """

    told_s: int
    refunded_micros: int
    refunded_margin_micros: int


class ToldRefusal(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The newest word on what was refused of an order, in all.

    Attributes:
        told_s: when, Unix seconds.
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
        items, groups: what was bought, to the latest time, Unix seconds.
        returned: items given back or refused, to the latest time.
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
        order_count: orders of which not all was refused; money and times are theirs.
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
    now_s = event.event_time_ms // SECOND_MS
    name = short_name(event.order_id)
    items = join_newest({}, dict.fromkeys(event.items, now_s), KEPT_BUYS)
    match event:
        case Order():
            told = ToldOrder(
                now_s, event.revenue_micros, event.margin_micros, event.cabin, event.seat
            )
            groups = join_newest({}, dict.fromkeys(event.groups, now_s), KEPT_GROUPS)
            return Purchases({name: told}, items, groups)
        case Refund():
            refund = ToldRefund(now_s, event.refunded_micros, event.refunded_margin_micros)
            return Purchases(returned=items, refunds={name: refund})
        case Refusal():
            refusal = ToldRefusal(now_s, not event.items, event.refused_micros, event.reason)
            return Purchases(returned=items, refusals={name: refusal})


def short_name(order_id: str) -> str:
    """The name under which an order is kept: its id, or 12 characters of a long id's digest."""
    encoded = order_id.encode()
    if len(encoded) <= NAME_BYTES:
        return order_id
    return urlsafe_b64encode(hashlib.blake2b(encoded, digest_size=9).digest()).decode()


def join_shops(a: dict[str, Purchases], b: dict[str, Purchases]) -> dict[str, Purchases]:
    """The orders of both, by advertiser.

    From the eighth advertiser on, what is older than the newest word of the eighth is forgotten,
    with whomever. To forget the ninth instead would depend on the order of events: its orders
    would be gone, or not, when it is heard of again.
    """
    if not b:
        return a
    joined = dict(a)
    for name, purchases in b.items():
        joined[name] = join_purchases(joined[name], purchases) if name in joined else purchases
    if len(joined) < KEPT_ADVERTISERS:
        return joined
    heard = sorted((_newest_word_s(one), name) for name, one in joined.items())
    oldest_s, last = heard[-KEPT_ADVERTISERS]
    return {
        name: _since(joined[name], oldest_s if name >= last else oldest_s + 1)
        for _, name in heard[-KEPT_ADVERTISERS:]
    }


def _newest_word_s(purchases: Purchases) -> int:
    return max(
        max((one.ordered_s for one in purchases.orders.values()), default=0),
        max((one.told_s for one in purchases.refunds.values()), default=0),
        max((one.told_s for one in purchases.refusals.values()), default=0),
    )


def _since(purchases: Purchases, oldest_s: int) -> Purchases:
    return Purchases(
        {name: one for name, one in purchases.orders.items() if one.ordered_s >= oldest_s},
        _times_since(purchases.items, oldest_s),
        _times_since(purchases.groups, oldest_s),
        _times_since(purchases.returned, oldest_s),
        {name: one for name, one in purchases.refunds.items() if one.told_s >= oldest_s},
        {name: one for name, one in purchases.refusals.items() if one.told_s >= oldest_s},
    )


def _times_since(times: dict[str, int], oldest_s: int) -> dict[str, int]:
    return {name: time_s for name, time_s in times.items() if time_s >= oldest_s}


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
    """The orders that were bought, oldest first, less what was paid back or refused of them."""
    return sorted(_standing(purchases))


def _standing(purchases: Purchases) -> Iterable[ToldOrder]:
    if purchases.refunds or purchases.refusals:
        return _less_taken_back(purchases)
    return purchases.orders.values()


def _less_taken_back(purchases: Purchases) -> Iterator[ToldOrder]:
    for name, told in purchases.orders.items():
        refund = purchases.refunds.get(name, NO_REFUND)
        refusal = purchases.refusals.get(name, NO_REFUSAL)
        if not refusal.is_whole:
            yield ToldOrder(
                told.ordered_s,
                told.revenue_micros - refund.refunded_micros - refusal.refused_micros,
                told.margin_micros - refund.refunded_margin_micros,
                told.cabin,
                told.seat,
            )


NO_REFUND: Final = ToldRefund(0, 0, 0)
NO_REFUSAL: Final = ToldRefusal(0, is_whole=False, refused_micros=0)


def totals(purchases: Purchases) -> Totals:
    """The orders in numbers."""
    net_micros = margin_micros = order_count = first_s = last_s = 0
    days: dict[int, int] = {}
    for told in _standing(purchases):  # in one pass: this runs for every view that is written
        ordered_s, paid_micros = told.ordered_s, told.revenue_micros
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
