"""Metrics of partitions: golden numbers, and the laws that they obey."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality import Agreement, SharedVerdicts, judge_shared, pair_counts

TRUTH = {**dict.fromkeys("12345", "A"), **dict.fromkeys("67", "B"), **dict.fromkeys("89abc", "C")}

partitions = st.integers(1, 25).flatmap(
    lambda size: st.tuples(
        st.lists(st.integers(0, 6), min_size=size, max_size=size),
        st.lists(st.integers(0, 6), min_size=size, max_size=size),
    )
)
"""Two partitions of the same nodes: the cluster of each node in either."""


def agree(resolved: list[int], truth: list[int]) -> Agreement:
    return Agreement.of(dict(enumerate(resolved)), dict(enumerate(truth)))


# -- golden ---------------------------------------------------------------------------------


def test_bagga_and_baldwin_1998_second_and_third_chain_taken_for_one() -> None:
    found = Agreement.of({**dict.fromkeys("12345", 1), **dict.fromkeys("6789abc", 2)}, TRUTH)
    assert (found.pairs.both, found.pairs.only_first, found.pairs.only_second) == (21, 10, 0)
    assert found.precision == pytest.approx(0.677419, abs=5e-7)
    assert found.recall == 1.0
    assert found.b_cubed_precision == pytest.approx(0.761905, abs=5e-7)
    assert found.b_cubed_recall == 1.0


def test_bagga_and_baldwin_1998_first_and_third_chain_taken_for_one() -> None:
    """Their second example: as many links are wrong, and more entities are confused by it."""
    found = Agreement.of({**dict.fromkeys("1234589abc", 1), **dict.fromkeys("67", 2)}, TRUTH)
    assert (found.pairs.both, found.pairs.only_first) == (21, 25)
    assert found.b_cubed_precision == pytest.approx(0.583333, abs=5e-7)
    assert found.b_cubed_recall == 1.0


def test_persons_and_clusters_are_counted() -> None:
    found = Agreement.of({**dict.fromkeys("12345", 1), **dict.fromkeys("6789abc", 2)}, TRUTH)
    assert (found.nodes, found.clusters, found.persons, found.exact) == (12, 2, 3, 1)
    assert (found.over_merged, found.mixed_persons) == (1, 2)
    assert found.exact_match_rate == pytest.approx(1 / 3)
    assert found.over_merge_rate == pytest.approx(1 / 2)
    assert found.mixed_person_rate == pytest.approx(2 / 3)
    assert found.reach_inflation == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 * found.precision / (1 + found.precision))


def test_nodes_without_one_owner_are_left_out_and_an_unanswered_one_is_an_error() -> None:
    assert Agreement.of({"1": 1, "shared": 1}, {"1": "A"}).nodes == 1
    with pytest.raises(KeyError, match="2"):
        Agreement.of({"1": 1}, {"1": "A", "2": "A"})


def test_nobody_at_all_is_no_fault() -> None:
    found = Agreement.of({}, {})
    assert (found.precision, found.recall, found.f1, found.b_cubed_precision) == (1, 1, 1, 1)
    assert (found.over_merge_rate, found.mixed_person_rate, found.reach_inflation) == (0, 0, 1)


# -- laws -----------------------------------------------------------------------------------


@given(partitions)
def test_pairs_are_those_that_a_listing_finds(both: tuple[list[int], list[int]]) -> None:
    ours, true = both
    listed = [
        (ours[a] == ours[b], true[a] == true[b])
        for a, b in itertools.combinations(range(len(ours)), 2)
    ]
    found = pair_counts(dict(enumerate(ours)), dict(enumerate(true)))
    assert found.both == listed.count((True, True))
    assert found.only_first == listed.count((True, False))
    assert found.only_second == listed.count((False, True))


@given(partitions)
def test_b_cubed_is_the_mean_over_nodes(both: tuple[list[int], list[int]]) -> None:
    ours, true = both
    precisions, recalls = [], []
    for cluster, owner in zip(ours, true, strict=True):
        right = sum((cluster, owner) == pair for pair in zip(ours, true, strict=True))
        precisions.append(right / ours.count(cluster))
        recalls.append(right / true.count(owner))
    found = agree(ours, true)
    assert found.b_cubed_precision == pytest.approx(sum(precisions) / len(ours))
    assert found.b_cubed_recall == pytest.approx(sum(recalls) / len(ours))


@given(partitions)
def test_every_share_is_between_0_and_1(both: tuple[list[int], list[int]]) -> None:
    found = agree(*both)
    for share in (
        found.precision, found.recall, found.f1, found.exact_match_rate, found.over_merge_rate,
        found.mixed_person_rate,
    ):  # fmt: skip
        assert 0 <= share <= 1
    assert 0 < found.b_cubed_precision <= 1 + 1e-9
    assert 0 < found.b_cubed_recall <= 1 + 1e-9


@given(partitions)
def test_the_truth_under_other_names_is_perfect(both: tuple[list[int], list[int]]) -> None:
    truth = both[0]
    found = agree([7 - owner for owner in truth], truth)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert found.b_cubed_precision == pytest.approx(1)
    assert found.b_cubed_recall == pytest.approx(1)
    assert (found.exact_match_rate, found.over_merge_rate, found.reach_inflation) == (1, 0, 1)


@given(partitions)
def test_exchanging_answer_and_truth_exchanges_precision_and_recall(
    both: tuple[list[int], list[int]],
) -> None:
    there, back = agree(*both), agree(*reversed(both))
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert there.f1 == back.f1
    assert there.b_cubed_precision == pytest.approx(back.b_cubed_recall)


@given(partitions, st.data())
def test_splitting_clusters_never_raises_recall(
    both: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    ours, true = both
    cut = data.draw(st.lists(st.booleans(), min_size=len(ours), max_size=len(ours)))
    finer = [2 * cluster + side for cluster, side in zip(ours, cut, strict=True)]
    before, after = agree(ours, true), agree(finer, true)
    assert after.recall <= before.recall
    assert after.b_cubed_recall <= before.b_cubed_recall + 1e-9
    assert after.pairs.only_first <= before.pairs.only_first
    assert after.reach_inflation >= before.reach_inflation


@given(partitions)
def test_splitting_clusters_by_their_true_owners_leaves_nothing_wrong(
    both: tuple[list[int], list[int]],
) -> None:
    ours, true = both
    before = agree(ours, true)
    finer = [10 * cluster + owner for cluster, owner in zip(ours, true, strict=True)]
    after = agree(finer, true)
    assert after.precision == 1.0
    assert after.b_cubed_precision == pytest.approx(1)
    assert after.pairs.both == before.pairs.both
    assert after.recall == before.recall
    assert (after.over_merged, after.mixed_persons) == (0, 0)


# -- nodes that several persons use ---------------------------------------------------------

USERS = {"tablet": frozenset({"A", "B"})}
OWNED = {"a": "A", "b": "B", "c": "C"}


@pytest.mark.parametrize(
    ("together", "verdicts", "is_right"),
    [
        ([], SharedVerdicts(alone=1), True),
        (["a"], SharedVerdicts(with_one_user=1, right_pairs=1), True),
        (["a", "b"], SharedVerdicts(with_several=1, right_pairs=2), False),
        (["c"], SharedVerdicts(with_stranger=1, wrong_pairs=1), False),
        (["a", "c"], SharedVerdicts(with_stranger=1, right_pairs=1, wrong_pairs=1), False),
    ],
)
def test_a_shared_device_is_right_alone_or_with_one_of_its_users(
    together: list[str], verdicts: SharedVerdicts, *, is_right: bool
) -> None:
    resolved = {**OWNED, "tablet": "T"} | dict.fromkeys(together, "T")
    found = judge_shared(resolved, OWNED, USERS)
    assert found == verdicts
    assert found.right_rate == float(is_right)
    assert found.nodes == 1
    pairs = verdicts.right_pairs + verdicts.wrong_pairs
    assert found.pair_precision == (verdicts.right_pairs / pairs if pairs else 1.0)


def test_two_shared_devices_together_are_with_nobody() -> None:
    users = USERS | {"kiosk": frozenset({"A", "C"})}
    found = judge_shared({**OWNED, "tablet": "T", "kiosk": "T"}, OWNED, users)
    assert found == SharedVerdicts(alone=2)
    assert judge_shared(OWNED, OWNED, {}).right_rate == 1.0
