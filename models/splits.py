"""Splitting a person, and bringing persons into line with all evidence about them.

While evidence is in no conflict, persons are its connected components and the order of links
makes no difference. Where a link is refused or quarantined, :func:`resettle` looks at all evidence
around it and makes the persons of :func:`models.evidence.canonical`, so that the result does not
depend on what came first. Any number of workers may do so at once: each looks again after its
last change.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from models.commands import Command, Steps, fields_of
from models.evidence import (
    Canonical,
    Edge,
    Limits,
    Pair,
    Reason,
    canonical,
    decode_evidence,
    pair_of,
)
from models.forest import Settled, erased_in, find, forget, rank, settle
from models.identifiers import NodeId
from models.identity import join
from models.keys import Keys

__all__ = ["Resettled", "Survey", "note", "resettle", "split", "survey"]

SPLIT_SECONDS: Final = 7 * 86_400
"""How long the frozen copy of a split person stays for whoever takes a part of it in."""

MOST_NODES: Final = 5_000
"""A survey stops here: what lies further away is left as it is."""


class Survey(msgspec.Struct, frozen=True):
    """All that is known around an identifier.

    Attributes:
        persons: the persons there, by their roots.
        edges: the evidence between their identifiers.
        noted: why links were not made, as it was noted before.
        overloaded: identifiers with more links than they may have.
    """

    persons: dict[NodeId, Settled]
    edges: dict[Pair, Edge]
    noted: dict[Pair, Reason]
    overloaded: frozenset[NodeId]

    @property
    def nodes(self) -> list[NodeId]:
        """Every identifier of the persons."""
        return [node for settled in self.persons.values() for node in settled.members]


class Resettled(msgspec.Struct, frozen=True):
    """What :func:`resettle` came to.

    Attributes:
        persons: roots of the persons around, whose bid views are to be published.
        plan: who they are, by all evidence.
        changed: pairs whose refusal is new or has another reason, or is over (None).
        edges: the evidence that was looked at.
        split_count: how many persons were split on the way.
    """

    persons: tuple[NodeId, ...]
    plan: Canonical
    changed: dict[Pair, Reason | None]
    edges: dict[Pair, Edge]
    split_count: int = 0


def survey(keys: Keys, start: NodeId, limits: Limits) -> Steps[Survey]:
    """Reads the persons, and the evidence between them, that ``start`` is connected with.

    Refused evidence connects too. An identifier with too many links is not looked beyond.
    """
    persons: dict[NodeId, Settled] = {}
    edges: dict[Pair, Edge] = {}
    noted: dict[Pair, Reason] = {}
    overloaded: set[NodeId] = set()
    erased_ms: dict[NodeId, int] = {}
    seen: set[NodeId] = set()
    fresh = [start]
    while fresh and len(seen) < MOST_NODES:
        seen.update(fresh)
        todo: list[NodeId] = []
        for node in fresh:
            if not any(node in settled.members for settled in persons.values()):
                settled = yield from settle(keys, node)
                persons[settled.root] = settled
                todo += settled.members
        replies = yield [
            *(("HGETALL", keys.evidence(node)) for node in fresh),
            *(("GET", keys.parent(node)) for node in fresh),
        ]
        held, entries = replies[: len(fresh)], replies[len(fresh) :]
        for node, reply, entry in zip(fresh, held, entries, strict=True):
            erased_ms[node] = erased_in(entry)
            known = _edges_of(node, fields_of(reply), noted)
            standing = {pair for pair, edge in known.items() if edge.verdict != "rejected"}
            if len(standing) > limits.links(node):
                overloaded.add(node)
            edges |= known
            todo += [
                other
                for pair, edge in known.items()
                for other in pair
                if node == start or _connects(edge, node in overloaded, limits)
            ]
        fresh = [node for node in dict.fromkeys(todo) if node not in seen]
    nodes = {node for settled in persons.values() for node in settled.members}
    # What was kept of an erased identifier's links is as if it had never been seen.
    within = {
        pair: edge
        for pair, edge in edges.items()
        if nodes.issuperset(pair)
        and edge.evidence.time_ms > max(erased_ms.get(node, 0) for node in pair)
    }
    noted = {pair: reason for pair, reason in noted.items() if pair in within}
    return Survey(persons, within, noted, frozenset(overloaded))


def _connects(edge: Edge, is_overloaded: bool, limits: Limits) -> bool:  # noqa: FBT001
    """Whether what lies beyond an edge can make a difference to who is one person here."""
    if edge.verdict is not None:
        return edge.verdict == "approved"
    return not is_overloaded and edge.evidence.confidence >= limits.min_confidence


def _edges_of(
    node: NodeId, fields: dict[bytes, bytes], noted: dict[Pair, Reason]
) -> dict[Pair, Edge]:
    edges: dict[Pair, Edge] = {}
    for name, value in fields.items():
        pair = pair_of(node, NodeId(name[2:].decode()))
        if name.startswith(b"e:"):
            approved = b"x:" + name[2:] in fields
            edges[pair] = Edge(decode_evidence(value), "approved" if approved else None)
        elif name.startswith(b"x:") and value.startswith(b"rejected@"):
            edges[pair] = Edge(decode_evidence(value.partition(b"@")[2]), "rejected")
        elif name.startswith(b"s:"):
            noted[pair] = value.decode()  # type: ignore[assignment]  # written by us
    return edges


def resettle(
    keys: Keys, start: NodeId, limits: Limits, next_token: Callable[[], str]
) -> Steps[Resettled]:
    """Makes the persons around ``start`` those of all evidence about them.

    Args:
        keys: the owner's key names.
        start: an identifier with evidence that could not simply be followed.
        limits: the blast radius.
        next_token: gives a token that was never used before.
    """
    mark, marked = next_token(), set[NodeId]()
    split_count = 0
    while True:
        around = yield from survey(keys, start, limits)
        # Contested persons are joined by nobody but us. Whoever added evidence before they were
        # marked is seen by the next look, whoever adds it after that sees the mark. Another may
        # come to another end and take away marks, but not those that we set after theirs.
        if (yield from _contest(keys, around, mark, marked)):
            continue
        plan = canonical(around.nodes, around.edges, overloaded=around.overloaded, limits=limits)
        is_changed, splits = yield from _apply(keys, around, plan, next_token)
        split_count += splits
        if is_changed:
            continue
        yield from _note_shared(keys, around, plan)
        if not plan.is_contested:
            yield [
                ("FCALL", "kinbid_v1_calm", 1, keys.person(root), mark) for root in around.persons
            ]
        changed: dict[Pair, Reason | None] = {
            pair: plan.refused.get(pair)
            for pair in {**around.noted, **plan.refused}
            if around.noted.get(pair) != plan.refused.get(pair)
        }
        return Resettled(tuple(around.persons), plan, changed, around.edges, split_count)


def _contest(keys: Keys, around: Survey, mark: str, marked: set[NodeId]) -> Steps[bool]:
    """Marks persons as contested and takes announced merges back; whether there was any to do."""
    fresh = [
        root
        for root, settled in around.persons.items()
        if root not in marked or not settled.is_contested
    ]
    if fresh:
        marked.update(fresh)
        yield [("HSET", keys.person(root), "!", mark) for root in fresh]
    merging = [
        root
        for root, settled in around.persons.items()
        if any(name.startswith(b"m:") for name in settled.fields)
    ]
    for root in merging:
        yield from _kill_intents(keys, root)
    return bool(fresh or merging)


def _apply(
    keys: Keys, around: Survey, plan: Canonical, next_token: Callable[[], str]
) -> Steps[tuple[bool, int]]:
    """Splits and joins where persons differ from the plan; whether any did, and how many splits."""
    changed, split_count = False, 0
    home = {node: person for person in plan.persons for node in person}
    for settled in around.persons.values():
        parts = list(dict.fromkeys(home[node] for node in settled.members))
        if len(parts) > 1:
            changed = True
            split_count += yield from split(keys, settled, parts, next_token)
    root_of = {node: root for root, one in around.persons.items() for node in one.members}
    for a, b in plan.joins:
        if changed or root_of[a] != root_of[b]:
            evidence = around.edges[a, b].evidence
            result, _ = yield from join(
                keys, a, b, next_token,
                told_ms=evidence.time_ms, is_crm_merge=evidence.kind == "crm_merge", is_forced=True,
            )  # fmt: skip
            changed |= result != "known"
    return changed, split_count


def _note_shared(keys: Keys, around: Survey, plan: Canonical) -> Steps[None]:
    marks: list[Command] = []
    for root, settled in around.persons.items():
        marked = {NodeId(name[2:].decode()) for name in settled.fields if name.startswith(b"x:")}
        wanted = plan.shared.intersection(settled.members)
        marks += [("HSET", keys.person(root), f"x:{node}", "1") for node in wanted - marked]
        marks += [("HDEL", keys.person(root), f"x:{node}") for node in marked - wanted]
        if wanted != marked:
            marks.append(("HINCRBY", keys.person(root), "y", 1))
    if marks:
        yield marks


def split(
    keys: Keys, settled: Settled, parts: Iterable[Iterable[NodeId]], next_token: Callable[[], str]
) -> Steps[bool]:
    """Splits a person into parts; False where it has changed since it was settled.

    Args:
        keys: the owner's key names.
        settled: the person.
        parts: a partition of its members; whom none names stays with the root.
        next_token: gives a token that was never used before.
    """
    root, token = settled.root, next_token()
    plan = msgspec.msgpack.encode([sorted(part, key=rank) for part in parts])
    target = (
        keys.parent(root), keys.person(root), keys.frozen_person(root, token),
        keys.bid_view(root), keys.frozen_bid_view(root, token),
    )  # fmt: skip
    arguments = (root, token, plan, settled.splits, SPLIT_SECONDS)
    while True:
        (closed,) = yield [("FCALL", "kinbid_v1_close", 5, *target, *arguments)]
        if closed == 1:
            yield from find(keys, root)  # carries it out
            return True
        if not closed:
            return False
        yield from _kill_intents(keys, root)


def _kill_intents(keys: Keys, root: NodeId) -> Steps[None]:
    """Takes back merges into ``root`` that were announced and have not happened."""
    settled = yield from settle(keys, root)
    if settled.root != root:
        return
    for name, child in settled.fields.items():
        if not name.startswith(b"m:"):
            continue
        node = NodeId(child.decode())
        target = (keys.parent(node), keys.person(node))
        (killed,) = yield [("FCALL", "kinbid_v1_kill", 2, *target, name[2:])]
        if killed:
            yield from forget(keys, root, name[2:], still_read=False)


def note(keys: Keys, changed: Mapping[Pair, Reason | None]) -> Steps[None]:
    """Notes under both identifiers why a link is not made, once others have been told."""
    commands: list[Command] = []
    for a, b in changed:
        reason = changed[a, b]
        for one, other in ((a, b), (b, a)):
            field = f"s:{other}"
            commands.append(
                ("HDEL", keys.evidence(one), field)
                if reason is None
                else ("HSET", keys.evidence(one), field, reason)
            )
    if commands:
        yield commands
