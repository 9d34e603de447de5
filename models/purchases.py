"""Orders with one advertiser, as they stand after every telling, refund and refusal.

Sources may tell of one order several times and in any order: the shop, the CRM, a refund before
its order. So an order is kept under its id as maxima: the telling with the latest time stands,
and refunds and refusals state their total to date. Maxima need no order, and everything else
(counts, days, spend) is worked out from the orders that stand.

Limits, exact up to here: the newest 32 orders stand by id. Older ones are only summed, where each
counts as a purchase day of its own, and a telling, refund or refusal of an order that comes when
it has been summed already adds to the sums.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

import msgspec

from models.events import Order, Refund, Refusal
from models.newest import join_newest
from models.units import DAY_S, SECOND_MS

__all__ = [
    "KEPT_BUYS",
    "KEPT_ORDERS",
    "Purchases",
    "SummedOrders",
    "ToldOrder",
    "Totals",
    "join_purchases",
    "newest_word_s",
    "purchases_of",
    "short_name",
    "standing_orders",
    "totals",
]

KEPT_ORDERS: Final = 32
KEPT_BUYS: Final = 16
KEPT_GROUPS: Final = 8
NAME_LENGTH: Final = 12
"""Longer order ids are kept as so many characters of their digest."""

NOT, PARTLY, WHOLLY = 0, 1, 2


class ToldOrder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An order as it stands.

    Attributes:
        ordered_s: when, Unix seconds; 0 until the order itself is told.
        revenue_micros, margin_micros, cabin, seat: of the telling that stands.
        later_s: seconds from then to the newest word on this order; orders the kept ones.
        refunded_micros, refunded_margin_micros: in all.
        refused: 0 not, 1 partly, 2 wholly.
        refused_micros: in all.
        reason: of the refusal.
    """

    ordered_s: int = 0
    revenue_micros: int = 0
    margin_micros: int = 0
    cabin: str = ""
    seat: str = ""
    later_s: int = 0
    refunded_micros: int = 0
    refunded_margin_micros: int = 0
    refused: int = NOT
    refused_micros: int = 0
    reason: str = ""

    @property
    def net_micros(self) -> int:
        """What the customer has paid in the end."""
        if self.refused == WHOLLY:
            return 0
        return self.revenue_micros - self.refunded_micros - self.refused_micros

    @property
    def net_margin_micros(self) -> int:
        """What is left of the margin."""
        return 0 if self.refused == WHOLLY else self.margin_micros - self.refunded_margin_micros

    @property
    def is_bought(self) -> bool:
        """Whether there is an order, and not all of it was refused."""
        return self.ordered_s > 0 and self.refused != WHOLLY


class SummedOrders(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Orders older than those that stand by id; money is net.

    Attributes:
        order_count, refused_count: bought, and wholly refused.
        first_s, first_micros: the earliest bought one.
        last_s: the latest bought one.
    """

    order_count: int = 0
    refused_count: int = 0
    net_micros: int = 0
    margin_micros: int = 0
    refunded_micros: int = 0
    first_s: int = 0
    first_micros: int = 0
    last_s: int = 0


class Purchases(msgspec.Struct, frozen=True, array_like=True):
    """Everything kept of the orders with one advertiser.

    Attributes:
        orders: order's short name to the order, the newest 32.
        items, groups: what was bought, to the latest time, Unix seconds.
        returned: items given back or refused, to the latest time.
        older: the sums of the orders before.
    """

    orders: dict[str, ToldOrder] = {}
    items: dict[str, int] = {}
    groups: dict[str, int] = {}
    returned: dict[str, int] = {}
    older: SummedOrders = SummedOrders()


class Totals(msgspec.Struct, frozen=True, gc=False):
    """The orders with one advertiser in numbers; wholly refused ones are in ``refused_count`` only.

    Attributes:
        order_count, refused_count: orders.
        net_micros: revenue less refunds and refusals.
        margin_micros: the same for the margin.
        refunded_micros: paid back, in all.
        day_count: days (UTC) with an order.
        first_order_ms, last_order_ms: Unix ms, whole seconds; 0 without an order.
        first_day_micros: net revenue of the first day, which the models leave out.
    """

    order_count: int
    refused_count: int
    net_micros: int
    margin_micros: int
    refunded_micros: int
    day_count: int
    first_order_ms: int
    last_order_ms: int
    first_day_micros: int


def purchases_of(event: Order | Refund | Refusal) -> Purchases:
    """What one event says about its advertiser's orders."""
    now_s = max(1, event.event_time_ms // SECOND_MS)  # 0 means that there is no order yet
    name, items = short_name(event.order_id), dict.fromkeys(event.items, now_s)
    if isinstance(event, Order):
        ordered = ToldOrder(
            now_s, event.revenue_micros, event.margin_micros, event.cabin, event.seat
        )
        groups = join_newest({}, dict.fromkeys(event.groups, now_s), KEPT_GROUPS)
        return Purchases({name: ordered}, join_newest({}, items, KEPT_BUYS), groups)
    return Purchases({name: _taken_back(event, now_s)}, returned=join_newest({}, items, KEPT_BUYS))


def _taken_back(event: Refund | Refusal, now_s: int) -> ToldOrder:
    if isinstance(event, Refund):
        return ToldOrder(
            later_s=now_s,
            refunded_micros=event.refunded_micros,
            refunded_margin_micros=event.refunded_margin_micros,
        )
    return ToldOrder(
        later_s=now_s,
        refused=PARTLY if event.items else WHOLLY,
        refused_micros=event.refused_micros,
        reason=event.reason,
    )


def short_name(order_id: str) -> str:
    """The name under which an order is kept: its id, or 12 characters of a long id's digest."""
    if len(order_id) <= NAME_LENGTH:
        return order_id
    digest = hashlib.blake2b(order_id.encode(), digest_size=9).digest()
    return urlsafe_b64encode(digest).decode()


def newest_word_s(purchases: Purchases) -> int:
    """When an order with this advertiser was last heard of, Unix seconds."""
    return max(map(_touched_s, purchases.orders.values()), default=0)


def join_purchases(a: Purchases, b: Purchases) -> Purchases:
    """The orders of both, each once."""
    orders = dict(a.orders)
    for name, told in b.orders.items():
        known = orders.get(name)
        orders[name] = told if known is None else _join_told(known, told)
    older = _add(a.older, b.older)
    if len(orders) > KEPT_ORDERS:
        by_age = sorted(orders.items(), key=lambda entry: (_touched_s(entry[1]), entry[0]))
        for _, told in by_age[:-KEPT_ORDERS]:
            older = _add(older, _summed(told))
        orders = dict(by_age[-KEPT_ORDERS:])
    return Purchases(
        orders,
        join_newest(a.items, b.items, KEPT_BUYS),
        join_newest(a.groups, b.groups, KEPT_GROUPS),
        join_newest(a.returned, b.returned, KEPT_BUYS),
        older,
    )


def _touched_s(told: ToldOrder) -> int:
    return told.ordered_s + told.later_s


def _join_told(a: ToldOrder, b: ToldOrder) -> ToldOrder:
    standing = max(a, b, key=_telling)
    refused, reason = max((a.refused, a.reason), (b.refused, b.reason))
    return ToldOrder(
        *_telling(standing),
        later_s=max(_touched_s(a), _touched_s(b)) - standing.ordered_s,
        refunded_micros=max(a.refunded_micros, b.refunded_micros),
        refunded_margin_micros=max(a.refunded_margin_micros, b.refunded_margin_micros),
        refused=refused,
        refused_micros=max(a.refused_micros, b.refused_micros),
        reason=reason,
    )


def _telling(told: ToldOrder) -> tuple[int, int, int, str, str]:
    return told.ordered_s, told.revenue_micros, told.margin_micros, told.cabin, told.seat


def _summed(told: ToldOrder) -> SummedOrders:
    is_bought = told.is_bought
    return SummedOrders(
        order_count=int(is_bought),
        refused_count=int(told.refused == WHOLLY),
        net_micros=told.net_micros,
        margin_micros=told.net_margin_micros,
        refunded_micros=told.refunded_micros,
        first_s=told.ordered_s if is_bought else 0,
        first_micros=told.net_micros if is_bought else 0,
        last_s=told.ordered_s if is_bought else 0,
    )


def _add(a: SummedOrders, b: SummedOrders) -> SummedOrders:
    firsts = [(one.first_s, one.first_micros) for one in (a, b) if one.first_s]
    first_s, first_micros = min(firsts, default=(0, 0))
    return SummedOrders(
        a.order_count + b.order_count,
        a.refused_count + b.refused_count,
        a.net_micros + b.net_micros,
        a.margin_micros + b.margin_micros,
        a.refunded_micros + b.refunded_micros,
        first_s,
        first_micros,
        max(a.last_s, b.last_s),
    )


def standing_orders(purchases: Purchases) -> list[ToldOrder]:
    """The bought orders that stand by id, oldest first."""
    bought = [told for told in purchases.orders.values() if told.is_bought]
    return sorted(bought, key=_telling)


def totals(purchases: Purchases) -> Totals:
    """The orders in numbers."""
    older = purchases.older
    order_count, refused_count, refunded = (
        older.order_count, older.refused_count, older.refunded_micros
    )  # fmt: skip
    net, margin = older.net_micros, older.margin_micros
    days: dict[int, int] = {}
    first_s, last_s = older.first_s, older.last_s
    for told in purchases.orders.values():
        refunded += told.refunded_micros
        if told.refused == WHOLLY:
            refused_count += 1
            continue
        # As its properties say, spelled out: this runs for every view that is written.
        paid = told.revenue_micros - told.refunded_micros - told.refused_micros
        net += paid
        margin += told.margin_micros - told.refunded_margin_micros
        ordered_s = told.ordered_s
        if ordered_s > 0:
            order_count += 1
            day = ordered_s // DAY_S
            days[day] = days.get(day, 0) + paid
            last_s = max(last_s, ordered_s)
            if not first_s or ordered_s < first_s:
                first_s = ordered_s
    return Totals(
        order_count=order_count,
        refused_count=refused_count,
        net_micros=net,
        margin_micros=margin,
        refunded_micros=refunded,
        day_count=older.order_count + len(days),
        first_order_ms=first_s * SECOND_MS,
        last_order_ms=last_s * SECOND_MS,
        # The first day of a life that is longer than the kept orders is known by its first order.
        first_day_micros=older.first_micros if older.first_s else days[min(days)] if days else 0,
    )
