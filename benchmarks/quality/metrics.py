"""How well a partition of nodes into persons agrees with the truth, without listing the pairs.

Everything comes from one contingency table, n_ij nodes in both cluster i and person j, so the
cost is O(nodes) however large a cluster grows. Where a share has nothing to be a share of, it is
1: no pair put together is no pair put together wrongly.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, KeysView, Mapping
from typing import Self, TypeAlias, TypeVar

import msgspec

__all__ = ["Agreement", "PairCounts", "Partition", "SharedVerdicts", "judge_shared", "pair_counts"]

Node = TypeVar("Node", bound=Hashable)

Partition: TypeAlias = Mapping[Node, Hashable]
"""Node to the name of its cluster; the names mean nothing beyond being equal or not."""


class PairCounts(msgspec.Struct, frozen=True):
    """Pairs that are together in one partition, in the other, and in both."""

    both: int
    only_first: int
    only_second: int


def pair_counts(first: Partition[Node], second: Partition[Node]) -> PairCounts:
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


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """A resolver's persons beside the true ones.

    Attributes:
        pairs: ``both`` is rightly together, ``only_first`` wrongly, ``only_second`` missed.
        b_cubed_precision: over nodes, the mean share of its cluster that has its owner.
        b_cubed_recall: over nodes, the mean share of its owner's nodes that are in its cluster.
        nodes: how many were judged.
        clusters: persons according to the resolver.
        persons: persons in truth.
        exact: true persons whose nodes are one cluster, all of it.
        over_merged: clusters with nodes of more than one true person.
        mixed_persons: true persons who share a cluster with another.

    Sources: Bagga & Baldwin (1998), "Algorithms for scoring coreference chains" (B-cubed);
    Menestrina, Whang & Garcia-Molina (2010), "Evaluating entity resolution results".
    """

    pairs: PairCounts
    b_cubed_precision: float
    b_cubed_recall: float
    nodes: int
    clusters: int
    persons: int
    exact: int
    over_merged: int
    mixed_persons: int

    @classmethod
    def of(cls, resolved: Partition[Node], truth: Partition[Node]) -> Self:
        """Compares a resolver's partition with the true one.

        Args:
            resolved: node to cluster; nodes that ``truth`` lacks are left out.
            truth: node to its one owner.

        Raises:
            KeyError: the resolver says nothing about a node.
        """
        ours = {node: resolved[node] for node in truth}
        table = Counter((ours[node], truth[node]) for node in truth)
        cluster_sizes, owner_sizes = Counter(ours.values()), Counter(truth.values())
        owners_in: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
        for cluster, owner in table:
            owners_in[cluster].append(owner)
        mixed = [owners for owners in owners_in.values() if len(owners) > 1]
        return cls(
            pairs=pair_counts(ours, truth),
            b_cubed_precision=_ratio(
                sum(n * n / cluster_sizes[cluster] for (cluster, _), n in table.items()), len(truth)
            ),
            b_cubed_recall=_ratio(
                sum(n * n / owner_sizes[owner] for (_, owner), n in table.items()), len(truth)
            ),
            nodes=len(truth),
            clusters=len(cluster_sizes),
            persons=len(owner_sizes),
            exact=sum(
                n == cluster_sizes[cluster] == owner_sizes[owner]
                for (cluster, owner), n in table.items()
            ),
            over_merged=len(mixed),
            mixed_persons=len({owner for owners in mixed for owner in owners}),
        )

    @property
    def precision(self) -> float:
        """Of the pairs put together, the share that has one owner."""
        return _ratio(self.pairs.both, self.pairs.both + self.pairs.only_first)

    @property
    def recall(self) -> float:
        """Of the pairs that have one owner, the share put together."""
        return _ratio(self.pairs.both, self.pairs.both + self.pairs.only_second)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = 2 * self.pairs.both + self.pairs.only_first + self.pairs.only_second
        return _ratio(2 * self.pairs.both, total)

    @property
    def exact_match_rate(self) -> float:
        """The share of true persons who were found exactly."""
        return _ratio(self.exact, self.persons)

    @property
    def over_merge_rate(self) -> float:
        """The share of clusters with more than one true person: budget spent on somebody else."""
        return self.over_merged / self.clusters if self.clusters else 0.0

    @property
    def mixed_person_rate(self) -> float:
        """The share of true persons in such clusters; one giant cluster shows here alone."""
        return self.mixed_persons / self.persons if self.persons else 0.0

    @property
    def reach_inflation(self) -> float:
        """Clusters per true person: above 1, one customer is counted and capped as several."""
        return _ratio(self.clusters, self.persons)


class SharedVerdicts(msgspec.Struct, frozen=True):
    """Where a resolver put nodes that several persons use.

    Attributes:
        alone: with nobody.
        with_one_user: with one person, who does use it.
        with_several: with more than one person, all of whom use it: they were fused.
        with_stranger: with somebody who does not use it.
        right_pairs: pairs of such a node and a node of one owner, who uses it.
        wrong_pairs: pairs of such a node and a node of somebody who does not.
    """

    alone: int = 0
    with_one_user: int = 0
    with_several: int = 0
    with_stranger: int = 0
    right_pairs: int = 0
    wrong_pairs: int = 0

    @property
    def nodes(self) -> int:
        """How many were judged."""
        return self.alone + self.with_one_user + self.with_several + self.with_stranger

    @property
    def right_rate(self) -> float:
        """The share that is alone or with one of its true users, who is not fused with others."""
        return _ratio(self.alone + self.with_one_user, self.nodes)

    @property
    def pair_precision(self) -> float:
        """Of their pairs with nodes of one owner, the share whose owner is a true user."""
        return _ratio(self.right_pairs, self.right_pairs + self.wrong_pairs)


def judge_shared(
    resolved: Partition[Node],
    owned: Partition[Node],
    users: Mapping[Node, frozenset[Hashable]],
) -> SharedVerdicts:
    """Judges the nodes that have several true users.

    Args:
        resolved: every node to its cluster.
        owned: nodes of one owner, to that owner.
        users: shared nodes, to all who use them.
    """
    owners_in: defaultdict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for node, owner in owned.items():
        owners_in[resolved[node]][owner] += 1
    verdicts: Counter[str] = Counter()
    for node, true_users in users.items():
        beside = owners_in.get(resolved[node], Counter())
        right = sum(count for owner, count in beside.items() if owner in true_users)
        verdicts["right_pairs"] += right
        verdicts["wrong_pairs"] += beside.total() - right
        verdicts[_verdict(beside.keys(), true_users)] += 1
    return SharedVerdicts(**verdicts)


def _verdict(beside: KeysView[Hashable], true_users: frozenset[Hashable]) -> str:
    if not beside:
        return "alone"
    if not beside <= true_users:
        return "with_stranger"
    return "with_one_user" if len(beside) == 1 else "with_several"


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
