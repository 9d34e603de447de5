"""What the CRM's merges and splits of cards do to the customers whom they are about.

A resolver is asked again without some of the CRM's words, so its answers differ by these alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from typing import Final, TypeAlias

from benchmarks.quality.baselines import Resolver
from benchmarks.quality.metrics import Agreement
from benchmarks.quality.world import World
from models.events import CrmMerge, CrmSplit, Event
from models.identifiers import NodeId

__all__ = ["CARD_METRICS", "RUNS_PER_WORLD", "judge_cards"]

CARD_METRICS: Final = (
    "unmerged_recall", "merged_recall", "mistaken_fused_rate", "split_fused_rate",
    "split_trace_rate",
)  # fmt: skip
"""What :func:`judge_cards` tells."""

RUNS_PER_WORLD: Final = 2
"""How often :func:`judge_cards` asks the resolver."""

Cards: TypeAlias = frozenset[NodeId]
"""Two cards of which the CRM has said something."""


def judge_cards(
    world: World, resolve: Resolver, resolved: Mapping[NodeId, NodeId]
) -> dict[str, float]:
    """How customers fare whose cards the CRM has merged, rightly or by mistake.

    Args:
        world: with merges and splits of cards.
        resolve: the resolver.
        resolved: its answer to all of the world's records.

    Returns:
        Shares from 0 to 1. ``unmerged_recall`` and ``merged_recall`` are over pairs of nodes of
        customers with two cards that the CRM merged: without any word of the CRM, and with all.
        ``mistaken_fused_rate`` and ``split_fused_rate``: of the pairs of customers whom the CRM
        merged by mistake, for good or split again, those who are in one person with each other.
        ``split_trace_rate``: of the customers split again, those with a node that is in another
        person than it would be had the CRM never spoken of their two cards. Where there are no
        such customers, recall is 1 and the other shares are 0.
    """
    owned = world.owned
    merged = {_cards(event) for event in world.events if isinstance(event, CrmMerge)}
    apart = {_cards(event) for event in world.events if isinstance(event, CrmSplit)}
    owners = {cards: frozenset(owned[card] for card in cards) for cards in merged}
    doubled = {owner for one in owners.values() if len(one) == 1 for owner in one}
    mistaken = {one for cards, one in owners.items() if len(one) == 2 and cards not in apart}
    split = {owners[cards] for cards in apart}
    theirs = {node: owner for node, owner in owned.items() if owner in doubled}
    unmerged = resolve([event for event in world.events if not _is_word(event)])
    spared = resolve([one for one in world.events if not (_is_word(one) and _cards(one) in apart)])
    ours, other = _members(resolved), _members(spared)
    moved = {owned[node] for node in owned if ours[resolved[node]] != other[spared[node]]}
    return {
        "unmerged_recall": Agreement.of(unmerged, theirs).recall,
        "merged_recall": Agreement.of(resolved, theirs).recall,
        "mistaken_fused_rate": _fused_share(mistaken, resolved, owned),
        "split_fused_rate": _fused_share(split, resolved, owned),
        "split_trace_rate": _share({one for pair in split for one in pair}, moved),
    }


def _is_word(event: Event) -> bool:
    return isinstance(event, CrmMerge | CrmSplit)


def _cards(event: Event) -> Cards:
    return frozenset(event.ids)


def _members(resolved: Mapping[NodeId, NodeId]) -> dict[NodeId, set[NodeId]]:
    members: defaultdict[NodeId, set[NodeId]] = defaultdict(set)
    for node, cluster in resolved.items():
        members[cluster].add(node)
    return members


def _fused_share(
    pairs: Set[frozenset[int]], resolved: Mapping[NodeId, NodeId], owned: Mapping[NodeId, int]
) -> float:
    clusters: defaultdict[int, set[NodeId]] = defaultdict(set)
    for node, owner in owned.items():
        clusters[owner].add(resolved[node])
    return _share(pairs, {one for one in pairs if set.intersection(*(clusters[o] for o in one))})


def _share(all_of_them: Set[object], these: Set[object]) -> float:
    return len(all_of_them & these) / len(all_of_them) if all_of_them else 0.0
