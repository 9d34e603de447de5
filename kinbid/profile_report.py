"""What a person's merged profile says, in the words of ``kinbid person``: no I/O."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from models.catalog import Catalog
from models.consents import is_withdrawn
from models.facets import Facet, attributes
from models.interests import contacts
from models.shop_events import STAGES
from models.touches import timeline
from models.traits import Attribute, Attributes
from models.units import SECOND_MS, format_money
from models.visits import visit_count

__all__ = ["profile_report", "time_text"]

Row = dict[str, Any]

NO_ADVERTISER: Final = "(no advertiser)"


def time_text(ms: int) -> str:
    """A time in UTC, to the second."""
    return dt.datetime.fromtimestamp(ms / SECOND_MS, tz=dt.UTC).isoformat(" ", "seconds")


def profile_report(facet: Facet, catalog: Catalog) -> Row:
    """Attributes and on what they rest, and what happened: each list with the newest first.

    Args:
        facet: the person's, merged.
        catalog: its advertisers say who hears third parties.
    """
    believed = _believed(facet, catalog)
    return {
        "attributes": _attributes(believed),
        "rests_on": {
            advertiser: {
                "sources": list(told.sources),
                "third_parties": told.rests_on_third_parties,
                "hears_third_parties": _hears(catalog, advertiser),
            }
            for advertiser, told in believed.items()
        },
        "partner_data": not is_withdrawn(facet.consents, "partner_data"),
        "visits": visit_count(facet.half_hours),
        "timeline": [
            {**msgspec.structs.asdict(touch), "time": time_text(touch.time_ms)}
            for touch in timeline(facet.touches)
        ],
        "calls": list(_calls(facet)),
        "deals": _newest_first(_deals(facet)),
        "contacts": _newest_first(_contacts(facet)),
        "answers": _newest_first(_answers(facet)),
        "refunds": _newest_first(_refunds(facet)),
    }


def _believed(facet: Facet, catalog: Catalog) -> dict[str, Attributes]:
    """What counts for each advertiser; without any, the owner's own data."""
    names = sorted(catalog.advertisers) or [NO_ADVERTISER]
    return {name: attributes(facet, third_party=_hears(catalog, name)) for name in names}


def _hears(catalog: Catalog, name: str) -> bool:
    advertiser = catalog.advertisers.get(name)
    return advertiser is not None and advertiser.third_party_data


def _attributes(believed: dict[str, Attributes]) -> list[Row]:
    """Every value that is believed, with the advertisers for which it counts."""
    counts_for: defaultdict[tuple[str, Attribute], list[str]] = defaultdict(list)
    for advertiser, told in believed.items():
        for name, one in told.values.items():
            counts_for[name, one].append(advertiser)
    return [
        {
            "name": name,
            **msgspec.structs.asdict(one),
            "told": time_text(one.told_ms),
            "advertisers": advertisers,
        }
        for (name, one), advertisers in sorted(counts_for.items(), key=lambda row: row[0][0])
    ]


def _newest_first(rows: Iterator[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["time"], reverse=True)


def _calls(facet: Facet) -> Iterator[Row]:
    for call in reversed(facet.phone.calls):
        yield {
            "time": time_text(call.time_ms), "advertiser": call.advertiser, "call": call.call_id,
            "direction": "outgoing" if call.is_outbound else "incoming",
            "duration_seconds": call.duration_seconds, "missed": call.missed_reason,
            "tag": call.tag, "department": call.department, "score": call.score,
        }  # fmt: skip


def _deals(facet: Facet) -> Iterator[Row]:
    for name, (time_s, stage) in facet.deals.items():
        advertiser, _, order = name.partition("/")
        yield {
            "time": time_text(time_s * SECOND_MS), "advertiser": advertiser, "order": order,
            "stage": STAGES[stage],
        }  # fmt: skip


def _contacts(facet: Facet) -> Iterator[Row]:
    for one in contacts(facet):
        yield {
            "time": time_text(one.latest_ms), "channel": one.channel, "action": one.action,
            "count": one.count,
        }  # fmt: skip


def _answers(facet: Facet) -> Iterator[Row]:
    for name, (time_s, answer) in facet.answers.items():
        advertiser, form, question = name.split("/", 2)
        yield {
            "time": time_text(time_s * SECOND_MS), "advertiser": advertiser, "form": form,
            "question": question, "answer": answer,
        }  # fmt: skip


def _refunds(facet: Facet) -> Iterator[Row]:
    """What was paid back of orders, and what was refused of them."""
    for advertiser, known in facet.purchases.items():
        for order, refund in known.refunds.items():
            yield {
                "time": time_text(refund.told_s * SECOND_MS), "advertiser": advertiser,
                "order": order, "what": "refund", "amount": format_money(refund.refunded_micros),
                "reason": "",
            }  # fmt: skip
        for order, refusal in known.refusals.items():
            amount = "all" if refusal.is_whole else format_money(refusal.refused_micros)
            yield {
                "time": time_text(refusal.told_s * SECOND_MS), "advertiser": advertiser,
                "order": order, "what": "refusal", "amount": amount, "reason": refusal.reason,
            }  # fmt: skip
