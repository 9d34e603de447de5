"""Reading all that is known around an identifier: its persons, and the evidence between them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias, get_args

import msgspec

from models.card_words import apart_of, decode_word, laid_over
from models.commands import Steps, fields_of, together
from models.evidence import (
    UNSEEN,
    Canonical,
    Edge,
    Limits,
    Pair,
    Reason,
    canonical,
    crowded_among,
    decode_evidence,
    pair_of,
)
from models.forest import Settled, erased_in, settle
from models.identifiers import NodeId, is_device
from models.keys import Keys
from models.verdicts import given_ms_of, verdict_in

__all__ = ["MORE_LINKS", "Survey", "survey"]

Ids: TypeAlias = list[NodeId]

MORE_LINKS: Final = b"+"
"""The field of an identifier of which more links were told than are kept: of the evidence for the
others the strongest and earliest."""
_REASONS: Final[dict[bytes, Reason]] = {reason.encode(): reason for reason in get_args(Reason)}
MOST_NODES: Final = 5_000
"""A survey stops here: what lies further away is left as it is."""


class Survey(msgspec.Struct, frozen=True):
    """All that is known around an identifier.

    Attributes:
        persons: the persons there, by their roots.
        edges: the evidence between their identifiers.
        apart: cards that the CRM says are two customers', and when it said so, Unix ms.
        noted: why links were not made, as it was noted before; None where only one of the two
            identifiers says so, since whoever noted it was cut off.
        overloaded: identifiers with more links than they may have.
        crowded: those of them that are devices with many users.
        followed: identifiers of which all evidence was looked at, and what lies behind it.
    """

    persons: dict[NodeId, Settled]
    edges: dict[Pair, Edge]
    apart: dict[Pair, int]
    noted: dict[Pair, Reason | None]
    overloaded: frozenset[NodeId]
    crowded: frozenset[NodeId]
    followed: frozenset[NodeId]

    @property
    def nodes(self) -> list[NodeId]:
        """Every identifier of the persons."""
        return [node for settled in self.persons.values() for node in settled.members]

    def canonical(self, edges: Mapping[Pair, Edge], limits: Limits) -> Canonical:
        """The persons that evidence between these identifiers makes: ``edges``, or others."""
        return canonical(
            self.nodes, edges, apart=self.apart, overloaded=self.overloaded,
            crowded=self.crowded, limits=limits,
        )  # fmt: skip


class _Told(msgspec.Struct):
    """What the evidence keys say that were read so far."""

    evidence: dict[Pair, bytes] = {}
    verdicts: dict[Pair, bytes] = {}
    words: dict[Pair, bytes] = {}
    erased_ms: dict[NodeId, int] = {}
    noted: dict[Pair, list[Reason]] = {}
    overloaded: set[NodeId] = set()
    crowded: set[NodeId] = set()

    def add(self, node: NodeId, fields: dict[bytes, bytes], limits: Limits, *, all_of: bool) -> Ids:
        """Takes in one identifier's evidence; returns which others to look at, or all of them."""
        said = _by_kind(node, fields)
        told, verdicts, words = said[b"e:"], said[b"x:"], said[b"w:"]
        known, more = _edges(told, verdicts), fields.get(MORE_LINKS)
        if more is not None or sum(e.counts for e in known.values()) > limits.links(node):
            self.overloaded.add(node)
            self.crowded |= crowded_among(known, {node})
            if more is not None and is_device(node) and decode_evidence(more).kind == "sign_in":
                self.crowded.add(node)  # all that is kept is stronger or earlier
        # Where a worker was cut off between the two identifiers of a pair, the newer word stands,
        # and where one of them has too many links, the other has the evidence.
        for held, fresh, choose in (
            (self.evidence, told, min),
            (self.verdicts, verdicts, max),
            (self.words, words, max),
        ):
            held.update({pair: choose(one, held.get(pair, one)) for pair, one in fresh.items()})
        for pair, reason in said[b"s:"].items():
            self.noted.setdefault(pair, []).append(_REASONS[reason])
        if all_of:
            return [other for pair in {**known, **words} for other in pair]
        return [
            other
            for pair, edge in laid_over(known, words).items()
            if _connects(edge, node in self.overloaded, limits)
            for other in pair
        ]

    def standing(self) -> tuple[dict[Pair, Edge], dict[Pair, int]]:
        """Edges and cards apart; what is older than an erasure of one of a pair never was.

        A verdict on evidence that is gone stands by itself.
        """
        evidence = self._since(self.evidence, lambda told: decode_evidence(told).time_ms)
        verdicts = self._since(self.verdicts, given_ms_of)
        words = self._since(self.words, lambda word: decode_word(word).time_ms)
        return laid_over(_edges(evidence, verdicts), words), apart_of(words)

    def _since(
        self, said: dict[Pair, bytes], time_ms_of: Callable[[bytes], int]
    ) -> dict[Pair, bytes]:
        return {p: one for p, one in said.items() if time_ms_of(one) > self._erased_ms(p)}

    def _erased_ms(self, pair: Pair) -> int:
        return max(self.erased_ms.get(node, 0) for node in pair)


def survey(keys: Keys, starts: Collection[NodeId], limits: Limits) -> Steps[Survey]:
    """Reads the persons, and the evidence between them, that ``starts`` are connected with.

    Refused evidence connects too, and so does all that was ever said about ``starts``. An
    identifier with too many links is not looked beyond.
    """
    while True:
        found = yield from _walk(keys, starts, limits)
        if found is not None:
            return found


def _walk(keys: Keys, starts: Collection[NodeId], limits: Limits) -> Steps[Survey | None]:
    """The survey; None where persons were joined or split on the way, so that some may be missed.

    What is left out of sight by them would be nobody's.
    """
    persons: dict[NodeId, Settled] = {}
    told = _Told()
    members: set[NodeId] = set()
    seen: set[NodeId] = set()
    fresh, begun = list(dict.fromkeys(starts)), frozenset(starts)
    last: list[NodeId] = []
    while fresh and len(seen) < MOST_NODES:
        seen.update(fresh)
        todo: list[NodeId] = []
        found = yield from together(settle(keys, node) for node in fresh if node not in members)
        for settled in found:
            known = persons.setdefault(settled.root, settled)
            if known is not settled:
                if known.members != settled.members:
                    return None
                continue
            if not members.isdisjoint(settled.members):
                return None
            members.update(settled.members)
            todo += settled.members
        replies = yield [
            *(("HGETALL", keys.evidence(node)) for node in fresh),
            *(("GET", keys.parent(node)) for node in fresh),
        ]
        held, entries = replies[: len(fresh)], replies[len(fresh) :]
        for node, reply, entry in zip(fresh, held, entries, strict=True):
            told.erased_ms[node] = erased_in(entry)
            todo += told.add(node, fields_of(reply), limits, all_of=node in begun)
        last, fresh = fresh, [node for node in dict.fromkeys(todo) if node not in seen]
    followed = seen.difference(told.overloaded, last if fresh else ())
    edges, apart = told.standing()
    return Survey(
        persons,
        {pair: edge for pair, edge in edges.items() if members.issuperset(pair)},
        {pair: split_ms for pair, split_ms in apart.items() if members.issuperset(pair)},
        {pair: _agreed(said) for pair, said in told.noted.items() if seen.issuperset(pair)},
        frozenset(told.overloaded),
        frozenset(told.crowded),
        frozenset(followed),
    )


def _agreed(said: list[Reason]) -> Reason | None:
    return said[0] if len(said) == 2 and said[0] == said[1] else None


def _connects(edge: Edge, is_overloaded: bool, limits: Limits) -> bool:  # noqa: FBT001
    """Whether what lies beyond an edge can make a difference to who is one person here."""
    if edge.verdict is not None:
        return edge.verdict == "approved"
    return not is_overloaded and edge.evidence.confidence >= limits.min_confidence


def _by_kind(node: NodeId, fields: dict[bytes, bytes]) -> defaultdict[bytes, dict[Pair, bytes]]:
    """What stands under an identifier of its pairs, by the letter before the other's name."""
    said: defaultdict[bytes, dict[Pair, bytes]] = defaultdict(dict)
    for name, value in fields.items():
        if name != MORE_LINKS:
            said[name[:2]][pair_of(node, NodeId(name[2:].decode()))] = value
    return said


def _edges(evidence: dict[Pair, bytes], verdicts: dict[Pair, bytes]) -> dict[Pair, Edge]:
    return {
        pair: Edge(
            decode_evidence(evidence[pair]) if pair in evidence else UNSEEN,
            verdict_in(verdicts.get(pair)),
        )
        for pair in {**evidence, **verdicts}
    }
