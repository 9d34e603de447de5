import pytest

from benchmarks.quality import pair_counts
from benchmarks.world.scores import score_identity

TRUTH = {**dict.fromkeys("12345", "A"), **dict.fromkeys("67", "B"), **dict.fromkeys("89abc", "C")}


def test_the_pairs_of_bagga_and_baldwin() -> None:
    """Bagga & Baldwin (1998): the second and third cluster are taken for one."""
    response = {**dict.fromkeys("12345", 1), **dict.fromkeys("6789abc", 2)}
    counts = pair_counts(response, TRUTH)
    assert (counts.both, counts.only_first, counts.only_second) == (21, 10, 0)
    score = score_identity(response, TRUTH, TRUTH, merges=9)
    assert score.precision == pytest.approx(21 / 31)
    assert score.recall_of_linkable == 1.0


def test_a_perfect_answer() -> None:
    score = score_identity(TRUTH, TRUTH, TRUTH, merges=9)
    assert (score.precision, score.recall_of_linkable, score.linkable_share) == (1, 1, 1)
    assert (score.merges, score.nodes) == (9, 12)


def test_an_undermerged_answer_loses_recall_only() -> None:
    apart = {node: node for node in TRUTH}
    score = score_identity(apart, TRUTH, TRUTH, merges=9)
    assert (score.precision, score.recall_of_linkable) == (1.0, 0.0)


def test_what_the_evidence_cannot_link_is_not_asked_for() -> None:
    linkable = {**TRUTH, "5": "unlinked"}
    answer = {**TRUTH, "5": "on its own"}
    score = score_identity(answer, TRUTH, linkable, merges=8)
    assert (score.precision, score.recall_of_linkable) == (1.0, 1.0)
    assert score.linkable_share == pytest.approx(17 / 21)


def test_one_cluster_for_all_has_full_recall_and_poor_precision() -> None:
    score = score_identity(dict.fromkeys(TRUTH, 0), TRUTH, TRUTH, merges=9)
    assert score.recall_of_linkable == 1.0
    assert score.precision == pytest.approx(21 / 66)


def test_no_pairs_at_all_is_no_fault() -> None:
    score = score_identity({}, {}, {}, merges=0)
    assert (score.precision, score.recall_of_linkable, score.linkable_share) == (1, 1, 1)
