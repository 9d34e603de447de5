"""``kinbid calls``: who waits for a call of ours, and which calls count, by what brought them."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from bidder.catalog_feed import load_catalog
from kinbid.owned import settled_persons
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
from models.facets import decode_facet
from models.forest import Settled
from models.identifiers import NodeId, namespace_of
from models.keys import Keys
from models.profile import newest_fields, person_of
from models.purchases import totals
from models.units import HOUR_MS, SECOND_MS, format_money
from runtime import clock
from runtime.redis_url import link_to
from runtime.settings import Settings

__all__ = ["calls_report"]


class _Found(msgspec.Struct):
    """What was met on the way through all persons.

    Attributes:
        waiting: persons to whom we owe a call, with their calls.
        callers: call to the identifier that made it, for those persons.
        calls, conversions: how many in each group.
        value_micros: what the conversions of each group are worth.
        order_count: of all persons.
        spend_micros: on ads to them.
    """

    waiting: list[tuple[NodeId, tuple[ToldCall, ...]]] = []
    callers: dict[tuple[str, str], NodeId] = {}
    calls: Counter[str] = msgspec.field(default_factory=Counter)
    conversions: Counter[str] = msgspec.field(default_factory=Counter)
    value_micros: Counter[str] = msgspec.field(default_factory=Counter)
    order_count: int = 0
    spend_micros: int = 0


async def calls_report(
    settings: Settings, *, older_than_hours: float, split: Split, sale_micros: int | None
) -> dict[str, Any]:
    """Open call-backs of all persons, oldest first, and calls and call conversions by group.

    Counts are exact while nothing is folded, and up to the newest calls that a profile keeps.

    Args:
        settings: where Redis and Kafka are.
        older_than_hours: call-backs that have been open for longer.
        split: the groups.
        sale_micros: what a perfect call is worth; None where nobody asks.

    Raises:
        KinbidError: Redis or Kafka cannot be used.
    """
    catalog = await load_catalog(settings)
    found = await _read(settings, catalog, split, sale_micros or 0)
    now_ms = clock.now_ms()
    overdue = overdue_callbacks(
        found.waiting, catalog.call_tags, hours=older_than_hours, now_ms=now_ms
    )
    return {
        "call_backs": [_told(root, owed, found.callers, now_ms) for root, owed in overdue],
        "open_call_backs": sum(
            len(open_callbacks(calls, catalog.call_tags)) for _, calls in found.waiting
        ),
        "split": split,
        "groups": _groups(found, split, has_value=sale_micros is not None),
        "cost": _cost(found),
    }


async def _read(settings: Settings, catalog: Catalog, split: Split, sale_micros: int) -> _Found:
    link = link_to(settings.redis_url, name="kinbid-calls")
    await link.connect()
    found, grace_ms = _Found(), settings.call_grace_seconds * SECOND_MS
    try:
        async for chunk in settled_persons(link, Keys(settings.owner)):
            for settled in chunk:
                facet, ledger = person_of(settled)
                found.spend_micros += ledger.spend_micros
                found.order_count += sum(
                    totals(one).order_count for one in facet.purchases.values()
                )
                _add_call_backs(found, settled, facet.phone, catalog)
                calls = attributed(facet.phone, catalog.call_tags, catalog.departments, grace_ms)
                _add_calls(found, list(calls), split, sale_micros)
    finally:
        await link.close()
    return found


def _add_call_backs(
    found: _Found, settled: Settled, history: CallHistory, catalog: Catalog
) -> None:
    calls = history.known_calls
    if open_callbacks(calls, catalog.call_tags):
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


def _cost(found: _Found) -> dict[str, Any] | None:
    """What a conversion costs with calls and without; None where no ad has cost anything."""
    spend, orders, counted = found.spend_micros, found.order_count, found.conversions.total()
    if not spend:
        return None
    per_conversion = cost_per_conversion_micros(spend, orders, counted)
    per_order = cost_per_conversion_micros(spend, orders, 0)
    return {
        "spend": format_money(spend),
        "orders": orders,
        "call_conversions": counted,
        "per_conversion": None if per_conversion is None else format_money(per_conversion),
        "per_order": None if per_order is None else format_money(per_order),
    }
