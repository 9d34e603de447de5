"""Splitting a person, and bringing persons into line with all evidence about them.

While evidence is in no conflict, persons are its connected components and the order of links
makes no difference. Where a link is refused or quarantined, :func:`resettle` looks at all evidence
around it and makes the persons of :func:`models.evidence.canonical`, so that the result does not
depend on what came first. Any number of workers may do so at once: each looks again after its
last change.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from models.commands import Command, Steps
from models.evidence import Canonical, Edge, Limits, Pair, Reason
from models.forest import Settled, find, forget, rank, settle
from models.identifiers import NodeId
from models.identity import join
from models.keys import Keys
from models.survey import Survey, survey

__all__ = ["Resettled", "note", "resettle", "split"]

Person: TypeAlias = frozenset[NodeId]

SPLIT_SECONDS: Final = 7 * 86_400
"""How long the frozen copy of a split person stays for whoever takes a part of it in."""


class Resettled(msgspec.Struct, frozen=True):
    """What :func:`resettle` came to.

    Attributes:
        persons: roots of the persons around, at the last look.
        parted: who was seen before and is connected with none of them any more.
        plan: who they are, by all evidence.
        changed: pairs whose refusal is new or has another reason, or is over (None).
        edges: the evidence that was looked at.
        mark: under which the persons are contested until :func:`note`.
        followed: identifiers of which all evidence was looked at, and what lies behind it.
        split_count: how many persons were split on the way.
    """

    persons: tuple[NodeId, ...]
    parted: tuple[NodeId, ...]
    plan: Canonical
    changed: dict[Pair, Reason | None]
    edges: dict[Pair, Edge]
    mark: str
    followed: frozenset[NodeId]
    split_count: int = 0

    @property
    def to_publish(self) -> tuple[NodeId, ...]:
        """Identifiers of everybody whose bid view is to be written anew."""
        return self.persons + self.parted


def resettle(
    keys: Keys, starts: Collection[NodeId], limits: Limits, next_token: Callable[[], str]
) -> Steps[Resettled]:
    """Makes the persons around ``starts`` those of all evidence about them.

    They stay contested until what has changed is noted (:func:`note`): whoever does this again
    after a crash finds the same changes.

    Args:
        keys: the owner's key names.
        starts: identifiers with evidence that could not simply be followed.
        limits: the blast radius.
        next_token: gives a token that was never used before.
    """
    mark, marked, seen = next_token(), set[NodeId](), set[NodeId]()
    split_count = 0
    while True:
        around = yield from survey(keys, starts, limits)
        seen.update(around.nodes)
        # Contested persons are joined by nobody but us. Whoever added evidence before they were
        # marked is seen by the next look, whoever adds it after that sees the mark. Another may
        # come to another end and take away marks, but not those that we set after theirs.
        if (yield from _contest(keys, around, mark, marked)):
            continue
        plan = around.canonical(around.edges, limits)
        home = {node: person for person in plan.persons for node in person}
        if (yield from _take_back(keys, around, home)):
            continue
        is_changed, splits = yield from _apply(keys, around, plan, home, next_token)
        split_count += splits
        if is_changed:
            continue
        yield from _note_shared(keys, around, plan)
        changed: dict[Pair, Reason | None] = {
            pair: plan.refused.get(pair)
            for pair in {**around.noted, **plan.refused}
            if (pair in around.noted, around.noted.get(pair))
            != (pair in plan.refused, plan.refused.get(pair))
        }
        parted = tuple(sorted(seen.difference(around.nodes)))
        persons = tuple(around.persons)
        return Resettled(
            persons, parted, plan, changed, around.edges, mark, around.followed, split_count
        )


def _contest(keys: Keys, around: Survey, mark: str, marked: set[NodeId]) -> Steps[bool]:
    """Marks persons as contested; whether there was any to mark."""
    fresh = [
        root
        for root, settled in around.persons.items()
        if root not in marked or not settled.is_contested
    ]
    if fresh:
        marked.update(fresh)
        yield [("HSET", keys.person(root), "!", mark) for root in fresh]
    return bool(fresh)


def _take_back(keys: Keys, around: Survey, home: Mapping[NodeId, Person]) -> Steps[bool]:
    """Takes back announced merges that the plan does not want; whether there were any.

    What it does want is left alone: two who look at once would take back each other's for ever.
    """
    merging = [
        root
        for root, settled in around.persons.items()
        for name, child in settled.fields.items()
        if name.startswith(b"m:") and NodeId(child.decode()) not in home[root]
    ]
    for root in dict.fromkeys(merging):
        yield from _kill_intents(keys, root)
    return bool(merging)


def _apply(
    keys: Keys,
    around: Survey,
    plan: Canonical,
    home: Mapping[NodeId, Person],
    next_token: Callable[[], str],
) -> Steps[tuple[bool, int]]:
    """Splits and joins where persons differ from the plan; whether any did, and how many splits."""
    split_count, parted = 0, set[NodeId]()
    for settled in around.persons.values():
        parts = list(dict.fromkeys(home[node] for node in settled.members))
        if len(parts) > 1:
            parted.update(settled.members)
            split_count += yield from split(keys, settled, parts, next_token)
    changed = bool(parted)
    root_of = {node: root for root, one in around.persons.items() for node in one.members}
    for a, b in plan.joins:
        if root_of[a] != root_of[b] or not parted.isdisjoint((a, b)):
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


def note(keys: Keys, looked: Resettled) -> Steps[bool]:
    """Notes under both identifiers why a link is not made, once others have been told.

    Only then, and only where nothing depends on the order of evidence, may links be followed
    without a look again.

    Returns:
        False where somebody has looked since: what was told may be out of date.
    """
    commands: list[Command] = []
    for (a, b), reason in looked.changed.items():
        for one, other in ((a, b), (b, a)):
            field = f"s:{other}"
            commands.append(
                ("HDEL", keys.evidence(one), field)
                if reason is None
                else ("HSET", keys.evidence(one), field, reason)
            )
    if commands:
        yield commands
    if not looked.plan.is_contested:
        persons = [keys.person(root) for root in looked.persons]
        calmed = yield [("FCALL", "kinbid_v1_calm", 1, person, looked.mark) for person in persons]
        return all(calmed)
    if not commands:
        return True
    marks = yield [("HGET", keys.person(root), "!") for root in looked.persons]
    return all(mark == looked.mark.encode() for mark in marks)
