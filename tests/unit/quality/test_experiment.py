"""Estimates over seeds, the experiment as a whole, and its tables."""

import io
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from rich.console import Console

from benchmarks.quality import (
    ALL_NOISE,
    CARD_METRICS,
    METRICS,
    MOST_SEEDS,
    NO_NOISE,
    SHARED_PAIRS,
    SHARED_RIGHT,
    Estimate,
    Findings,
    NoiseRates,
    count_runs,
    measure,
    naive_union,
    show_findings,
)
from models.errors import InvalidFieldError
from models.events import Event
from models.identifiers import NodeId

FEW = NoiseRates().only("kiosk", "gift_order")


@pytest.fixture(scope="module")
def findings() -> Findings:
    """With naive union under test, so that its numbers stand there twice."""
    told: list[str] = []
    runs = 0

    def under_test(events: Sequence[Event]) -> Mapping[NodeId, NodeId]:
        nonlocal runs
        runs += 1
        return naive_union(events)

    found = measure(under_test, seed=3, seeds=2, persons=40, rates=FEW, advance=told.append)
    assert told == [
        noise for noise in (ALL_NOISE, NO_NOISE, "kiosk", "gift_order") for _ in range(2)
    ]
    assert runs == count_runs(FEW, 2)
    return found


# -- estimates ------------------------------------------------------------------------------


def test_an_interval_is_students() -> None:
    """Of 1 to 5: mean 3, standard error sqrt(2.5 / 5), t 2.776 for 4 degrees of freedom."""
    found = Estimate.of([1, 2, 3, 4, 5])
    assert found.mean == 3
    assert found.half_width == pytest.approx(2.776 * 0.5**0.5)


def test_one_world_has_no_interval_and_no_finding() -> None:
    found = Estimate.of([0.5])
    assert (found.mean, found.half_width, found.is_finding) == (0.5, None, False)


def test_what_seeds_have_in_common_falls_out_of_a_difference() -> None:
    gap = Estimate.of([1.1, 5.1, 9.1]).minus(Estimate.of([1.0, 5.0, 9.0]))
    assert gap.mean == pytest.approx(0.1)
    assert gap.is_finding
    assert not Estimate.of([1.0, -1.0]).is_finding


@pytest.mark.parametrize("count", [0, MOST_SEEDS + 1])
def test_an_estimate_has_bounds(count: int) -> None:
    assert Estimate.of([0.0] * MOST_SEEDS).half_width == 0
    with pytest.raises(ValueError, match=f"{count} values"):
        Estimate.of([0.0] * count)


# -- the experiment -------------------------------------------------------------------------


def test_every_resolver_is_measured_under_every_noise(findings: Findings) -> None:
    assert list(findings.scores) == [ALL_NOISE, NO_NOISE, "kiosk", "gift_order"]
    for noise, scores in findings.scores.items():
        cards = CARD_METRICS if noise == ALL_NOISE else ()
        assert list(scores) == ["kinbid", "last sign-in", "naive union", "right links only"]
        assert scores["kinbid"] == scores["naive union"]
        for metrics in scores.values():
            assert list(metrics) == [*METRICS, SHARED_RIGHT, SHARED_PAIRS, *cards]
            assert all(len(one.values) == 2 for one in metrics.values())
    assert (findings.seeds, findings.persons) == ((3, 4), 40)
    assert findings.nodes > findings.shared_nodes > 0


def test_the_right_links_are_the_ceiling(findings: Findings) -> None:
    for scores in findings.scores.values():
        assert scores["right links only"]["precision"].mean == 1.0
        for metrics in scores.values():
            assert metrics["f1"].mean <= scores["right links only"]["f1"].mean


def test_the_same_seeds_give_the_same_findings(findings: Findings) -> None:
    again = measure(naive_union, seed=3, seeds=2, persons=40, rates=FEW, advance=lambda _: None)
    assert again == findings
    read = msgspec.json.decode(msgspec.json.encode(findings), type=Findings)
    assert read == findings


@pytest.mark.parametrize("seeds", [0, MOST_SEEDS + 1])
def test_a_number_of_seeds_that_has_no_interval_is_refused(seeds: int) -> None:
    with pytest.raises(InvalidFieldError, match=f"seeds: {seeds} is not from 1 to 30"):
        measure(naive_union, seed=3, seeds=seeds, persons=40, rates=FEW, advance=lambda _: None)


# -- tables ---------------------------------------------------------------------------------


def printed(findings: Findings) -> str:
    out = io.StringIO()
    show_findings(findings, Console(file=out, width=80))
    return out.getvalue()


def test_the_tables_show_every_resolver_and_fit_a_terminal(findings: Findings) -> None:
    text = printed(findings)
    rows = [line for line in text.splitlines() if line.startswith("naive union")]
    assert len(rows) == 3
    precision = findings.scores[ALL_NOISE]["naive union"]["precision"]
    assert f"{100 * precision.mean:.1f} ±" in rows[0]
    for column in (
        "precision",
        "recall",
        "B3 P",
        "over-merged",
        "shared right",
        "reach",
        "split again",
    ):
        assert column in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_gap_within_the_spread_is_shown_as_none(findings: Findings) -> None:
    last_of_gifts = next(
        line for line in printed(findings).splitlines() if line.startswith("gift order")
    ).split()[4:6]
    assert last_of_gifts == [".", "."]


def test_one_world_is_shown_without_an_interval() -> None:
    found = measure(naive_union, seed=3, seeds=1, persons=40, rates=FEW, advance=lambda _: None)
    assert "±" not in "".join(printed(found).splitlines()[2:])
