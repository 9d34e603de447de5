"""Tables for people: what the inspecting commands print."""

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from models.catalog_records import Segment
from models.identifiers import namespace_of
from models.limits import duration_text
from models.units import format_money
from runtime.settings import Sourced, masked

__all__ = [
    "console",
    "progress",
    "show_budgets",
    "show_explanation",
    "show_segments",
    "show_settings",
    "table",
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
    rows = table("", "segment", "orders", "target CPA", "caps", "creative set")
    for one in sorted(segments, key=lambda segment: segment.id):
        most = "any" if one.max_orders is None else one.max_orders
        rows.add_row(
            one.id,
            f"{one.min_orders} to {most}",
            format_money(one.target_cpa_micros),
            _caps(one),
            one.creative_set,
        )
    console.print(rows)


def _caps(segment: Segment) -> str:
    """Its limits in short: ``3/1d, 10/7d, spacing 30m, 2 rules``."""
    words = [cap.text() for cap in segment.caps]
    if segment.spacing_seconds:
        words.append(f"spacing {duration_text(segment.spacing_seconds)}")
    rules = len(segment.cap_adjustments) + len(segment.silences)
    if rules:
        words.append(f"{rules} rule{'s' if rules > 1 else ''}")
    return ", ".join(words)


def show_budgets(rows: list[dict[str, Any]], *, day: str, is_current: bool) -> None:
    """Daily budgets, and whether spend is known."""
    if not rows:
        console.print("no campaign has a daily_budget")
        return
    if not is_current:
        console.print("spend is not known: is `kinbid streams` running? Until it is, none may bid")
    shown = table("", "campaign", "budget", f"spent on {day}", "left", "pacing", "multiplier")
    for row in rows:
        left_micros = max(0, row["budget_micros"] - row["spent_micros"])
        shown.add_row(
            row["campaign"],
            format_money(row["budget_micros"]),
            format_money(row["spent_micros"]),
            format_money(left_micros),
            row["pacing"],
            f"{row['control']:.2f}",
        )
    console.print(shown)


def _who(report: dict[str, Any]) -> str:
    """For whom a request is answered, and why for nobody where it is for nobody."""
    withdrawn = report["consent_withdrawn"]
    if withdrawn is not None:
        name = namespace_of(withdrawn).name.lower()
        return (
            "nobody: consent to personal ads is withdrawn by the person, or for the device, that "
            f"{name} {withdrawn} leads to, and whoever else is named, the strictest word counts"
        )
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


def _allowed(report: dict[str, Any]) -> str:
    """What privacy allows for a request; the reasons where nobody may be looked up."""
    use = report["allowed_use"]
    ids, precise_geo = ("may" if use[name] else "may not" for name in ("ids", "precise_geo"))
    return f"{report['privacy']}; identifiers {ids} be kept, a precise place {precise_geo} be used"


def show_explanation(report: dict[str, Any]) -> None:
    """Every factor of the price, and every campaign that lost and why."""
    console.print(f"request {report['request']} from {report['exchange']}")
    console.print(f"privacy: {_allowed(report)}")
    console.print(f"person: {_who(report)}")
    for bid in report["bids"]:
        where = f"slot {bid['imp']}" + (f", deal {bid['deal']}" if bid["deal"] else "")
        rows = table(f"\nbid on {where}: {bid['campaign']}", "factor", "value")
        for name in ("segment", "offer", "creative", "size"):
            rows.add_row(name, str(bid[name]))
        rows.add_row("limits", ", ".join(bid["limits"]))
        for name, value in bid["factors"].items():
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.add_row(name.removesuffix("_micros"), shown)
        for name in ("value_cpm", "floor_cpm", "bid_cpm"):
            rows.add_row(name, str(bid[name]))
        console.print(rows)
    if report["reason"]:
        console.print(f"\nno bid: {report['reason']}")
    rows = table("\nlost", "slot", "deal", "campaign", "why", "detail")
    for one in report["lost"]:
        rows.add_row(one["imp"], one["deal"] or "", one["campaign"], one["reason"], one["detail"])
    console.print(rows)
