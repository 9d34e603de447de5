"""From a partition's records to generators that fold them into persons.

One generator per identifier keeps its records in order; those of different identifiers run side
by side. A second round publishes each touched person's bid view once per batch.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, cast

import msgspec

from models.caps import CapLedger, decode_ledger, encode_ledger, fold_outcome
from models.card_words import word_of
from models.commands import Steps
from models.errors import EventError
from models.events import (
    AccountErased,
    Billing,
    CrmSplit,
    Event,
    Outcome,
    SignIn,
    read_event,
    read_outcome,
)
from models.evidence import (
    DEFAULT_LIMITS,
    Limits,
    Pair,
    decode_evidence,
    encode_evidence,
    evidence_of,
    pair_of,
)
from models.facets import Facet, decode_facet, encode_facet, fold_event
from models.identifiers import NodeId, is_account, is_crm
from models.identity import fold
from models.keys import Keys
from models.link_records import ToldRecord, told_record
from models.links import Contested, Linked, declare, follow, look
from models.outcomes import ImportedImpression
from models.profile import is_seen_alike

__all__ = [
    "Batch",
    "KnownLinks",
    "LastRoots",
    "Refused",
    "Touched",
    "digest_events",
    "digest_outcomes",
    "look_around",
    "read_batch",
]

Entry: TypeAlias = tuple[int, Event]
Notice: TypeAlias = tuple[int, Outcome]

KNOWN_LINKS: Final = 200_000
COUNTED: Final = (Billing, ImportedImpression)
LAST_ROOTS: Final = 200_000
"""Takes some 50 MB."""


class Refused(msgspec.Struct, frozen=True):
    """A record that cannot be processed, and why."""

    offset: int
    key: bytes | None
    value: bytes | None
    reason: str


class Batch(msgspec.Struct, frozen=True):
    """One partition's records, decoded and grouped by identifier in the order of their offsets."""

    events: dict[NodeId, list[Entry]]
    outcomes: dict[NodeId, list[Notice]]
    refused: list[Refused]


class Touched(msgspec.Struct, frozen=True):
    """What one generator did.

    Attributes:
        node: the identifier whose records were folded.
        root: its person then; a split may come before the bid view is written.
        links: what became of the links, with what changed around those that were contested.
        pairs: the pairs of these links.
        told: what was told of these pairs; None where that is the CRM's word on two cards.
        contested: links that were kept and not followed yet: :func:`look_around`.
        is_view_new: whether their bid view may have to change. False only where all records were
            folded just now and none of them shows in a view: a record that was folded before may
            have met a crash before its publication.
        billed: impressions that were folded just now, of bids whose time is known.
    """

    node: NodeId
    root: NodeId
    links: tuple[Linked, ...] = ()
    pairs: tuple[Pair, ...] = ()
    told: tuple[ToldRecord | None, ...] = ()
    contested: tuple[Contested, ...] = ()
    is_view_new: bool = True
    billed: tuple[Billing, ...] = ()

    @property
    def others(self) -> set[NodeId]:
        """Everybody else whose bid view is to be written, too."""
        changed = (one.resettled.to_publish for one in self.links if one.resettled is not None)
        return {pair[0] for pair in self.pairs if self.node not in pair}.union(*changed)


class LastRoots:
    """Where this worker's identifiers stood last, so that a fold need not search.

    That takes 0.97 of an event's CPU, and 0.92 of Redis'. A root that is none any more costs one
    command, so nothing here ever has to be forgotten.
    """

    def __init__(self) -> None:
        self._roots: dict[NodeId, NodeId] = {}
        self.of: Final = self._roots.get

    def learn(self, touched: Iterable[Touched]) -> None:
        """Remembers the roots of what was folded; begins anew when there are too many."""
        if len(self._roots) >= LAST_ROOTS:
            self._roots.clear()
        self._roots.update({one.node: one.root for one in touched})


class KnownLinks:
    """Evidence that this worker has followed: a page view with two ids repeats it for ever."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[NodeId, NodeId], tuple[bytes, ...]] = {}
        self._erased_ms: dict[NodeId, int] = {}

    def holds(self, pair: tuple[NodeId, NodeId], evidence: bytes) -> bool:
        """Whether evidence as strong and as early as this has been followed before.

        What is weaker and earlier decides nothing, but the pair's history begins with it.
        """
        for one in self._pairs.get(pair, ()):
            if _outdoes(one, evidence) and (not self._erased_ms or self._counts(pair[0], one)):
                return True
        return False

    def _counts(self, node: NodeId, evidence: bytes) -> bool:
        """Whether evidence is newer than an erasure; nobody was erased, mostly."""
        erased_ms = self._erased_ms.get(node)
        return erased_ms is None or decode_evidence(evidence).time_ms > erased_ms

    def add(self, pair: tuple[NodeId, NodeId], evidence: bytes) -> None:
        """Remembers a pair's evidence; begins anew when there are too many pairs."""
        if len(self._pairs) >= KNOWN_LINKS:
            self._pairs.clear()
        known = self._pairs.get(pair, ())
        self._pairs[pair] = (evidence, *(one for one in known if not _outdoes(evidence, one)))

    def forget(self, node: NodeId, erased: NodeId, erased_ms: int) -> None:
        """Forgets a pair of which one was erased, or all of ``node`` where that is it."""
        if node != erased:
            self._pairs.pop((node, erased), None)
            return
        if len(self._erased_ms) >= KNOWN_LINKS:
            self.clear()
        self._erased_ms[node] = erased_ms

    def clear(self) -> None:
        """Forgets all, for a Redis that may have forgotten too."""
        self._pairs.clear()
        self._erased_ms.clear()


_TIME: Final = slice(-13, None)


def _outdoes(one: bytes, other: bytes) -> bool:
    """Whether encoded evidence is at least as strong and as early as another."""
    return one <= other and one[_TIME] <= other[_TIME]


def read_batch(
    records: Iterable[tuple[int, int, bytes | None, bytes | None]],
    kind: Literal["events", "outcomes"],
) -> Batch:
    """Decodes one partition's records: (offset, timestamp, key, value) each, rising offsets.

    A record that cannot be decoded stands in ``refused`` and stops nobody else.
    """
    events: defaultdict[NodeId, list[Entry]] = defaultdict(list)
    outcomes: defaultdict[NodeId, list[Notice]] = defaultdict(list)
    refused: list[Refused] = []
    for offset, recorded_ms, key, value in records:
        try:
            if kind == "events":
                event = read_event(key, value, recorded_ms)
                events[event.ids[0]].append((offset, event))
            else:
                outcome = read_outcome(key, value, recorded_ms)
                outcomes[outcome.node].append((offset, outcome))
        except EventError as error:
            refused.append(Refused(offset, key, value, str(error)))
    return Batch(dict(events), dict(outcomes), refused)


def digest_events(
    keys: Keys,
    node: NodeId,
    epoch: int,
    entries: Sequence[Entry],
    *,
    known: KnownLinks,
    next_token: Callable[[], str],
    limits: Limits = DEFAULT_LIMITS,
    last_root: NodeId | None = None,
) -> Steps[Touched]:
    """Makes the links that one identifier's events are evidence of, and folds them.

    Links come first: what an event says of somebody who was erased since is not to be folded.
    Those that are contested are left to :func:`look_around`, which looks for a whole batch.
    """
    made = yield from _follow(
        keys, node, entries, known=known, next_token=next_token, limits=limits
    )
    if made.erased:
        entries = _without_erased(entries, made.erased)
    is_view_new = True

    def apply(encoded: bytes | None, erased_ms: int) -> bytes | None:
        nonlocal is_view_new
        before = facet = Facet() if encoded is None else decode_facet(encoded)
        for offset, event in entries:
            if offset > facet.watermark:
                facet = (
                    fold_event(facet, event, offset)
                    if event.event_time_ms > erased_ms
                    else msgspec.structs.replace(facet, watermark=offset)
                )
        # The first offset tells: the entries rise.
        is_all_new = encoded is not None and entries[0][0] > before.watermark
        is_view_new = not (is_all_new and is_seen_alike(before, facet))
        return None if facet.watermark == before.watermark else encode_facet(facet)

    root = yield from fold(keys, node, "f", epoch, apply, last_root=last_root)
    links, contested = tuple(made.links), tuple(made.contested)
    return Touched(
        node, root, links, tuple(made.pairs), tuple(made.told), contested,
        is_view_new or bool(links or contested),
    )  # fmt: skip


def look_around(
    keys: Keys,
    touched: Sequence[Touched],
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[list[Touched]]:
    """Looks at all evidence around a batch's contested links; what was touched, with their ends."""
    contested = [one for each in touched for one in each.contested]
    if not contested:
        return list(touched)  # nearly every batch
    linked = iter((yield from look(keys, contested, next_token, limits=limits)))
    return [
        msgspec.structs.replace(
            each,
            links=(*each.links, *itertools.islice(linked, len(each.contested))),
            pairs=(*each.pairs, *(pair_of(one.a, one.b) for one in each.contested)),
            told=(*each.told, *(told_record(o.a, o.b, o.evidence) for o in each.contested)),
            contested=(),
        )
        for each in touched
    ]


class _Made(msgspec.Struct):
    """Links, their pairs, what was told of these, contested ones, and the erased by offset."""

    links: list[Linked] = []
    pairs: list[Pair] = []
    told: list[ToldRecord | None] = []
    contested: list[Contested] = []
    erased: dict[int, set[NodeId]] = {}


def _follow(
    keys: Keys,
    node: NodeId,
    entries: Sequence[Entry],
    *,
    known: KnownLinks,
    next_token: Callable[[], str],
    limits: Limits,
) -> Steps[_Made]:
    """Follows what events say about who is one person."""
    made = _Made()
    for offset, event in entries:
        if isinstance(event, AccountErased):
            known.forget(node, event.account, event.event_time_ms)
        for one, other in _pairs_of(event):
            word, told = word_of(event), None
            if word is not None:
                # Of these the newest stands, not the first, and they are rare: none is skipped.
                done = yield from declare(keys, one, other, word, next_token, limits=limits)
            else:
                tag = cast("str", event.__struct_config__.tag)
                evidence = evidence_of(tag, other, event.event_time_ms)
                encoded = encode_evidence(evidence)
                if other == one or known.holds((one, other), encoded):
                    continue
                followed = yield from follow(keys, one, other, evidence, next_token, limits=limits)
                if isinstance(followed, Contested):
                    known.add((one, other), encoded)
                    made.contested.append(followed)
                    continue
                done, told = followed, told_record(one, other, evidence)
                if done.result != "erased":
                    known.add((one, other), encoded)
            if done.result == "erased" and one == node:
                made.erased.setdefault(offset, set()).add(other)
            made.links.append(done)
            made.pairs.append(pair_of(one, other))
            made.told.append(told)
    return made


def _pairs_of(event: Event) -> Iterable[tuple[NodeId, NodeId]]:
    """Of whom an event says that they are one person, or one person's no more.

    Mostly of its first identifier and each further one. The identifiers of one account are one
    person's whatever becomes of the device at which it signed in, which may be everybody's.
    """
    node, *others = event.ids
    if not others:
        return ()  # most events
    pairs = [(node, other) for other in others]
    if len(others) < 2 or not isinstance(event, SignIn | CrmSplit):
        return pairs
    if isinstance(event, CrmSplit):
        return itertools.combinations(event.ids, 2)
    accounts = [one for one in others if is_account(one) or is_crm(one)]
    return pairs + [(accounts[0], one) for one in accounts[1:]]


def _without_erased(entries: Sequence[Entry], erased: Mapping[int, set[NodeId]]) -> list[Entry]:
    return [
        (offset, msgspec.structs.replace(event, ids=_others(event.ids, erased.get(offset, set()))))
        for offset, event in entries
    ]


def _others(ids: tuple[NodeId, ...], erased: set[NodeId]) -> tuple[NodeId, ...]:
    return tuple(node for node in ids if node not in erased)


def digest_outcomes(
    keys: Keys,
    node: NodeId,
    epoch: int,
    entries: Sequence[Notice],
    *,
    last_root: NodeId | None = None,
) -> Steps[Touched]:
    """Folds one identifier's notices into its cap ledger."""
    is_view_new = True
    billed: list[Billing] = []

    def apply(encoded: bytes | None, erased_ms: int) -> bytes | None:
        nonlocal is_view_new
        billed.clear()  # a fold that met a merge is done again
        ledger = CapLedger() if encoded is None else decode_ledger(encoded)
        before = ledger.watermark
        for offset, outcome in entries:
            if offset > ledger.watermark:
                count = ledger.billed_count
                ledger = (
                    fold_outcome(ledger, outcome, offset)
                    if outcome.time_ms > erased_ms
                    else msgspec.structs.replace(ledger, watermark=offset)
                )
                is_counted = ledger.billed_count > count
                if isinstance(outcome, Billing) and outcome.bid_time_ms and is_counted:
                    billed.append(outcome)
        # A win moves no cap and no spend.
        is_view_new = entries[0][0] <= before or any(isinstance(o, COUNTED) for _, o in entries)
        return None if ledger.watermark == before else encode_ledger(ledger)

    root = yield from fold(keys, node, "c", epoch, apply, last_root=last_root)
    return Touched(node, root, is_view_new=is_view_new, billed=tuple(billed))
