"""How well the demo's persons agree with the truth and with what the evidence links."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import msgspec

from benchmarks.quality import pair_counts

__all__ = ["IdentityScore", "score_identity"]

Node = TypeVar("Node", bound=Hashable)


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
