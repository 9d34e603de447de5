"""Evidence for links: how strong it is, and which persons a set of it makes. Pure.

Persons are a function of the set of evidence, whatever the order in which it came: the edges are
taken in canonical order (strength, confidence, first event time, ids), and one that would join two
CRM persons is refused. A device at which several CRM persons have signed in stands alone, and so
does one at which too many have, whoever they are. An identifier with too many links, and a link
that would make a person too large, are quarantined; so is a call from another phone than the web
session that it belongs to has given in a form.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from models.event_base import MAX_TIME_MS
from models.identifiers import NodeId, is_crm, is_device, is_phone, is_visitor

__all__ = [
    "DEFAULT_LIMITS",
    "FULL_CONFIDENCE",
    "NOTHING_APART",
    "UNSEEN",
    "Canonical",
    "Edge",
    "Evidence",
    "Kind",
    "Limits",
    "Pair",
    "Reason",
    "Verdict",
    "canonical",
    "crowded_among",
    "decode_evidence",
    "encode_evidence",
    "evidence_of",
    "is_unseen",
    "overloaded_by",
    "pair_of",
]

Pair: TypeAlias = tuple[NodeId, NodeId]

Kind = Literal["crm_merge", "crm_card", "sign_in", "seen_with", "call_session"]
"""Where evidence comes from, strongest first."""

Verdict = Literal["approved", "rejected"]
"""What a person decided about a link; it stands until they decide otherwise."""

Reason = Literal[
    "rejected", "two_crm_persons", "cards_split", "shared_device", "too_many_links",
    "too_many_identifiers", "weak", "other_phone",
]  # fmt: skip
"""Why a link is not made."""

ORDERED: Final = frozenset(
    {"two_crm_persons", "cards_split", "shared_device", "too_many_identifiers"}
)
"""Refusals that depend on which links were taken before."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STRENGTH: Final[dict[str, int]] = {kind: place for place, kind in enumerate(KINDS)}
SOFT: Final[Kind] = "call_session"
"""The kind that may be less than sure."""
FULL_CONFIDENCE: Final = 100
CALL_SESSION_PERCENT: Final = 90
"""The telephony names the web session, or its device, itself: a declared prior, not a fit."""
OTHER_PHONE_RATIO: Final = 0.5
"""What is left of a call's confidence where the session's form names another phone: people call
from an office or by somebody else's phone. A declared prior, too."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The blast radius of links.

    Attributes:
        person_ids: the most identifiers that links may join into one person.
        device_links: the most identifiers that a device, or one visit of it, may be linked with; a
            kiosk has more.
        account_links: the same for an e-mail, a phone, a card or a CRM id.
        type_links: the same for single types, by the letter of their namespace, in place of these.
        min_confidence: percent below which soft evidence waits for approval.
    """

    person_ids: int = 500
    device_links: int = 12
    account_links: int = 300
    type_links: dict[str, int] = {}
    min_confidence: int = 50

    def links(self, node: NodeId) -> int:
        """The most links of one identifier."""
        return self.type_links.get(
            node[0], self.device_links if is_visitor(node) else self.account_links
        )


DEFAULT_LIMITS: Final = Limits()
NOTHING_APART: Final[Mapping[Pair, int]] = MappingProxyType({})


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One reason to believe that two identifiers are one person's.

    Attributes:
        kind: the source.
        time_ms: of the event, Unix ms.
        confidence: percent; below 100 the evidence is soft.
    """

    kind: Kind
    time_ms: int
    confidence: int = FULL_CONFIDENCE


UNSEEN: Final = Evidence("call_session", MAX_TIME_MS, confidence=0)
"""Stands for the evidence of a pair of which nothing was seen: somebody's word is all. Whatever is
seen of it later is stronger."""


def is_unseen(time_ms: int) -> bool:
    """Whether evidence of this time is none: nothing was seen of its pair."""
    return time_ms == UNSEEN.time_ms


class Edge(msgspec.Struct, frozen=True, gc=False):
    """All that is known about one pair: its strongest and earliest evidence, and a verdict."""

    evidence: Evidence
    verdict: Verdict | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the links of which an identifier may not have too many.

        One that somebody has rejected still is: a kiosk does not become trustworthy because one of
        its many visitors is known to be another's. None is what only a verdict speaks of, and the
        CRM's word on its cards: producers could not send too many of these.
        """
        return self.evidence.kind != "crm_merge" and not is_unseen(self.evidence.time_ms)


class Canonical(msgspec.Struct, frozen=True):
    """What a set of evidence makes of its identifiers.

    Attributes:
        persons: every identifier stands in one.
        joins: pairs whose links build the persons.
        refused: pairs that are not joined by their own evidence, and why.
        shared: devices that several CRM persons use.
    """

    persons: tuple[frozenset[NodeId], ...]
    joins: tuple[Pair, ...]
    refused: dict[Pair, Reason]
    shared: frozenset[NodeId]

    @property
    def is_contested(self) -> bool:
        """Whether who is one person depends on the order of evidence: more of it may change all."""
        return not ORDERED.isdisjoint(self.refused.values())


def evidence_of(event_type: str, other: NodeId, time_ms: int) -> Evidence:
    """What an event says about its first identifier and another one.

    A call that names its web session, or the session's device, is soft: somebody else may call.

    Args:
        event_type: the event's tag.
        other: one of its identifiers but the first.
        time_ms: the event's time, Unix ms.
    """
    if event_type in {"crm_card", "sign_in"}:
        return Evidence(event_type, time_ms)  # type: ignore[arg-type]  # just compared with them
    if event_type == "call" and is_visitor(other):
        return Evidence("call_session", time_ms, CALL_SESSION_PERCENT)
    return Evidence("seen_with", time_ms)


def pair_of(a: NodeId, b: NodeId) -> Pair:
    """The pair in its one order."""
    return (a, b) if a < b else (b, a)


def encode_evidence(evidence: Evidence) -> bytes:
    """Text that sorts in canonical order: the smaller one decides about its pair.

    ``STRENGTH@MILLISECONDS``. Behind the strength of a call come three digits of what it lacks of
    full confidence, so that of two calls the one that says more counts.
    """
    strength = STRENGTH[evidence.kind]
    if evidence.kind == SOFT:
        return b"%d%03d@%013d" % (strength, FULL_CONFIDENCE - evidence.confidence, evidence.time_ms)
    return b"%d@%013d" % (strength, evidence.time_ms)


def decode_evidence(encoded: bytes) -> Evidence:
    """Reads what :func:`encode_evidence` wrote."""
    strength, _, time_ms = encoded.partition(b"@")
    lacking = int(strength[1:] or b"0")
    return Evidence(KINDS[int(strength[:1])], int(time_ms), FULL_CONFIDENCE - lacking)


class _Forest:
    """Persons while they are joined, each with its CRM ids."""

    def __init__(self, nodes: Iterable[NodeId]) -> None:
        self.members: dict[NodeId, set[NodeId]] = {node: {node} for node in nodes}
        self._crm_ids = frozenset(filter(is_crm, self.members))

    def has_crm(self, node: NodeId) -> bool:
        return not self.members[node].isdisjoint(self._crm_ids)  # walks the smaller of the two

    def reunites(self, a: NodeId, b: NodeId, apart: Mapping[Pair, int], told_ms: int) -> bool:
        """Whether joining the two would join cards that the CRM has split after ``told_ms``."""
        one, other = self.members[a], self.members[b]
        return any(
            split_ms > told_ms and ((x in one and y in other) or (x in other and y in one))
            for (x, y), split_ms in apart.items()
        )

    def join(self, a: NodeId, b: NodeId) -> None:
        larger, smaller = sorted((self.members[a], self.members[b]), key=len, reverse=True)
        larger |= smaller
        for node in smaller:
            self.members[node] = larger


def canonical(
    nodes: Iterable[NodeId],
    edges: Mapping[Pair, Edge],
    *,
    apart: Mapping[Pair, int] = NOTHING_APART,
    overloaded: frozenset[NodeId] = frozenset(),
    crowded: frozenset[NodeId] = frozenset(),
    limits: Limits = DEFAULT_LIMITS,
) -> Canonical:
    """The persons that a set of evidence makes; a function of the set alone.

    Args:
        nodes: the identifiers; those of the edges belong to them.
        edges: what is known about each pair, in the order of :func:`pair_of`.
        apart: cards that the CRM says are two customers', and when it said so, Unix ms. Merges of
            before that do not join them by a detour either: the newest of these gives way.
        overloaded: identifiers known to have too many links, more than ``edges`` shows.
        crowded: those of them that are devices with many users (:func:`crowded_among`).
        limits: the blast radius.
    """
    every = sorted(nodes)
    heavy = overloaded | overloaded_by(edges, limits)
    doubted = _doubted(edges, limits)
    ordered = sorted(edges.items(), key=lambda item: (encode_evidence(item[1].evidence), item[0]))
    shared = crowded | crowded_among(edges, heavy)
    while True:
        forest, refused, joins = _Forest(every), dict[Pair, Reason](), list[Pair]()
        for pair, edge in ordered:
            reason = _verdict(pair, edge, heavy, shared, doubted)
            reason = reason or _refusal(pair, edge, forest, apart, limits)
            if reason is not None:
                refused[pair] = reason
            elif forest.members[pair[0]] is not forest.members[pair[1]]:
                forest.join(*pair)
                joins.append(pair)
        found = shared | {
            device
            for pair, reason in refused.items()
            if reason == "two_crm_persons" and (device := _used_by_both(pair, edges[pair]))
        }
        if found == shared:
            persons = {id(one): frozenset(one) for one in forest.members.values()}
            return Canonical(tuple(persons.values()), tuple(joins), refused, shared)
        shared = found


def overloaded_by(edges: Mapping[Pair, Edge], limits: Limits) -> frozenset[NodeId]:
    """Identifiers that these edges alone show to have too many links."""
    links: defaultdict[NodeId, int] = defaultdict(int)
    for pair, edge in edges.items():
        for node in pair:
            links[node] += edge.counts
    return frozenset(node for node, count in links.items() if count > limits.links(node))


def crowded_among(edges: Mapping[Pair, Edge], heavy: Collection[NodeId]) -> frozenset[NodeId]:
    """Devices with too many links at which several accounts have signed in: they have many users.

    So they are nobody's own, and each request from them is priced for whoever signed in last.
    """
    accounts: defaultdict[NodeId, int] = defaultdict(int)
    for pair, edge in edges.items() if heavy else ():
        for node in pair:
            if node in heavy and is_device(node) and edge.verdict != "rejected":
                accounts[node] += edge.evidence.kind == "sign_in"
    return frozenset(device for device, count in accounts.items() if count > 1)


def _doubted(edges: Mapping[Pair, Edge], limits: Limits) -> frozenset[Pair]:
    """Calls from another phone than a form of the same web session has given, if that is too weak.

    What a session's own evidence tells, so it does not depend on which links were made before.
    """
    calls: list[tuple[Pair, NodeId]] = []
    with_form: set[NodeId] = set()
    for pair, edge in edges.items():
        session = _session_of(pair)
        if session is None or edge.verdict == "rejected":
            continue
        if edge.evidence.kind != "call_session":
            with_form.add(session)
        elif edge.evidence.confidence * OTHER_PHONE_RATIO < limits.min_confidence:
            calls.append((pair, session))
    return frozenset(pair for pair, session in calls if session in with_form)


def _session_of(pair: Pair) -> NodeId | None:
    """The session or device of a pair whose other node is a phone number."""
    if not any(is_phone(node) for node in pair):
        return None
    return next((node for node in pair if is_visitor(node)), None)


def _verdict(
    pair: Pair,
    edge: Edge,
    heavy: frozenset[NodeId],
    shared: frozenset[NodeId],
    doubted: frozenset[Pair],
) -> Reason | None:
    """Why a link is not made whatever else is linked."""
    if edge.verdict is not None:
        return "rejected" if edge.verdict == "rejected" else None
    if not heavy.isdisjoint(pair):
        return "too_many_links"
    if not shared.isdisjoint(pair):
        return "shared_device"
    return "other_phone" if pair in doubted else None


def _refusal(
    pair: Pair, edge: Edge, forest: _Forest, apart: Mapping[Pair, int], limits: Limits
) -> Reason | None:
    """Why a link is not made to what is linked already."""
    a, b = pair
    if edge.verdict is None and edge.evidence.confidence < limits.min_confidence:
        return "weak"
    if forest.members[a] is forest.members[b]:
        return None
    if edge.evidence.kind == "crm_merge":
        if forest.reunites(a, b, apart, edge.evidence.time_ms):
            return "cards_split"
    elif forest.has_crm(a) and forest.has_crm(b):
        return "two_crm_persons"
    joined = len(forest.members[a]) + len(forest.members[b])
    if edge.verdict is None and joined > limits.person_ids:
        return "too_many_identifiers"
    return None


def _used_by_both(pair: Pair, edge: Edge) -> NodeId | None:
    """The device at which somebody signed in with an identifier of another person's.

    An order for a friend or a call from a borrowed phone names another person's identifier too,
    but tells of no second user: then only that link is refused.
    """
    if edge.evidence.kind != "sign_in":
        return None
    devices = [node for node in pair if is_device(node)]
    return devices[0] if len(devices) == 1 else None
