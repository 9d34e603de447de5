"""Tables for people: who waits for a call, and which calls count."""

from typing import Any, Final

from kinbid.show import console, table
from models.call_report import FREE, UNJOINED

__all__ = ["show_calls"]

GROUP_WORDS: Final = {
    UNJOINED: "calls without a web session that is known to have seen the number",
    FREE: "the session came without one",
}


def show_calls(report: dict[str, Any], older_than_hours: float) -> None:
    """What ``kinbid calls`` found."""
    _show_call_backs(report, older_than_hours)
    split, scope = report["split"], _scope_words(report)
    console.print()
    if not report["groups"]:
        console.print(f"no calls{scope} are known")
    else:
        _show_groups(report, f"calls{scope} by {split}")
    if (cost := report["cost"]) is not None:
        console.print(
            f"\nads{scope} have cost {cost['spend']}. Orders: {cost['orders']:,}, calls "
            f"that count: {cost['call_conversions']:,}"
        )
        if cost["per_conversion"] is not None:
            alone = f"; an order alone {cost['per_order']}" if cost["per_order"] else ""
            console.print(f"so an order or such a call has cost {cost['per_conversion']}{alone}")


def _scope_words(report: dict[str, Any]) -> str:
    whose = f" of {report['advertiser']}" if report["advertiser"] else ""
    return whose + (f" since {report['since']}" if report["since"] else "")


def _show_groups(report: dict[str, Any], title: str) -> None:
    split, has_value = report["split"], "value" in report["groups"][0]
    rows = table(title, split, "calls", "conversions", *(["value"] * has_value))
    for one in report["groups"]:
        rows.add_row(*map(str, one.values()))
    console.print(rows)
    names = {one[split] for one in report["groups"]}
    for name, meaning in GROUP_WORDS.items():
        if name in names:
            console.print(f"{name}: {meaning}")


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
