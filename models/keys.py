"""Every Redis key of kinbid, written once; ``docs/redis-keys.md`` lists them for people.

All keys of one node share the hash tag ``{node}``, hence one slot of a Redis Cluster: each step
of the identity protocol touches one node, so none needs a cross-slot transaction.
"""

from collections.abc import Iterable

from models.identifiers import NodeId

__all__ = ["KEY_PATTERNS", "Keys"]

KEY_PATTERNS = {
    "{owner}:n:{node}": "parent of a node; absent for a root",
    "{owner}:p:{node}": "person: facets, counters, members, merge markers",
    "{owner}:q:{node}:{token}": "frozen copy of a merged or split person's p, expires",
    "{owner}:b:{node}": "what a bid needs: header, cap ledger, reservations",
    "{owner}:z:{node}:{token}": "frozen copy of a merged or split person's b, expires",
    "{owner}:w:{node}": "evidence: links in which the node was seen",
    "{owner}:u:{node}": "our cookie behind an exchange's user id, expires",
    "{owner}:number:{number}": "one pool number: its leases, who dialled it, links made",
    "{owner}:lines:{advertiser}": "calls of the last minutes: which found no free line",
    "{owner}:epoch:{topic}:{partition}": "ownership epoch of one input partition",
    "{owner}:rebuild": "a rebuild is not finished: what had been folded before it",
}


class Keys:
    """The key names of one data owner."""

    __slots__ = ("_b", "_n", "_p", "_q", "_u", "_w", "_z", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._n, self._p, self._q = f"{owner}:n:{{", f"{owner}:p:{{", f"{owner}:q:{{"
        self._b, self._z, self._w = f"{owner}:b:{{", f"{owner}:z:{{", f"{owner}:w:{{"
        self._u = f"{owner}:u:{{"

    def parent(self, node: NodeId) -> str:
        """``n``: the parent link."""
        return f"{self._n}{node}}}"

    def parents(self, nodes: Iterable[NodeId]) -> list[str]:
        """``n`` of several."""
        before = self._n
        return [f"{before}{node}}}" for node in nodes]

    def person(self, node: NodeId) -> str:
        """``p``: the person's facets and counters."""
        return f"{self._p}{node}}}"

    def frozen_person(self, node: NodeId, token: str) -> str:
        """``q``: what ``p`` was when the person was merged away or split under that token."""
        return f"{self._q}{node}}}:{token}"

    def bid_view(self, node: NodeId) -> str:
        """``b``: what the bidder reads."""
        return f"{self._b}{node}}}"

    def frozen_bid_view(self, node: NodeId, token: str) -> str:
        """``z``: what ``b`` was when the person was merged away or split under that token."""
        return f"{self._z}{node}}}:{token}"

    def evidence(self, node: NodeId) -> str:
        """``w``: links in which the node was seen."""
        return f"{self._w}{node}}}"

    def match(self, node: NodeId) -> str:
        """``u``: our cookie behind an exchange's user id."""
        return f"{self._u}{node}}}"

    def number(self, number: str) -> str:
        """The leases and calls of one number of a pool, E.164."""
        return f"{self.owner}:number:{number}"

    def lines(self, advertiser: str) -> str:
        """The newest calls to one advertiser."""
        return f"{self.owner}:lines:{advertiser}"

    def epoch(self, topic: str, partition: int) -> str:
        """The ownership counter of one input partition."""
        return f"{self.owner}:epoch:{topic}:{partition}"

    def rebuild(self) -> str:
        """The mark of a rebuild that is not finished."""
        return f"{self.owner}:rebuild"
