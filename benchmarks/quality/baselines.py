"""What others do, and what could be done at best: three resolvers to stand beside kinbid.

Each is a function from the records in the order of their arrival to a partition of the nodes. All
believe the CRM's newest word on two of its cards, as kinbid does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from models.events import CrmCard, CrmMerge, CrmSplit, Event, SignIn
from models.identifiers import NodeId

__all__ = ["Resolver", "last_sign_in", "naive_union", "right_links_only"]

Resolver: TypeAlias = Callable[[Sequence[Event]], Mapping[NodeId, NodeId]]
"""From records in the order of their arrival to every node's person."""


def naive_union(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    """Whatever is told together is one person: no rule, no doubt."""
    forest = _Forest(event.ids for event in events)
    for a, b in _told_together(events):
        forest.join(a, b)
    return forest.partition()


def last_sign_in(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    """A device belongs to the account that signed in on it last; CRM cards say whose that is.

    An address or number belongs to the card that named it last, and cards that the CRM has merged
    are one. Times are those of the events, so lateness does no harm. All other evidence is left
    alone.
    """
    cards = _Forest(event.ids for event in events)
    for survivor, other in _standing_merges(events):
        cards.join(survivor, other)
    card_of = _latest(
        (contact, event.event_time_ms, event.ids[0])
        for event in events
        if isinstance(event, CrmCard)
        for contact in event.ids[1:]
    )
    account_of = _latest(
        (event.ids[0], event.event_time_ms, account)
        for event in events
        if isinstance(event, SignIn)
        for account in event.ids[1:]
    )
    partition: dict[NodeId, NodeId] = {}
    for event in events:
        for node in event.ids:
            account = account_of.get(node, node)
            partition[node] = cards.root(card_of.get(account, account))
    return partition


def right_links_only(events: Sequence[Event], owned: Mapping[NodeId, int]) -> dict[NodeId, NodeId]:
    """All links whose two ends have one and the same owner: the most that evidence can give.

    It knows the truth, so no resolver can find more without a link between nodes that several
    persons use.
    """
    forest = _Forest(event.ids for event in events)
    for a, b in _told_together(events):
        owner = owned.get(a)
        if owner is not None and owner == owned.get(b):
            forest.join(a, b)
    return forest.partition()


def _told_together(events: Sequence[Event]) -> Iterator[tuple[NodeId, NodeId]]:
    for event in events:
        if not isinstance(event, CrmMerge | CrmSplit):
            for other in event.ids[1:]:
                yield event.ids[0], other
    yield from _standing_merges(events)


def _standing_merges(events: Sequence[Event]) -> Iterator[tuple[NodeId, NodeId]]:
    """Pairs of cards on which the CRM's newest word is a merge."""
    newest: dict[frozenset[NodeId], tuple[int, bool]] = {}
    for event in events:
        if isinstance(event, CrmMerge | CrmSplit):
            # Of two at one instant the split stands: True is the greater.
            word = (event.event_time_ms, isinstance(event, CrmSplit))
            for other in event.ids[1:]:
                pair = frozenset((event.ids[0], other))
                newest[pair] = max(newest.get(pair, word), word)
    for (a, b), (_, is_split) in newest.items():
        if not is_split:
            yield a, b


def _latest(told: Iterable[tuple[NodeId, int, NodeId]]) -> dict[NodeId, NodeId]:
    found: dict[NodeId, tuple[int, NodeId]] = {}
    for node, at_ms, account in told:
        # Of two at one instant the greater node, so that the order of arrival decides nothing.
        found[node] = max(found.get(node, (at_ms, account)), (at_ms, account))
    return {node: account for node, (_, account) in found.items()}


class _Forest:
    """Disjoint sets by path halving; shares no code with what is judged."""

    def __init__(self, groups: Iterable[Iterable[NodeId]]) -> None:
        self._parent = {node: node for nodes in groups for node in nodes}

    def root(self, node: NodeId) -> NodeId:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, a: NodeId, b: NodeId) -> None:
        self._parent[self.root(a)] = self.root(b)

    def partition(self) -> dict[NodeId, NodeId]:
        return {node: self.root(node) for node in self._parent}
