"""Tables for people: what the inspecting commands print."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from kinbid.erase import Certificate, ErasedIdentifier
from models.catalog_records import Segment
from models.units import format_money
from runtime.settings import Sourced, masked

__all__ = [
    "show_certificate",
    "show_erased",
    "show_explanation",
    "show_person",
    "show_segments",
    "show_settings",
]

console: Final = Console(highlight=False, soft_wrap=True)
progress: Final = Console(highlight=False, soft_wrap=True, stderr=True)


def table(title: str, *columns: str) -> Table:
    """An empty table in the house's plain style."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show_settings(sourced: Sourced) -> None:
    """Every setting with its value, secrets masked, and where it came from."""
    rows = table("", "setting", "value", "from")
    for name, source in sourced.sources.items():
        rows.add_row(name, masked(name, getattr(sourced.settings, name)), source)
    console.print(rows)


def show_segments(segments: list[Segment]) -> None:
    """Segments with their rule and policy."""
    rows = table("", "segment", "orders", "target CPA", "cap", "creative set")
    for one in sorted(segments, key=lambda segment: segment.id):
        most = "any" if one.max_orders is None else one.max_orders
        rows.add_row(
            one.id,
            f"{one.min_orders} to {most}",
            format_money(one.target_cpa_micros),
            f"{one.cap_impressions} in {one.cap_window_seconds} s",
            one.creative_set,
        )
    console.print(rows)


def show_person(report: dict[str, Any]) -> None:
    """A person's identifiers, facets, profile, segments and caps."""
    if not report["known"]:
        console.print(f"Nothing is known under {report['person']}.")
    console.print(f"person {report['person']}")
    console.print(f"segments: {', '.join(report['segments']) or 'none'}")
    console.print(f"impressions: {report['impressions']}, spend {report['spend']}")
    if not report["personal_ads"]:
        console.print("consent to personal ads is withdrawn: every bid is for nobody")
    console.print()
    rows = table("identifiers", "namespace", "node", "events up to", "channels")
    for one in report["identifiers"]:
        facet = report["facets"].get(one["node"], {})
        shared = " (shared device)" if one["shared"] else ""
        merged = " (merged)" if one["survivor"] else ""
        rows.add_row(
            one["namespace"] + shared + merged,
            one["node"],
            str(facet.get("watermark", "")),
            ", ".join(facet.get("channels", {})),
        )
    console.print(rows)
    _show_attributes(report)
    rows = table("\nlooked at", "advertiser", "what", "last seen (UTC)")
    for one in [*report["searches"], *report["products"]]:
        rows.add_row(one["advertiser"], one["key"] + (" (cart)" * one["in_cart"]), one["seen"])
    console.print(rows)
    rows = table("\norders", "advertiser", "orders", "repeat days", "mean of repeat days")
    for advertiser, one in report["orders"].items():
        mean = format_money(one["repeat_mean_micros"])
        rows.add_row(advertiser, str(one["order_count"]), str(one["repeat_count"]), mean)
    console.print(rows)
    for owed in report["call_backs"]:
        console.print(f"\nwaits for a call of {owed['advertiser']} since {owed['since']}")
    rows = table("\ncaps", "campaign", "segment", "billed", "reserved", "cap")
    for one in report["caps"]:
        cap = f"{one['cap']} in {one['window_seconds']} s"
        rows.add_row(one["campaign"], one["segment"], str(one["billed"]), str(one["reserved"]), cap)
    console.print(rows)


def _show_attributes(report: dict[str, Any]) -> None:
    """What is believed and who said so, then what happened last on any channel."""
    rows = table("\nattributes", "name", "value", "source", "told (UTC)", "trust")
    for name, one in report["attributes"].items():
        source = one["source"] + " (third party)" * one["is_third_party"]
        rows.add_row(name, one["value"], source, one["told"], str(one["trust"]))
    console.print(rows)
    if report["own_data_only"]:
        console.print(f"without third parties: {', '.join(report['own_data_only'])}")
    rows = table(f"\ntimeline ({report['visits']} visits)", "when (UTC)", "channel", "what", "key")
    for one in report["timeline"]:
        rows.add_row(one["time"], one["channel"], one["kind"], one["key"])
    console.print(rows)


def show_erased(identifiers: Sequence[ErasedIdentifier]) -> None:
    """What is held of a person's identifiers."""
    rows = table("", "identifier", "node", "events", "orders", "impressions", "links")
    for one in identifiers:
        counts = (one.events, one.orders, one.impressions, one.links)
        rows.add_row(one.namespace, one.node, *map(str, counts))
    console.print(rows)


def show_certificate(done: Certificate) -> None:
    """What an erasure has touched, and what it leaves."""
    console.print(f"certificate of erasure {done.id}, owner {done.owner}")
    console.print(f"nothing up to {done.erased_up_to} counts any more of")
    show_erased(done.identifiers)
    console.print()
    console.print(f"identifiers that were seen with them, told to forget it: {done.told}")
    console.print(f"entries removed from the books of call numbers: {done.number_entries}")
    for topic, count in done.records.items():
        console.print(f"{topic}: {count} {WRITTEN.get(topic, 'tombstones')}")
    console.print(f"read again at {done.verified_at}: nothing is left of it but that it was erased")
    console.print("\nwhat stays:")
    for line in done.stays:
        console.print(f"- {line}")


WRITTEN: Final = {"erasures.v1": "records, of a keyed hash and a time each"}


def _who(report: dict[str, Any]) -> str:
    """For whom a request is answered, and why for nobody where it is for nobody."""
    if report["consent_withdrawn"]:
        return "nobody: they have withdrawn their consent to personal ads"
    if report["shared_device"]:
        return (
            "nobody: several customers have signed in on this device, and who is there now is not "
            "sure enough (KINBID_PRESENCE_PERCENT)"
        )
    known = "known" if report["person_known"] else "not known"
    told = f"{report['person'] or 'nobody'} ({known})"
    if report["presence_ratio"] < 1:
        told += (
            f": signed in last on a device of several customers, there now with probability "
            f"{report['presence_ratio']:.2f}"
        )
    return told


def show_explanation(report: dict[str, Any]) -> None:
    """Every factor of the price, and every campaign that lost and why."""
    console.print(f"request {report['request']} from {report['exchange']}")
    console.print(f"privacy: {report['privacy']}")
    console.print(f"person: {_who(report)}")
    for bid in report["bids"]:
        rows = table(f"\nbid on slot {bid['imp']}: {bid['campaign']}", "factor", "value")
        for name in ("segment", "offer", "creative", "size", "cap_used"):
            rows.add_row(name, str(bid[name]))
        for name, value in bid["factors"].items():
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.add_row(name.removesuffix("_micros"), shown)
        for name in ("value_cpm", "floor_cpm", "bid_cpm"):
            rows.add_row(name, str(bid[name]))
        console.print(rows)
    if report["reason"]:
        console.print(f"\nno bid: {report['reason']}")
    rows = table("\nlost", "slot", "campaign", "why", "detail")
    for one in report["lost"]:
        rows.add_row(one["imp"], one["campaign"], one["reason"], one["detail"])
    console.print(rows)
