"""Tables for people: links, verdicts and what they did, and how a person came to be."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.markup import escape

from kinbid.decide_link import Decided
from kinbid.link_history import LinkHistory, ToldMoment
from kinbid.person_summary import PersonSummary
from kinbid.show import console, table
from kinbid.told_link import ToldLink, named, seen_at, utc
from models.evidence import FULL_CONFIDENCE, Kind, Reason
from models.identifiers import NodeId
from models.link_records import QuarantineRecord

__all__ = [
    "KIND_WORDS",
    "REASON_WORDS",
    "show_decided",
    "show_history",
    "show_names",
    "show_quarantine",
]

KIND_WORDS: Final[dict[Kind, str]] = {
    "crm_merge": "the CRM has merged the two cards",
    "crm_card": "on one card of the CRM",
    "sign_in": "signed in",
    "seen_with": "named by one event",
    "call_session": "called a number that was shown there",
}
REASON_WORDS: Final[dict[Reason, str]] = {
    "rejected": "somebody has decided so",
    "two_crm_persons": "each side has a CRM id, so they are two customers",
    "shared_device": "several customers have signed in on the device: it stands alone",
    "cards_split": "a chain of merges would join cards that the CRM has split since",
    "too_many_links": "one side has more links than its kind may have",
    "too_many_identifiers": "the person would have too many identifiers",
    "other_phone": "a call from another phone than the form of the same web session gives",
    "weak": "soft evidence, below the confidence that is wanted",
}


def show_quarantine(records: Sequence[QuarantineRecord], most: int) -> None:
    """Links that are not made, as many as wanted, and what their reasons mean."""
    if not records:
        console.print("no link is held back")
        return
    rows = table("links that are not made", "why, since (UTC)", "evidence (UTC)", "between")
    for one in records[:most]:
        why = f"{one.reason}\n{utc(one.noted_ms)}"
        at = seen_at(one.event_time_ms)
        seen = f"{one.kind}\n{at}" if at else "somebody's word"
        rows.add_row(why, seen, _between(one.a, one.b))
    console.print(rows)
    if len(records) > most:
        console.print(f"... and {len(records) - most:,} older ones: --limit {len(records)}")
    console.print()
    for reason, count in Counter(one.reason for one in records).most_common():
        console.print(f"{count:,} {reason}: {REASON_WORDS[reason]}")
    console.print("`kinbid links approve A B` or `reject A B` decides; nodes are taken as printed")


def show_names(names: Mapping[str, NodeId]) -> None:
    """Which nodes stand for identifiers that people gave: everything else tells of nodes."""
    for name, node in names.items():
        if name != node:
            console.print(f"{escape(_plain(name))} is {named(node)}")


def show_decided(decided: Decided, *, is_dry_run: bool) -> None:
    """Who was who before a verdict, who is who after it, and why that may not be as wanted."""
    word = "approved" if decided.verdict == "approved" else "withdrawn"
    if is_dry_run:
        word = f"would be {word}"
    console.print(f"{word}{_by(decided.by, decided.why)}:")
    console.print(_between(decided.a, decided.b))
    if decided.verdict_before == decided.verdict:
        console.print("The same was decided before.")
    _show_persons("\nbefore", decided.before)
    if not decided.carried_out and not is_dry_run:
        return
    _show_persons("\nwhat would follow" if is_dry_run else "\nafter", decided.after)
    count = "one person" if decided.is_one else "two persons"
    verb = "would belong" if is_dry_run else "belong"
    console.print(f"\nThe two {verb} to {count}.")
    if decided.through:
        console.print("Other links still make them one; withdraw what is wrong of these:")
        for one in decided.through:
            seen = f"{KIND_WORDS[one.kind]}, {one.seen}" if one.kind else "approved by somebody"
            console.print(f"    kinbid unlink {one.a} {one.b}    # {seen}")
    elif decided.verdict == "approved" and decided.reason is not None:
        console.print(f"The link itself is not made: {REASON_WORDS[decided.reason]}.")


def _show_persons(title: str, persons: Iterable[PersonSummary]) -> None:
    rows = table(title, "person", "identifiers", "segments", "orders", "impressions")
    for number, one in enumerate(persons, 1):
        rows.add_row(
            str(number),
            _listed(one.identifiers, one.shared),
            "\n".join(one.segments),
            "\n".join(f"{name} {count}" for name, count in one.orders.items()) or "none",
            str(one.impressions),
        )
    console.print(rows)


def show_history(report: LinkHistory) -> None:
    """What happened to a person's links, and how these stand."""
    console.print(f"person {report.person}, seen from {named(report.identifier)}")
    console.print(_listed(report.identifiers, report.shared))
    if not report.history:
        console.print("\nNothing has ever been linked with it.")
        return
    rows = table("\nhistory", "when (UTC)", "what happened to which link, and + - to the person")
    for one in report.history:
        rows.add_row(one.time, "\n".join(_told(one)))
    console.print(rows)
    if not report.is_whole:
        console.print("Too many links are around it: those of other persons are left out.")
    if not report.links:
        return
    rows = table("\nlinks as they stand", "made", "evidence (UTC)", "between")
    for link in report.links:
        rows.add_row(link.reason or "yes", _evidence(link), _between(link.a, link.b))
    console.print(rows)


def _told(one: ToldMoment) -> list[str]:
    """A moment in lines: the cause, the link, and what changed about the person."""
    lines = [_cause(one), f"    {named(one.a)}", f"    {named(one.b)}"]
    if one.is_pending:
        lines.append("  waits for streams")
    if one.what not in {"refused", "rejected"} and one.reason is not None:
        lines.append(f"  not linked: {REASON_WORDS[one.reason]}")
    lines += [f"  + {named(node)}" for node in one.joined]
    lines += [f"  - {named(node)}" for node in one.left]
    if one.joined or one.left:
        lines.append(f"  = {one.size} identifier{'s' * (one.size > 1)}")
    return lines


def _cause(one: ToldMoment) -> str:
    if one.what == "crm_split":
        return "the CRM has split the cards"
    if one.what == "withdrawn":
        return f"link withdrawn: a lease that was told later takes the call of {one.seen} from it"
    if one.kind is not None:
        soft = f" ({one.confidence} %)" if one.confidence != FULL_CONFIDENCE else ""
        survivor = f"; {named(one.survivor)} goes on for both" if one.survivor else ""
        return KIND_WORDS[one.kind] + soft + survivor
    if one.reason is not None and one.what == "refused":
        return f"link refused: {REASON_WORDS[one.reason]}"
    if one.what == "accepted":
        return "the refusal is over"
    return ("link approved" if one.what == "approved" else "link withdrawn") + _by(one.by, one.why)


def _evidence(link: ToldLink) -> str:
    if link.kind is None:
        return "somebody's word"
    soft = f" ({link.confidence} %)" if link.confidence != FULL_CONFIDENCE else ""
    approved = ", approved" if link.verdict == "approved" else ""
    return f"{link.kind}{soft}{approved}\n{link.seen}"


def _listed(nodes: Iterable[NodeId], shared: Sequence[NodeId]) -> str:
    return "\n".join(named(one) + " (shared device)" * (one in shared) for one in nodes)


def _between(a: NodeId, b: NodeId) -> str:
    return f"{named(a)}\n{named(b)}"


def _by(by: str, why: str) -> str:
    """Who and why, in their own words; nothing in them is an order to the terminal."""
    told = (f" by {_plain(by)}" if by else "") + (f": '{_plain(why)}'" if why else "")
    return escape(told)


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
