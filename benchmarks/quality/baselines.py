"""What others do, and what could be done at best: three resolvers to stand beside kinbid.

Each is a function from the records in the order of their arrival to a partition of the nodes.
"""

from collections.abc import Iterable, Mapping, Sequence

from models.events import CrmCard, Event, SignIn
from models.identifiers import NodeId

__all__ = ["last_sign_in", "naive_union", "right_links_only"]


def naive_union(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    """Whatever is seen together is one person: no rule, no doubt."""
    forest = _Forest(event.ids for event in events)
    for event in events:
        for other in event.ids[1:]:
            forest.join(event.ids[0], other)
    return forest.partition()


def last_sign_in(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    """A device belongs to the account that signed in on it last; CRM cards say whose that is.

    An address or number belongs to the card that named it last. Times are those of the events, so
    lateness does no harm. All other evidence is left alone.
    """
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
            partition[node] = card_of.get(account, account)
    return partition


def right_links_only(events: Sequence[Event], owned: Mapping[NodeId, int]) -> dict[NodeId, NodeId]:
    """All links whose two ends have one and the same owner: the most that evidence can give.

    It knows the truth, so no resolver can find more without a link between nodes that several
    persons use.
    """
    forest = _Forest(event.ids for event in events)
    for event in events:
        owner = owned.get(event.ids[0])
        for other in event.ids[1:]:
            if owner is not None and owner == owned.get(other):
                forest.join(event.ids[0], other)
    return forest.partition()


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
