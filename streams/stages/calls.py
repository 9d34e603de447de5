"""Phone calls: joined to web sessions by the number dialled, and what that says of who is who.

Leases are keyed by cookie and calls by caller, so they lie in different partitions, with different
workers; they meet in the hash of their number (:mod:`models.number_book`). Whoever adds a field
looks at the whole hash afterwards and makes the links that follow from it. Then it looks again:
whatever another worker wrote meanwhile was seen either by that worker after our mark, or by us
now. A mark is written before its link, so a link that turns out wrong is found by whoever adds
the lease that proves it, and a crash in between leaves nothing that redelivery does not finish.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, TypeAlias, cast

import msgspec

from models.call_join import GRACE_MS, Joined
from models.calls import lease_of
from models.catalog_records import LineState
from models.commands import Command, Steps, fields_of
from models.events import Call, Event, NumberLease
from models.evidence import DEFAULT_LIMITS, FULL_CONFIDENCE, Evidence, Limits, encode_evidence
from models.forest import find
from models.identifiers import NodeId, is_visitor
from models.keys import Keys
from models.lines import LINE_SECONDS, line_entry, read_lines
from models.links import Linked as MadeLink
from models.links import LinkResult, link, withdraw
from models.number_book import (
    BOOK_SECONDS,
    NumberBook,
    entry_of,
    link_mark,
    read_book,
    wrong_mark,
)
from models.units import AdvertiserId

__all__ = [
    "CallNews",
    "JoinResult",
    "Linked",
    "NumberJoins",
    "SoftLink",
    "apply_soft_link",
    "join_number",
    "leave_soft_link",
    "link_told",
    "measure_lines",
    "news_of",
    "phone_events",
    "told_links",
]

SoftLinkKind = Literal["call_session", "form_phone", "repeat_call"]
JoinResult = Literal["joined", "ambiguous", "unmatched", "late", "withdrawn"]

FORM_PHONE: Final = 0.8
"""Who fills in a form gives a number under which they, or their family, can be reached."""
REPEAT_CALL: Final = 0.7
"""An operator recognised somebody by what they said."""


class SoftLink(msgspec.Struct, frozen=True):
    """Evidence that a caller's number and another node may be one person's.

    Attributes:
        caller: the number that called.
        other: the session's cookie, or another phone.
        kind: what speaks for it.
        call_id: the call that it comes from: one piece of evidence for each call and kind.
        time_ms: the call's start, Unix ms.
        confidence: in (0, 1], declared.
        withdrawn_ms: when it was first found that this call does not speak for it, if it ever did,
            Unix ms; None: it does.
    """

    caller: NodeId
    other: NodeId
    kind: SoftLinkKind
    call_id: str
    time_ms: int
    confidence: float
    withdrawn_ms: int | None = None

    @property
    def evidence(self) -> Evidence:
        """What it is to identity, which counts in percent."""
        confidence = round(self.confidence * FULL_CONFIDENCE)
        return Evidence("call_session", self.time_ms, confidence)


class Linked(msgspec.Struct, frozen=True):
    """What became of a soft link.

    Attributes:
        root: the caller's person.
        made: what identity made of it, with what changed around it where it was contested.
    """

    soft: SoftLink
    root: NodeId
    made: MadeLink

    @property
    def result(self) -> LinkResult:
        """The link's result."""
        return self.made.result


class NumberJoins(msgspec.Struct, frozen=True):
    """What one number's news led to: soft links, and each call's result by its id."""

    linked: tuple[Linked, ...]
    results: dict[str, JoinResult]


class CallNews(msgspec.Struct, frozen=True):
    """A batch's calls and leases: by number for joins, by advertiser for the lines."""

    by_number: dict[str, list[Call | NumberLease]]
    by_advertiser: dict[AdvertiserId, list[Call]]
    told: tuple[SoftLink, ...]


PhoneEvent: TypeAlias = Call | NumberLease
_PHONE_CLASSES: Final[frozenset[type]] = frozenset({Call, NumberLease})
"""Looked up by class: isinstance costs 0.4 us for each event that is neither."""
Apply: TypeAlias = Callable[[SoftLink], Steps[Linked]]


def phone_events(events: Iterable[Event]) -> list[PhoneEvent]:
    """Those of a batch that speak of phone calls: few, so what follows costs the rest nothing."""
    return cast("list[PhoneEvent]", [one for one in events if one.__class__ in _PHONE_CLASSES])


def news_of(events: Iterable[PhoneEvent]) -> CallNews:
    """Sorts out what a batch says of phone calls.

    A call that names its web session is joined to no other by its number.
    """
    by_number: defaultdict[str, list[Call | NumberLease]] = defaultdict(list)
    by_advertiser: defaultdict[AdvertiserId, list[Call]] = defaultdict(list)
    told: list[SoftLink] = []
    for event in events:
        if isinstance(event, NumberLease):
            by_number[event.number].append(event)
            continue
        told += told_links(event)
        if not event.is_outbound:
            by_advertiser[event.advertiser].append(event)
            if event.called_number and not any(map(is_visitor, event.ids)):
                by_number[event.called_number].append(event)
    return CallNews(dict(by_number), dict(by_advertiser), tuple(told))


def told_links(call: Call) -> list[SoftLink]:
    """What a call itself says of other phones: the form of its deal, the call that it repeats.

    Persons must follow from events alone, so what the catalogue says of the call's tag is no
    matter here: a tag that is configured anew would make other persons at a rebuild.
    """
    caller = call.ids[0]
    told: list[tuple[NodeId | None, SoftLinkKind, float]] = [
        (call.form_phone, "form_phone", FORM_PHONE),
        (call.repeat_of, "repeat_call", REPEAT_CALL),
    ]
    return [
        SoftLink(caller, other, kind, call.call_id, call.event_time_ms, confidence)
        for other, kind, confidence in told
        if other is not None and other != caller
    ]


def apply_soft_link(
    keys: Keys,
    soft: SoftLink,
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Linked]:
    """Makes a soft link, or takes it back; the only place where calls touch identity.

    The link is the weakest kind of evidence, and below the least confidence of
    :class:`models.evidence.Limits` it waits for somebody's approval.
    """
    follow = link if soft.withdrawn_ms is None else withdraw
    made = yield from follow(
        keys, soft.caller, soft.other, soft.evidence, next_token, limits=limits
    )
    return Linked(soft, (yield from find(keys, soft.caller)), made)


def leave_soft_link(keys: Keys, soft: SoftLink) -> Steps[Linked]:
    """Makes no link: only the book of its number says who was joined to whom."""
    return Linked(soft, (yield from find(keys, soft.caller)), MadeLink("known"))


def link_told(soft: SoftLink, apply: Apply) -> Steps[NumberJoins]:
    """Makes a link that a call told of by itself."""
    return NumberJoins(((yield from apply(soft)),), {})


def join_number(
    keys: Keys,
    number: str,
    news: Sequence[Call | NumberLease],
    *,
    now_ms: int,
    apply: Apply,
    grace_ms: int = GRACE_MS,
) -> Steps[NumberJoins]:
    """Adds calls and leases of one number, and makes or takes back the links that follow.

    Args:
        keys: the owner's key names.
        number: E.164.
        news: all of this number.
        now_ms: the present, Unix ms.
        apply: makes a soft link, or withdraws it; both may be done again.
        grace_ms: how long after a lease its number may still be dialled.
    """
    key = keys.number(number)
    entries = [part for event in news for part in entry_of(event)]
    *_, reply = yield [("HSET", key, *entries), ("EXPIRE", key, BOOK_SECONDS), ("HGETALL", key)]
    calls = {event.call_id for event in news if isinstance(event, Call)}
    leases = {lease_of(event).lease_id for event in news if isinstance(event, NumberLease)}
    linked: list[Linked] = []
    applied: dict[str, SoftLink] = {}
    while True:
        book = read_book(fields_of(reply), now_ms, grace_ms)
        own = (calls & book.calls.keys()) | book.calls_within(leases)
        # What was told of other calls may have been wrong by then, too.
        concerned = own | (applied.keys() & book.calls.keys())
        wanted = {one: soft for one in sorted(concerned) if (soft := _soft_link(book, one))}
        withdrawn = [
            soft for one in sorted(concerned) for soft in _withdrawn(book, one, wanted, now_ms)
        ]
        wanted |= _strongest(book, [*withdrawn, *wanted.values()])
        if wanted == applied and not (withdrawn and not linked):
            break
        marks = [
            part
            for call_id, soft in wanted.items()
            for part in (link_mark(soft.other, call_id), soft.evidence.confidence)
        ]
        marked: list[Command] = [("HSET", key, *marks)] if marks else []
        # The first time stands: every lease that is renewed takes the link back once more.
        marked += [
            ("HSETNX", key, wrong_mark(soft.other, soft.call_id), now_ms) for soft in withdrawn
        ]
        if marked:
            yield marked
        for soft in (*withdrawn, *_weakest_first(wanted.values())):
            linked += [(yield from apply(soft))]
        applied = wanted
        (reply,) = yield [("HGETALL", key)]
    if book.stale:
        yield [("HDEL", key, *book.stale)]
    results: dict[str, JoinResult] = dict.fromkeys(calls, "late")
    results |= {one: _result(book, one, wanted) for one in own}
    return NumberJoins(tuple(linked), results)


def _soft_link(book: NumberBook, call_id: str) -> SoftLink | None:
    outcome, call = book.outcome(call_id), book.calls[call_id]
    if not isinstance(outcome, Joined):
        return None
    session, confidence = outcome.lease.session, outcome.confidence
    return SoftLink(call.caller, session, "call_session", call_id, call.time_ms, confidence)


def _withdrawn(
    book: NumberBook, call_id: str, wanted: dict[str, SoftLink], now_ms: int
) -> list[SoftLink]:
    """The links that the call was once thought to make, and does not."""
    right = wanted.get(call_id)
    call = book.calls[call_id]
    return [
        SoftLink(
            call.caller,
            session,
            "call_session",
            call_id,
            call.time_ms,
            percent / FULL_CONFIDENCE,
            withdrawn_ms=book.wrong_ms.get((call_id, session), now_ms),
        )
        for session, percent in sorted(book.linked.get(call_id, {}).items())
        if right is None or session != right.other
    ]


def _strongest(book: NumberBook, changed: Iterable[SoftLink]) -> dict[str, SoftLink]:
    """Of each pair that was changed the call that says most, by its id.

    Of a pair one evidence is kept, so what this call says may have been lost when another one, that
    says less now or nothing, said more.
    """
    pairs = {(soft.caller, soft.other) for soft in changed}
    callers = {caller for caller, _ in pairs}
    links = [_soft_link(book, one) for one, call in book.calls.items() if call.caller in callers]
    by_pair = {(soft.caller, soft.other): soft for soft in _weakest_first(filter(None, links))}
    return {soft.call_id: soft for pair, soft in by_pair.items() if pair in pairs}


def _weakest_first(links: Iterable[SoftLink]) -> list[SoftLink]:
    """The order in which the strongest evidence of each pair is the one that is kept.

    A call that says less than it did replaces what it said itself, and nothing else; whatever says
    more comes after it.
    """
    return sorted(links, key=lambda soft: encode_evidence(soft.evidence), reverse=True)


def _result(book: NumberBook, call_id: str, wanted: dict[str, SoftLink]) -> JoinResult:
    if call_id in wanted:
        return "joined"
    return "ambiguous" if book.outcome(call_id) == "ambiguous" else "unmatched"


def measure_lines(
    keys: Keys, advertiser: AdvertiserId, calls: Sequence[Call], *, now_ms: int
) -> Steps[LineState | None]:
    """Adds an advertiser's inbound calls, and tells how the lines do.

    Returns:
        The state; None when no call of the window was lost: bidders then know nothing to mend, or
        know of older losses that count less by the minute.
    """
    key = keys.lines(advertiser)
    entries = [part for call in calls for part in line_entry(call)]
    *_, reply = yield [("HSET", key, *entries), ("EXPIRE", key, LINE_SECONDS), ("HGETALL", key)]
    state, stale = read_lines(advertiser, fields_of(reply), now_ms)
    if stale:
        remove: Command = ("HDEL", key, *stale)
        yield [remove]
    return state if any(lost for _, _, lost in state.minutes) else None
