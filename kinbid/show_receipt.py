"""Receipts and watches on a terminal."""

from collections.abc import Sequence
from typing import Any

from kinbid.profile_report import time_text
from kinbid.show import console, table
from models.units import format_money
from models.watches import Watch

__all__ = ["ABSENT", "show_receipt", "show_watches"]

ABSENT: dict[str, str] = {
    "no_identifier": "the request names nobody",
    "crowded": "the request has more identifiers than are looked up",
    "redis": "Redis did not tell who it is",
    "caps": "Redis had no place left under the caps of what they would have seen",
    "streams": "streams was too far behind for any cap to be checked",
    "caps_unchecked": "Redis did not tell whether a place under a cap is left",
}
SHOWN_BEFORE = ("imp_id", "campaign", "factors")
"""Of a bid: what stands above or below the other rows."""


def show_receipt(report: dict[str, Any]) -> None:
    """What was decided, from what, who lost, and whether it comes out the same again."""
    console.print(
        f"receipt {report['receipt']} ({report['kind']}, kept as {report['why']}) "
        f"of {report['time']}"
    )
    console.print(
        f"request {report['request']} from {report['exchange']}, answered in "
        f"{report['elapsed_us'] / 1000:.3f} ms by {report['code']}"
    )
    if report["others"]:
        console.print(f"older receipts of the same auction: {', '.join(report['others'])}")
    if report["catalog"]:
        read = ", ".join(f"{name} up to {offset}" for name, offset in report["catalog"].items())
        console.print(f"catalogue: {read}")
    if report["allowed_use"] is not None:
        console.print(f"privacy: {_privacy(report['allowed_use'])}")
    if report["person"] is not None:
        console.print(f"person: {_person(report['person'])}")
    for bid in report["bids"]:
        _show_bid(bid)
    if report["outcome"] != "bid":
        console.print(f"\n{report['outcome'].replace('_', ' ')}: {_reason(report)}")
    _show_losers(report)
    _show_verdict(report)


def _reason(report: dict[str, Any]) -> str:
    if report["outcome"] == report["reason"] == "late":
        return "when it was read no time was left to decide"
    return str(report["reason"] or "not sent")


def _privacy(use: dict[str, Any]) -> str:
    allowed = "personal data may be used" if use["personal"] else ", ".join(use["refusals"])
    return f"{allowed}; identifiers {'may' if use['ids'] else 'may not'} be kept"


def _person(person: dict[str, Any]) -> str:
    if person["absent"]:
        return f"nobody: {ABSENT[person['absent']]}"
    named = f"{person['namespace']} {person['node']}" if person["node"] else "not named"
    told = f"{named} ({'known' if person['is_known'] else 'not known'}"
    if person["version"]:
        told += f", version {person['version']}"
    for name in ("disagrees", "is_shared", "is_withdrawn"):
        if person[name]:
            told += f", {name.removeprefix('is_')}"
    if person["presence_ratio"] < 1:
        told += f", there with probability {person['presence_ratio']:.2f}"
    return f"{told})"


def _show_bid(bid: dict[str, Any]) -> None:
    rows = table(f"\nbid on slot {bid['imp_id']}: {bid['campaign']}", "factor", "value")
    factors = bid.get("factors") or {}
    named = {name: value for name, value in bid.items() if name not in SHOWN_BEFORE}
    fitted = named.pop("fitted", {})
    for name, value in (named | fitted | factors).items():
        rows.add_row(name.removesuffix("_micros"), _value(name, value))
    console.print(rows)


def _value(name: str, value: object) -> str:
    if name.endswith("_micros") and isinstance(value, int):
        return format_money(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _show_losers(report: dict[str, Any]) -> None:
    if report["lost"]:
        rows = table("\nlost", "slot", "campaign", "why", "detail")
        for one in report["lost"]:
            rows.add_row(one["imp"], one["campaign"], one["reason"], one["detail"])
        console.print(rows)
    elif report["tried"]:
        console.print(f"\ntried and lost: {', '.join(report['tried'])}")


def _show_verdict(report: dict[str, Any]) -> None:
    again = report["recomputed"]
    if again["trouble"] is not None:
        console.print(f"\nnot recomputed: {again['trouble']}")
        return
    if again["is_equal"]:
        size = len((report["body"] or "").encode())
        console.print(f"\nrecomputed: equal, byte for byte ({size:,} bytes)")
        return
    console.print("\nrecomputed: NOT equal")
    for difference in again["differences"]:
        console.print(f"  {difference}")
    if not again["is_same_code"]:
        console.print(f"  it was decided by {report['code']}, and this is {again['code']}")


def show_watches(watches: Sequence[Watch]) -> None:
    """What is watched, and until when."""
    if not watches:
        console.print("nothing is watched: `kinbid receipts on` begins")
        return
    rows = table("", "watched", "name", "until (UTC)")
    for one in watches:
        rows.add_row(one.target, one.names[0], time_text(one.until_ms))
    console.print(rows)
