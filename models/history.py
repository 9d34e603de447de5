"""How a person came to be: what happened to their links, and what each made of the person. Pure.

Persons are a function of the set of evidence, so who they were at a time is that function of what
had happened by then: evidence at the time of its event, verdicts when they were given. Events that
were told late stand where they belong, so this is the history of the customer rather than of the
machine; only notes of refusals have the machine's time.

Redis keeps only the strongest and earliest evidence of each pair. What made a link before that, and
what was found wrong, is told by the topic of link histories.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from models.card_words import CardStory, CardWord, apart_of, encode_word, laid_over
from models.evidence import (
    DEFAULT_LIMITS,
    FULL_CONFIDENCE,
    UNSEEN,
    Edge,
    Evidence,
    Kind,
    Limits,
    Pair,
    Reason,
    Verdict,
    canonical,
    encode_evidence,
    is_unseen,
    overloaded_by,
)
from models.identifiers import NodeId
from models.link_records import ToldRecord, VerdictRecord

__all__ = ["MOST_REPLAYED", "Moment", "Note", "What", "history"]

MOST_REPLAYED: Final = 500
"""Links that are replayed at the most; beyond that only those of the person's own identifiers."""

What = Literal["seen", "withdrawn", "crm_split", "refused", "accepted", "approved", "rejected"]

NO_CARDS: Final[Mapping[Pair, CardStory]] = MappingProxyType({})

_WHAT_OF: Final[dict[Verdict, What]] = {"approved": "approved", "rejected": "rejected"}


class Note(msgspec.Struct, frozen=True):
    """Streams refused a link, or (without a reason) found an earlier refusal to be over.

    Attributes:
        pair: the link.
        time_ms: when, Unix ms.
        reason: why it is not made; None when it is again.
    """

    pair: Pair
    time_ms: int
    reason: Reason | None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a link.

    Attributes:
        time_ms: Unix ms.
        pair: the link.
        what: ``seen`` when evidence came, ``withdrawn`` when streams found it wrong (a lease that
            was told later showed that a call may be another session's), ``crm_split`` when the CRM
            said that two of its cards are two customers', ``refused`` and ``accepted`` when streams
            noted that the link is not made or is again, else the verdict.
        kind, confidence: of the evidence that was seen or found wrong; confidence in percent.
        seen_ms: of evidence that was found wrong, the time of its event, Unix ms.
        survivor: of cards that the CRM merged, the one that goes on for both.
        reason: why the link was not made by what was seen, or why it is refused.
        by, why: who gave the verdict, and their reason.
        is_pending: the verdict has not been carried out yet, so it changed nothing.
        joined: identifiers that this brought to the person.
        left: identifiers that this took from the person.
        size: how many identifiers the person had afterwards.
    """

    time_ms: int
    pair: Pair
    what: What
    kind: Kind | None = None
    confidence: int | None = None
    seen_ms: int | None = None
    survivor: NodeId | None = None
    reason: Reason | None = None
    by: str = ""
    why: str = ""
    is_pending: bool = False
    joined: tuple[NodeId, ...] = ()
    left: tuple[NodeId, ...] = ()
    size: int = 1


def history(
    node: NodeId,
    members: Iterable[NodeId],
    edges: Mapping[Pair, Edge],
    *,
    verdicts: Sequence[VerdictRecord] = (),
    notes: Iterable[Note] = (),
    told: Iterable[ToldRecord] = (),
    cards: Mapping[Pair, CardStory] = NO_CARDS,
    overloaded: frozenset[NodeId] = frozenset(),
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Moment, ...]:
    """What happened to the links of a person, in the order of time.

    Args:
        node: the identifier whose person it is about: ``joined`` and ``left`` are seen from it.
        members: the person's identifiers now.
        edges: what is known of each pair around, verdicts that have been carried out included.
        verdicts: what was decided about these pairs, in the order of its telling. Those after the
            last one that ``edges`` has wait to be carried out.
        notes: what streams noted about them.
        told: what was ever told of them, and of pairs that are not in ``edges`` any more.
        cards: what the CRM said of pairs of its cards, merges that stand included.
        overloaded: identifiers that have too many links now. They count as such from when the edges
            show it; those of which they do not, since more was told than is kept, all the time.
        limits: the blast radius, as it is now.

    Returns:
        What happened to the members' own links, and whatever else changed the person of ``node``.
    """
    own = frozenset(members)

    def is_replayed(pair: Pair) -> bool:
        return len(edges) <= MOST_REPLAYED or not own.isdisjoint(pair)

    replayed = {pair: edge for pair, edge in _beside(edges, cards).items() if is_replayed(pair)}
    past = _past(replayed, [one for one in told if is_replayed((one.a, one.b))])
    verdicts = _without_repeats(verdicts)
    unshown = overloaded - overloaded_by(replayed, limits)
    replay = _Replay(node, unshown, limits, _told_beforehand(replayed, verdicts))
    happened = [*_said(cards), *past, *_moments(replayed, verdicts, notes)]
    moments = [
        replay.play(moment)
        for moment in sorted(happened, key=lambda one: one.time_ms)
        if replay.is_news(moment)
    ]
    return tuple(one for one in moments if own.intersection(one.pair) or one.joined or one.left)


def _beside(edges: Mapping[Pair, Edge], cards: Mapping[Pair, CardStory]) -> Mapping[Pair, Edge]:
    """What is known of each pair beside the CRM's words, which come and go in time."""
    if not cards:
        return edges
    known = {pair: edge for pair, edge in edges.items() if pair not in cards}
    for pair, story in cards.items():
        verdict = edges[pair].verdict if pair in edges else None
        if story.beside is not None or verdict is not None:
            known[pair] = Edge(story.beside or UNSEEN, verdict)
    return known


def _without_repeats(verdicts: Sequence[VerdictRecord]) -> list[VerdictRecord]:
    """Verdicts without those that say of a pair what was said of it before: they change nothing."""
    last: dict[Pair, Verdict] = {}
    told: list[VerdictRecord] = []
    for one in verdicts:
        if last.get((one.a, one.b)) != one.verdict:
            last[one.a, one.b] = one.verdict
            told.append(one)
    return told


def _said(cards: Mapping[Pair, CardStory]) -> list[Moment]:
    """What the CRM said of its cards."""
    return [
        Moment(time_ms=word.time_ms, pair=pair, what="crm_split")
        if word.survivor is None
        else Moment(
            time_ms=word.time_ms, pair=pair, what="seen", kind="crm_merge",
            confidence=FULL_CONFIDENCE, survivor=word.survivor,
        )
        for pair, story in sorted(cards.items())
        for word in story.words
    ]  # fmt: skip


def _past(edges: Mapping[Pair, Edge], told: Iterable[ToldRecord]) -> list[Moment]:
    """What made links before their strongest evidence came, and what was found wrong."""
    moments: list[Moment] = []
    best: dict[Pair, Evidence] = {}
    for one in sorted(told, key=lambda one: one.event_time_ms):
        pair = (one.a, one.b)
        evidence = Evidence(one.kind, one.event_time_ms, one.confidence)
        last = edges[pair].evidence if pair in edges else None
        if one.withdrawn_ms is not None:
            if _source(last) != _source(evidence):
                moments += [_seen(pair, evidence), _wrong(pair, evidence, one.withdrawn_ms)]
        elif last is not None and _comes_between(best.get(pair), evidence, last):
            best[pair] = evidence
            moments.append(_seen(pair, evidence))
    return moments


def _comes_between(best: Evidence | None, evidence: Evidence, last: Evidence) -> bool:
    """Whether evidence is the strongest of its pair when it comes, with the last still to come."""
    if evidence.time_ms >= last.time_ms or encode_evidence(evidence) < encode_evidence(last):
        return False
    return best is None or encode_evidence(evidence) < encode_evidence(best)


def _source(evidence: Evidence | None) -> tuple[Kind, int] | None:
    return None if evidence is None else (evidence.kind, evidence.time_ms)


def _seen(pair: Pair, evidence: Evidence) -> Moment:
    return Moment(
        time_ms=evidence.time_ms, pair=pair, what="seen", kind=evidence.kind,
        confidence=evidence.confidence,
    )  # fmt: skip


def _wrong(pair: Pair, evidence: Evidence, withdrawn_ms: int) -> Moment:
    """Never before the evidence itself, which may have been dated ahead."""
    seen = _seen(pair, evidence)
    time_ms = max(withdrawn_ms, seen.time_ms)
    return msgspec.structs.replace(
        seen, what="withdrawn", time_ms=time_ms, seen_ms=evidence.time_ms
    )


def _told_beforehand(
    edges: Mapping[Pair, Edge], verdicts: Sequence[VerdictRecord]
) -> dict[Pair, Edge]:
    """Verdicts that are carried out and of which no record is left: they hold from the start."""
    told = {(one.a, one.b) for one in verdicts}
    return {
        pair: Edge(UNSEEN, edge.verdict)
        for pair, edge in edges.items()
        if edge.verdict is not None and pair not in told
    }


def _moments(
    edges: Mapping[Pair, Edge], verdicts: Sequence[VerdictRecord], notes: Iterable[Note]
) -> list[Moment]:
    """All that happened, without what it came to; evidence before what followed from it."""
    seen = [
        _seen(pair, edge.evidence)
        for pair, edge in sorted(edges.items())
        if not is_unseen(edge.evidence.time_ms)
    ]
    done = _carried_out(edges, verdicts)
    decided = [
        Moment(
            time_ms=one.at_ms, pair=(one.a, one.b), what=_WHAT_OF[one.verdict], by=one.by,
            why=one.reason, is_pending=number > done.get((one.a, one.b), -1),
        )
        for number, one in enumerate(verdicts)
    ]  # fmt: skip
    noted = [
        Moment(
            time_ms=one.time_ms, pair=one.pair, what="refused" if one.reason else "accepted",
            reason=one.reason,
        )
        for one in notes
        if one.pair in edges and one.reason != "rejected"  # a verdict's, which is told itself
    ]  # fmt: skip
    return [*seen, *decided, *noted]


def _carried_out(edges: Mapping[Pair, Edge], verdicts: Sequence[VerdictRecord]) -> dict[Pair, int]:
    """Of each pair, the place of the last verdict that is as ``edges`` has it."""
    done: dict[Pair, int] = {}
    for number, one in enumerate(verdicts):
        edge = edges.get((one.a, one.b))
        if edge is not None and edge.verdict == one.verdict:
            done[one.a, one.b] = number
    return done


class _Replay:
    """Evidence and verdicts up to a time, and the person of one identifier that they make."""

    def __init__(
        self,
        node: NodeId,
        overloaded: frozenset[NodeId],
        limits: Limits,
        edges: dict[Pair, Edge],
    ) -> None:
        self._node = node
        self._overloaded = overloaded
        self._limits = limits
        self._edges = edges
        self._seen: defaultdict[Pair, set[Evidence]] = defaultdict(set)
        self._words: dict[Pair, bytes] = {}
        self._person = frozenset([node])
        self._told: dict[Pair, Reason | None] = {}

    def is_news(self, moment: Moment) -> bool:
        """Whether it says something new: notes follow from what was told, at once or much later."""
        if moment.what not in {"refused", "accepted"}:
            return True
        return moment.pair not in self._told or self._told[moment.pair] != moment.reason

    def play(self, moment: Moment) -> Moment:
        """Lets one thing happen; the moment with what it came to."""
        if moment.what in {"refused", "accepted"}:
            self._told[moment.pair] = moment.reason
            return msgspec.structs.replace(moment, size=len(self._person))
        if moment.is_pending:
            return msgspec.structs.replace(moment, size=len(self._person))
        if moment.what == "crm_split" or moment.survivor is not None:
            self._words[moment.pair] = encode_word(CardWord(moment.time_ms, moment.survivor))
        else:
            self._follow(moment)
        edges = laid_over(self._edges, self._words)
        around = {node for pair in edges for node in pair} | {self._node}
        plan = canonical(
            around, edges,
            apart=apart_of(self._words), overloaded=self._overloaded, limits=self._limits,
        )  # fmt: skip
        before, reason = self._person, plan.refused.get(moment.pair)
        self._told[moment.pair] = reason
        self._person = next(person for person in plan.persons if self._node in person)
        return msgspec.structs.replace(
            moment,
            reason=reason,
            joined=tuple(sorted(self._person - before)),
            left=tuple(sorted(before - self._person)),
            size=len(self._person),
        )

    def _follow(self, moment: Moment) -> None:
        """Has evidence or a verdict stand, or evidence not stand any more."""
        pair, seen = moment.pair, self._seen[moment.pair]
        verdict = self._edges[pair].verdict if pair in self._edges else None
        if moment.kind is not None and moment.confidence is not None:
            evidence = Evidence(moment.kind, moment.seen_ms or moment.time_ms, moment.confidence)
            (seen.discard if moment.what == "withdrawn" else seen.add)(evidence)
        else:
            verdict = "rejected" if moment.what == "rejected" else "approved"
        if seen or verdict:
            self._edges[pair] = Edge(min(seen, key=encode_evidence, default=UNSEEN), verdict)
        else:
            self._edges.pop(pair, None)
