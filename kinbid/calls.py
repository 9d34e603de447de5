"""``kinbid calls``: who waits for a call of ours, which calls count, and what one has cost."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from bidder.catalog_feed import load_catalog
from kinbid.owned import settled_persons
from kinbid.spend import spend_micros
from kinbid.told_link import utc
from models.call_report import (
    AttributedCall,
    Split,
    attributed,
    conversions_by,
    cost_per_conversion_micros,
)
from models.call_tags import OpenCallback, open_callbacks, overdue_callbacks
from models.calls import CallHistory, ToldCall
from models.catalog import Catalog
from models.errors import UnknownNameError
from models.facets import decode_facet
from models.forest import Settled
from models.identifiers import NodeId, namespace_of
from models.keys import Keys
from models.profile import newest_fields, person_of
from models.purchases import standing_orders
from models.units import DAY_MS, HOUR_MS, SECOND_MS, CampaignId, format_money
from runtime import clock
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["calls_report"]


class _Scope(msgspec.Struct, frozen=True):
    """What is counted: one advertiser's, or everybody's where it is None, since a time, Unix ms."""

    advertiser: str | None
    since_ms: int

    def covers(self, advertiser: str, time_ms: int) -> bool:
        return self.is_of(advertiser) and time_ms >= self.since_ms

    def is_of(self, advertiser: str) -> bool:
        return self.advertiser in {None, advertiser}


class _Found(msgspec.Struct):
    """What was met on the way through all persons.

    Attributes:
        waiting: persons to whom we owe a call, with their calls.
        callers: call to the identifier that made it, for those persons.
        calls, conversions: how many in each group.
        value_micros: what the conversions of each group are worth.
        order_count: of all persons.
    """

    waiting: list[tuple[NodeId, tuple[ToldCall, ...]]] = []
    callers: dict[tuple[str, str], NodeId] = {}
    calls: Counter[str] = msgspec.field(default_factory=Counter)
    conversions: Counter[str] = msgspec.field(default_factory=Counter)
    value_micros: Counter[str] = msgspec.field(default_factory=Counter)
    order_count: int = 0


async def calls_report(
    settings: Settings,
    *,
    older_than_hours: float,
    split: Split,
    sale_micros: int | None,
    advertiser: str | None = None,
    since_days: float | None = None,
) -> dict[str, Any]:
    """Open call-backs, oldest first; calls, call conversions by group, and what one has cost.

    Counts are exact while nothing is folded, and up to the newest calls that a profile keeps.

    Args:
        settings: where Redis and Kafka are.
        older_than_hours: call-backs that have been open for longer.
        split: the groups.
        sale_micros: what a perfect call is worth; None where nobody asks.
        advertiser: whose; None: everybody's.
        since_days: how far back calls, orders and money count; None: as far as they are kept.
            A call-back is open or not, since whenever.

    Raises:
        KinbidError: Redis or Kafka cannot be used, or there is no such advertiser.
    """
    catalog = await load_catalog(settings)
    if advertiser is not None and advertiser not in catalog.advertisers:
        raise UnknownNameError("advertiser", advertiser, catalog.advertisers)
    now_ms = clock.now_ms()
    since_ms = 0 if since_days is None else round(now_ms - since_days * DAY_MS)
    scope = _Scope(advertiser, since_ms)
    found = await _read(settings, catalog, scope, split, sale_micros or 0)
    spent = await spend_micros(settings, since_ms)
    overdue = overdue_callbacks(
        found.waiting,
        catalog.call_tags,
        catalog.departments,
        hours=older_than_hours,
        now_ms=now_ms,
    )
    return {
        "advertiser": advertiser,
        "since": None if since_days is None else utc(since_ms),
        "call_backs": [_told(root, owed, found.callers, now_ms) for root, owed in overdue],
        "open_call_backs": sum(
            len(open_callbacks(calls, catalog.call_tags, catalog.departments))
            for _, calls in found.waiting
        ),
        "split": split,
        "groups": _groups(found, split, has_value=sale_micros is not None),
        "cost": _cost(found, _of_scope(spent, catalog, scope)),
    }


async def _read(
    settings: Settings, catalog: Catalog, scope: _Scope, split: Split, sale_micros: int
) -> _Found:
    link = link_to(settings.redis_url, name="kinbid-calls")
    await link.connect()
    found, grace_ms = _Found(), settings.call_grace_seconds * SECOND_MS
    try:
        async for chunk in settled_persons(link, Keys(settings.owner)):
            for settled in chunk:
                facet, _ = person_of(settled)
                found.order_count += sum(
                    scope.covers(name, order.ordered_s * SECOND_MS)
                    for name, purchases in facet.purchases.items()
                    for order in standing_orders(purchases)
                )
                _add_call_backs(found, settled, facet.phone, catalog, scope)
                calls = attributed(facet.phone, catalog.call_tags, catalog.departments, grace_ms)
                counted = [
                    one for one in calls if scope.covers(one.call.advertiser, one.call.time_ms)
                ]
                _add_calls(found, counted, split, sale_micros)
    finally:
        await link.close()
    return found


def _add_call_backs(
    found: _Found, settled: Settled, history: CallHistory, catalog: Catalog, scope: _Scope
) -> None:
    calls = tuple(call for call in history.known_calls if scope.is_of(call.advertiser))
    if open_callbacks(calls, catalog.call_tags, catalog.departments):
        found.waiting.append((settled.root, calls))
        found.callers |= _callers(settled)


def _add_calls(found: _Found, calls: list[AttributedCall], split: Split, sale_micros: int) -> None:
    found.calls.update(one.by(split) for one in calls)
    found.conversions.update(conversions_by(calls, split))
    for one in calls:
        if one.conversion is not None:
            found.value_micros[one.by(split)] += one.conversion.value_micros(sale_micros)


def _callers(settled: Settled) -> dict[tuple[str, str], NodeId]:
    return {
        (call.advertiser, call.call_id): node
        for node, encoded in newest_fields(settled, b"f").items()
        for call in decode_facet(encoded).phone.known_calls
    }


def _told(
    root: str, owed: OpenCallback, callers: Mapping[tuple[str, str], NodeId], now_ms: int
) -> dict[str, Any]:
    caller = callers[owed.advertiser, owed.call_id]
    return {
        "since": utc(owed.since_ms),
        "hours": round((now_ms - owed.since_ms) / HOUR_MS, 1),
        "advertiser": owed.advertiser,
        "call": owed.call_id,
        "tag": owed.tag.id,
        "department": owed.call.department,
        "namespace": namespace_of(caller).name.lower(),
        "caller": caller,
        "person": root,
    }


def _groups(found: _Found, split: Split, *, has_value: bool) -> list[dict[str, Any]]:
    """The groups, those with most calls first; hours in their order."""
    by_name = sorted(found.calls.items())
    ordered = by_name if split == "hour" else sorted(by_name, key=lambda one: one[1], reverse=True)
    return [
        {
            split: name,
            "calls": count,
            "conversions": found.conversions[name],
            **({"value": format_money(found.value_micros[name])} if has_value else {}),
        }
        for name, count in ordered
    ]


def _of_scope(spent: Counter[CampaignId], catalog: Catalog, scope: _Scope) -> int:
    """What the scope's campaigns have cost; one that is gone from the catalogue is nobody's."""
    return sum(
        micros
        for name, micros in spent.items()
        if scope.is_of(campaign.advertiser if (campaign := catalog.campaigns.get(name)) else "")
    )


def _cost(found: _Found, spend_micros: int) -> dict[str, Any] | None:
    """What a conversion costs with calls and without; None where no ad has cost anything."""
    orders, counted = found.order_count, found.conversions.total()
    if not spend_micros:
        return None
    per_conversion = cost_per_conversion_micros(spend_micros, orders, counted)
    per_order = cost_per_conversion_micros(spend_micros, orders, 0)
    return {
        "spend": format_money(spend_micros),
        "orders": orders,
        "call_conversions": counted,
        "per_conversion": None if per_conversion is None else format_money(per_conversion),
        "per_order": None if per_order is None else format_money(per_order),
    }
