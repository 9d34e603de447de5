"""Tables for people: who waits for a call, and which calls count."""

from typing import Any

from kinbid.show import console, table

__all__ = ["show_calls"]


def show_calls(report: dict[str, Any], older_than_hours: float) -> None:
    """What ``kinbid calls`` found."""
    _show_call_backs(report, older_than_hours)
    split = report["split"]
    console.print()
    if not report["groups"]:
        console.print("no calls are known")
        return
    has_value = "value" in report["groups"][0]
    rows = table(f"calls by {split}", split, "calls", "conversions", *(["value"] * has_value))
    for one in report["groups"]:
        rows.add_row(*map(str, one.values()))
    console.print(rows)
    cost = report["cost"]
    console.print(
        f"\nads to known persons cost {cost['spend']}; {cost['orders']:,} orders, "
        f"{cost['call_conversions']:,} calls that count"
    )
    if cost["per_conversion"] is not None:
        without = cost["per_order"] or "nothing to divide by"
        console.print(
            f"per conversion, orders and calls: {cost['per_conversion']}; orders alone: {without}"
        )


def _show_call_backs(report: dict[str, Any], older_than_hours: float) -> None:
    found, open_count = report["call_backs"], report["open_call_backs"]
    age = f" for more than {older_than_hours:g} hours" if older_than_hours else ""
    if not found:
        others = f"; {open_count:,} wait less long" if open_count else ""
        console.print(f"nobody waits for a call{age}{others}")
        return
    rows = table(
        f"who waits for a call{age}, oldest first",
        "since (UTC)", "hours", "advertiser", "tag", "department", "call", "caller", "person",
    )  # fmt: skip
    for one in found:
        caller = f"{one['namespace']} {one['caller']}"
        told = (one["advertiser"], one["tag"], one["department"] or "-", one["call"])
        rows.add_row(one["since"], f"{one['hours']:,.1f}", *told, caller, one["person"])
    console.print(rows)
    console.print(f"{len(found):,} of {open_count:,} open call-backs")
    console.print("callers are known as hashes only: the telephony finds the number by the call")
