"""Facets: what was seen under one identifier, folded from its events.

Facets form a commutative monoid: ``merge`` is associative and commutative and ``Facet()`` is its
unit, so a person's profile is the merge of their identifiers' facets, in whatever order. A facet
carries the offset of the last event folded into it; a redelivered event changes nothing.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from models.events import (
    Call,
    CartAdd,
    CrmCard,
    Event,
    FlightSearch,
    Order,
    PageView,
    ProductView,
    SignIn,
)
from models.units import DAY_MS

__all__ = ["Facet", "Purchases", "decode_facet", "encode_facet", "epoch_day", "fold_event", "merge"]

KEPT_SEARCHES: Final = 8
KEPT_ITEMS: Final = 16
KEPT_DAYS: Final = 32
KEPT_ORDERS: Final = 8
"""Orders remembered by id, so that one order told by two sources (shop and CRM) counts once."""

ToldOrder = tuple[int, int, int]
"""An order as one source told it: time (Unix ms), revenue and margin (micros)."""

Recent = dict[str, int]
"""Key to the latest time at which it was seen, Unix ms; bounded to the newest."""


class Purchases(msgspec.Struct, frozen=True, array_like=True):
    """Orders with one advertiser: sufficient statistics of the purchase and spend models.

    ``days`` maps an epoch day to its revenue in micros, newest kept; the first day's is kept
    apart, since the models count from it. ``orders`` maps the newest order ids to (time, revenue,
    margin).
    """

    order_count: int = 0
    revenue_micros: int = 0
    margin_micros: int = 0
    first_order_ms: int = 0
    last_order_ms: int = 0
    day_count: int = 0
    first_day_revenue_micros: int = 0
    days: dict[int, int] = {}
    items: Recent = {}
    orders: dict[str, ToldOrder] = {}


class Facet(msgspec.Struct, frozen=True, array_like=True):
    """What was seen under one identifier. The watermark comes first, see ``decode_watermark``.

    Attributes:
        watermark: offset of the last folded record in this identifier's partition; -1: none.
        channels: last event per channel.
        page_views, calls, missed_calls: counts.
        searches: ``ADVERTISER/ORIGIN-DESTINATION/DATE`` to the latest search.
        views, carts: ``ADVERTISER/ITEM`` to the latest view.
        purchases: per advertiser.
        city, tier: from the newest CRM card, seen at ``card_ms``.
    """

    watermark: int = -1
    channels: dict[str, int] = {}
    page_views: int = 0
    calls: int = 0
    missed_calls: int = 0
    searches: Recent = {}
    views: Recent = {}
    carts: Recent = {}
    purchases: dict[str, Purchases] = {}
    city: str = ""
    tier: str = ""
    card_ms: int = 0


encode_facet: Final = msgspec.msgpack.Encoder().encode
decode_facet: Final = msgspec.msgpack.Decoder(Facet).decode


def epoch_day(date: str) -> int:
    """Days since 1970-01-01 of an ISO date.

    Raises:
        ValueError: not ``YYYY-MM-DD``.
    """
    return dt.date.fromisoformat(date).toordinal() - 719_163


def fold_event(facet: Facet, event: Event, offset: int) -> Facet:
    """The facet after one more event of its identifier.

    Args:
        facet: the facet before; its watermark is below ``offset``.
        event: the event at ``offset``.
        offset: the record's offset in its partition.
    """
    now = event.event_time_ms
    seen = msgspec.structs.replace(
        facet,
        watermark=offset,
        channels=_latest({event.channel: now}, facet.channels, len(facet.channels) + 1),
    )
    return _fold_kind(seen, event, now)


def _fold_kind(facet: Facet, event: Event, now: int) -> Facet:
    replace = msgspec.structs.replace
    match event:
        case PageView():
            return replace(facet, page_views=facet.page_views + 1)
        case ProductView():
            viewed = {f"{event.advertiser}/{event.item}": now}
            return replace(facet, views=_latest(viewed, facet.views, KEPT_ITEMS))
        case FlightSearch():
            route = f"{event.advertiser}/{event.origin}-{event.destination}/{event.depart_date}"
            return replace(facet, searches=_latest({route: now}, facet.searches, KEPT_SEARCHES))
        case CartAdd():
            added = {f"{event.advertiser}/{event.item}": now}
            return replace(facet, carts=_latest(added, facet.carts, KEPT_ITEMS))
        case Order():
            return _fold_order(facet, event)
        case Call():
            return replace(
                facet, calls=facet.calls + 1, missed_calls=facet.missed_calls + event.missed
            )
        case CrmCard():
            return _fold_card(facet, event)
        case SignIn():
            return facet


def _fold_card(facet: Facet, card: CrmCard) -> Facet:
    newer = (card.event_time_ms, card.city, card.tier)
    if newer <= (facet.card_ms, facet.city, facet.tier):
        return facet
    return msgspec.structs.replace(
        facet, card_ms=card.event_time_ms, city=card.city, tier=card.tier
    )


def _fold_order(facet: Facet, order: Order) -> Facet:
    before = facet.purchases.get(order.advertiser, Purchases())
    now = order.event_time_ms
    one = Purchases(
        order_count=1,
        revenue_micros=order.revenue_micros,
        margin_micros=order.margin_micros,
        first_order_ms=now,
        last_order_ms=now,
        day_count=1,
        first_day_revenue_micros=order.revenue_micros,
        days={now // DAY_MS: order.revenue_micros},
        items=_latest(dict.fromkeys(order.items, now), {}, KEPT_ITEMS),
        orders={order.order_id: (now, order.revenue_micros, order.margin_micros)},
    )
    purchases = {**facet.purchases, order.advertiser: _merge_purchases(before, one)}
    return msgspec.structs.replace(facet, purchases=purchases)


def merge(facets: Iterable[Facet]) -> Facet:
    """The profile that several identifiers make together.

    The result's watermark is the sum of ``watermark + 1`` less one: it rises with every event of
    any of them, and so tells an older merge from a newer one.
    """
    parts = iter(facets)
    merged = next(parts, Facet())
    for facet in parts:
        merged = _merge_two(merged, facet)
    return merged


def _merge_two(a: Facet, b: Facet) -> Facet:
    card_ms, city, tier = max((a.card_ms, a.city, a.tier), (b.card_ms, b.city, b.tier))
    return Facet(
        watermark=a.watermark + b.watermark + 1,
        channels=_union(a.channels, b.channels, len(a.channels) + len(b.channels)),
        page_views=a.page_views + b.page_views,
        calls=a.calls + b.calls,
        missed_calls=a.missed_calls + b.missed_calls,
        searches=_union(a.searches, b.searches, KEPT_SEARCHES),
        views=_union(a.views, b.views, KEPT_ITEMS),
        carts=_union(a.carts, b.carts, KEPT_ITEMS),
        purchases=_merge_maps(a.purchases, b.purchases),
        city=city,
        tier=tier,
        card_ms=card_ms,
    )


def _union(a: Recent, b: Recent, kept: int) -> Recent:
    """What ``_latest`` gives for two of its own results; most often one of them is empty."""
    if a and b:
        return _latest(a, b, kept)
    return a or b


def _merge_maps(a: Mapping[str, Purchases], b: Mapping[str, Purchases]) -> dict[str, Purchases]:
    if not b:
        return dict(sorted(a.items()))
    return {
        name: _merge_purchases(a.get(name, Purchases()), b.get(name, Purchases()))
        for name in sorted({*a, *b})
    }


def _merge_purchases(a: Purchases, b: Purchases) -> Purchases:
    """Adds two histories; days shared by both become one day of the models' purchase process."""
    if not a.order_count:
        return b
    if not b.order_count:
        return a
    days = {day: a.days.get(day, 0) + b.days.get(day, 0) for day in {*a.days, *b.days}}
    first_ms = min(a.first_order_ms, b.first_order_ms)
    first_day = first_ms // DAY_MS
    first_revenue = _revenue_on(first_day, a) + _revenue_on(first_day, b)
    # Two sources may differ about one order: the earlier telling stands, in whatever order they
    # are merged, and the other is taken out again.
    repeated = {name: max(a.orders[name], b.orders[name]) for name in a.orders if name in b.orders}
    standing = {name: min(a.orders[name], b.orders[name]) for name in repeated}
    for order_ms, revenue_micros, _ in repeated.values():
        days[order_ms // DAY_MS] -= revenue_micros
        first_revenue -= revenue_micros if order_ms // DAY_MS == first_day else 0
    left = {order[0] // DAY_MS for order in repeated.values()}
    left -= {order[0] // DAY_MS for order in standing.values()}
    empty = [day for day in left if not days[day]]
    for day in empty:
        del days[day]
    orders = {**a.orders, **b.orders, **standing}
    return Purchases(
        order_count=a.order_count + b.order_count - len(repeated),
        revenue_micros=a.revenue_micros + b.revenue_micros - _total(repeated, 1),
        margin_micros=a.margin_micros + b.margin_micros - _total(repeated, 2),
        first_order_ms=first_ms,
        last_order_ms=max(order[0] for order in orders.values()),
        day_count=a.day_count + b.day_count - len(a.days.keys() & b.days.keys()) - len(empty),
        first_day_revenue_micros=first_revenue,
        days=dict(sorted(days.items())[-KEPT_DAYS:]),
        items=_latest(a.items, b.items, KEPT_ITEMS),
        orders=_newest_orders(orders),
    )


def _total(orders: Mapping[str, ToldOrder], place: int) -> int:
    return sum(order[place] for order in orders.values())


def _revenue_on(first_day: int, side: Purchases) -> int:
    if side.first_order_ms // DAY_MS == first_day:
        return side.first_day_revenue_micros
    return side.days.get(first_day, 0)


def _newest_orders(orders: dict[str, ToldOrder]) -> dict[str, ToldOrder]:
    newest = sorted(orders.items(), key=lambda entry: (entry[1][0], entry[0]))[-KEPT_ORDERS:]
    return dict(newest)


K = TypeVar("K", bound=str)


def _latest(a: Mapping[K, int], b: Mapping[K, int], kept: int) -> dict[K, int]:
    """The newest ``kept`` keys of both, each at its latest time; ties go by key."""
    if not b:
        joined = dict(a)
    else:
        joined = dict(b)
        for key, time_ms in a.items():
            if time_ms > joined.get(key, -1):
                joined[key] = time_ms
    if len(joined) <= kept:
        return dict(sorted(joined.items()))
    newest = sorted(joined.items(), key=lambda entry: (entry[1], entry[0]))[-kept:]
    return dict(sorted(newest))
