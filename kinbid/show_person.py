"""A person in tables: what ``kinbid person`` prints."""

from collections.abc import Iterable
from typing import Any, Final

from rich.markup import escape

from kinbid.show import console, table
from models.contacts import KEPT_CONTACTS
from models.units import format_money

__all__ = ["show_person"]

Row = dict[str, Any]


def show_person(report: Row) -> None:
    """A person's identifiers, profile, dealings, segments and caps."""
    _show_head(report)
    _show_identifiers(report)
    _show_attributes(report)
    _show(
        f"\ntimeline ({report['visits']} visits)",
        ("when (UTC)", "channel", "what", "key"),
        ((one["time"], one["channel"], one["kind"], one["key"]) for one in report["timeline"]),
    )
    _show(
        "\nlooked at",
        ("advertiser", "what", "last seen (UTC)"),
        (
            (one["advertiser"], one["key"] + (" (cart)" * one["in_cart"]), one["seen"])
            for one in [*report["searches"], *report["products"]]
        ),
    )
    _show_orders(report)
    _show_contacts(report)
    for owed in report["call_backs"]:
        console.print(f"\nwaits for a call of {owed['advertiser']} since {owed['since']}")
    _show(
        "\ncaps",
        ("campaign", "segment", "billed", "reserved", "limits", "silent because"),
        (
            (
                one["campaign"], one["segment"], one["billed"], one["reserved"],
                ", ".join(one["left"]), one["silent"] or "",
            )
            for one in report["caps"]
        ),
    )  # fmt: skip


def _show(title: str, columns: Iterable[str], cells: Iterable[Iterable[object]]) -> None:
    """A table; its texts are anybody's, so none of them is markup."""
    rows = table(title, *columns)
    for row in cells:
        rows.add_row(*(escape(str(cell)) for cell in row))
    console.print(rows)


def _show_head(report: Row) -> None:
    if not report["known"]:
        console.print(f"Nothing is known under {report['person']}.")
    for one in report["identifiers"]:
        if one["erased"] is not None:
            console.print(
                f"{one['namespace']} {one['node']} was erased: nothing up to {one['erased']} counts"
            )
    console.print(f"person {report['person']}")
    console.print(f"segments: {', '.join(report['segments']) or 'none'}")
    console.print(f"impressions: {report['impressions']}, spend {report['spend']}")
    if not report["personal_ads"]:
        console.print("consent to personal ads is withdrawn: every bid is for nobody")
    console.print()


def _show_identifiers(report: Row) -> None:
    facets = report["facets"]
    _show(
        "identifiers",
        ("namespace", "node", "events up to", "channels"),
        (
            (
                one["namespace"] + " (shared device)" * one["shared"]
                + " (merged)" * bool(one["survivor"]),
                one["node"],
                facets.get(one["node"], {}).get("watermark", ""),
                ", ".join(facets.get(one["node"], {}).get("channels", {})),
            )
            for one in report["identifiers"]
        ),
    )  # fmt: skip


def _show_attributes(report: Row) -> None:
    """What is believed, who said so and for whom it counts; then on what each answer rests."""
    everybody = list(report["rests_on"])
    _show(
        "\nattributes",
        ("name", "value", "source", "told (UTC)", "trust", "counts for"),
        (
            (
                one["name"], one["value"],
                one["source"] + " (third party)" * one["is_third_party"], one["told"],
                one["trust"],
                "all" if one["advertisers"] == everybody else ", ".join(one["advertisers"]),
            )
            for one in report["attributes"]
        ),
    )  # fmt: skip
    if not report["partner_data"]:
        console.print("consent to partner data is withdrawn: third parties are heard for nobody")
    for advertiser, rests in report["rests_on"].items():
        console.print(escape(f"{advertiser}: {_rests_on(rests)}"))


def _rests_on(rests: Row) -> str:
    """On whose data an advertiser's answer rests."""
    sources = ", ".join(rests["sources"]) or "nothing was told"
    if rests["third_parties"]:
        return f"rests on third parties, too ({sources})"
    setting = "" if rests["hears_third_parties"] else "; it hears no third parties"
    return f"rests on own data alone ({sources}){setting}"


def _show_orders(report: Row) -> None:
    _show(
        "\norders",
        ("advertiser", "orders", "repeat days", "mean of repeat days"),
        (
            (
                advertiser, one["order_count"], one["repeat_count"],
                format_money(one["repeat_mean_micros"]),
            )
            for advertiser, one in report["orders"].items()
        ),
    )  # fmt: skip
    if report["deals"]:
        columns = ("since (UTC)", "advertiser", "order", "stage")
        _show("\nstages of orders", columns, map(_cells, report["deals"]))
    if report["refunds"]:
        _show("\nrefunds and refusals", REFUND_COLUMNS, map(_cells, report["refunds"]))


def _show_contacts(report: Row) -> None:
    """Calls, messages and answers, as far as there are any."""
    if report["calls"]:
        _show("\ncalls", CALL_COLUMNS, map(_call, report["calls"]))
    if report["contacts"]:
        columns = ("last (UTC)", "channel", "what", f"times, at most {KEPT_CONTACTS}")
        _show("\nmessages", columns, map(_cells, report["contacts"]))
    if report["answers"]:
        _show("\nanswers", ANSWER_COLUMNS, map(_cells, report["answers"]))


REFUND_COLUMNS: Final = ("told (UTC)", "advertiser", "order", "what", "amount", "reason")
ANSWER_COLUMNS: Final = ("told (UTC)", "advertiser", "form", "question", "answer")
CALL_COLUMNS: Final = ("when (UTC)", "advertiser", "direction", "outcome", "judged")


def _call(one: Row) -> tuple[object, ...]:
    outcome = f"missed: {one['missed']}" if one["missed"] else f"{one['duration_seconds']} s"
    score = "" if one["score"] is None else f"score {one['score']}"
    judged = ", ".join(filter(None, (one["tag"], one["department"], score)))
    return _utc(one["time"]), one["advertiser"], one["direction"], outcome, judged


def _cells(one: Row) -> tuple[object, ...]:
    when, *others = one.values()
    return _utc(when), *others


def _utc(told: str) -> str:
    """A time without its offset, which the column names: so that rows fit a line."""
    return told.removesuffix("+00:00")
