"""How well a clustering agrees with the truth, over pairs, without ever listing the pairs."""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import TypeVar

import msgspec

__all__ = ["IdentityScore", "PairCounts", "pair_counts", "score_identity"]

Node = TypeVar("Node", bound=Hashable)


class PairCounts(msgspec.Struct, frozen=True):
    """Pairs that are together in one clustering, in the other, and in both."""

    both: int
    only_first: int
    only_second: int


class IdentityScore(msgspec.Struct, frozen=True):
    """Resolved persons against the truth, over pairs of nodes.

    Attributes:
        precision: of the pairs put together, the share that has one owner; 1 where there are none.
        recall_of_linkable: of the pairs that the evidence connects, the share put together; 1
            where there are none.
        linkable_share: of the pairs with one owner, the share that the evidence connects.
        merges: how many merges the evidence calls for.
        nodes: how many nodes were seen.
    """

    precision: float
    recall_of_linkable: float
    linkable_share: float
    merges: int
    nodes: int


def pair_counts(first: Mapping[Node, Hashable], second: Mapping[Node, Hashable]) -> PairCounts:
    """Counts pairs from the contingency table: the sum of C(n_ij, 2), in O(n).

    Args:
        first: node to cluster.
        second: the same nodes to clusters of another kind.

    Source: Hubert & Arabie (1985), "Comparing partitions".
    """
    both = _pairs(Counter((first[node], second[node]) for node in first))
    in_first = _pairs(Counter(first.values()))
    in_second = _pairs(Counter(second[node] for node in first))
    return PairCounts(both, in_first - both, in_second - both)


def _pairs(sizes: Counter[Hashable]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def score_identity(
    resolved: Mapping[Node, Hashable],
    owners: Mapping[Node, Hashable],
    linkable: Mapping[Node, Hashable],
    *,
    merges: int,
) -> IdentityScore:
    """Compares resolved persons with the truth and with what could be known.

    Args:
        resolved: node to the person that the system under test put it into.
        owners: the same nodes to their true owners.
        linkable: the same nodes to the components that the evidence makes of them.
        merges: how many merges that evidence calls for.
    """
    truth = pair_counts(resolved, owners)
    known = pair_counts(resolved, linkable)
    together = truth.both + truth.only_first
    owned = truth.both + truth.only_second
    connected = known.both + known.only_second
    return IdentityScore(
        precision=truth.both / together if together else 1.0,
        recall_of_linkable=known.both / connected if connected else 1.0,
        linkable_share=connected / owned if owned else 1.0,
        merges=merges,
        nodes=len(owners),
    )
