"""The findings for people: resolvers side by side, and what each noise costs each of them."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.quality.experiment import ALL_NOISE, NO_NOISE, SHARED_RIGHT, Estimate, Findings

__all__ = ["show_findings"]

REACH: Final = "reach_inflation"
"""The one metric that is no share."""

PAIRS: Final = {
    "precision": "precision", "recall": "recall", "f1": "F1",
    "b_cubed_precision": "B3 P", "b_cubed_recall": "B3 R",
}  # fmt: skip
CLUSTERS: Final = {
    "exact_match_rate": "exact", "over_merge_rate": "over-merged",
    "mixed_person_rate": "mixed up", SHARED_RIGHT: "shared right", REACH: "reach",
}  # fmt: skip
CARDS: Final = {
    "unmerged_recall": "unmerged", "merged_recall": "merged", "mistaken_fused_rate": "mistaken",
    "split_fused_rate": "split again", "split_trace_rate": "trace",
}  # fmt: skip
COMPARED: Final = {"kinbid": "kinbid", "last sign-in": "last", "naive union": "naive"}
"""Resolvers whose losses are shown, and their short names."""

NO_FINDING: Final = "."


def show_findings(findings: Findings, console: Console) -> None:
    """Prints the tables.

    Args:
        findings: of the experiment.
        console: where to.
    """
    seeds = findings.seeds
    console.print(
        f"{len(seeds)} worlds (seeds {seeds[0]} to {seeds[-1]}) of {findings.persons:,} persons, "
        f"each {findings.events:,.0f} events\nand {findings.nodes:,.0f} nodes, "
        f"{findings.shared_nodes:,.0f} of them shared; % ± half the 95 % interval"
    )
    console.print(_resolvers(findings, "\nnodes with all noise", PAIRS))
    console.print(_resolvers(findings, "\npersons with all noise", CLUSTERS))
    console.print(
        _resolvers(findings, "\ncustomers whose cards the CRM merged, with all noise", CARDS)
    )
    console.print(_costs(findings))


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)


def _resolvers(findings: Findings, title: str, columns: Mapping[str, str]) -> Table:
    table = _table(title)
    table.add_column("resolver", no_wrap=True)
    for column in columns.values():
        table.add_column(column, justify="right", no_wrap=True)
    for resolver, metrics in findings.scores[ALL_NOISE].items():
        table.add_row(resolver, *(_with_interval(name, metrics[name]) for name in columns))
    return table


def _costs(findings: Findings) -> Table:
    table = _table(
        f"\none noise alone: points won or lost against none ({NO_FINDING} is within the spread)"
    )
    table.add_column("noise", no_wrap=True)
    for short in COMPARED.values():
        table.add_column(f"{short} P", justify="right", no_wrap=True)
        table.add_column(f"{short} R", justify="right", no_wrap=True)
    calm = findings.scores[NO_NOISE]
    both = [(resolver, name) for resolver in COMPARED for name in ("precision", "recall")]
    table.add_row("none", *(f"{100 * calm[resolver][name].mean:.1f}" for resolver, name in both))
    for noise, scores in findings.scores.items():
        if noise not in {ALL_NOISE, NO_NOISE}:
            cells = (_gap(scores[one][name].minus(calm[one][name])) for one, name in both)
            table.add_row(noise.replace("_", " "), *cells)
    return table


def _with_interval(name: str, estimate: Estimate) -> str:
    scale, digits = (1, 2) if name == REACH else (100, 1)
    text = f"{scale * estimate.mean:.{digits}f}"
    if estimate.half_width is None:
        return text
    return f"{text} ±{scale * estimate.half_width:.{digits}f}"


def _gap(gap: Estimate) -> str:
    is_shown = gap.mean != 0 and (gap.half_width is None or gap.is_finding)
    return f"{100 * gap.mean:+.1f}" if is_shown else NO_FINDING
