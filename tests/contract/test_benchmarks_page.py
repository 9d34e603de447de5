"""``docs/benchmarks.md`` shows what its result files hold, and nothing else has their figures."""

import io
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console

from benchmarks.bench import PARTS, show_identity, show_streams
from benchmarks.load.tables import show_bid_path, show_latency
from tests.unit.deploy.compose_file import ROOT

PAGE = (ROOT / "docs" / "benchmarks.md").read_text()
ROADMAP = (ROOT / "docs" / "roadmap.md").read_text()
RESULTS = ROOT / "benchmarks" / "results"
SHOWN: dict[str, Callable[[dict[str, Any], Console], None]] = {
    "streams": show_streams,
    "identity": show_identity,
    "bid-path": show_bid_path,
    "latency": show_latency,
}
MEASURED = [name for name in SHOWN if (RESULTS / f"{name}.json").exists()]
EACH = pytest.mark.parametrize("name", MEASURED)


def result(name: str) -> dict[str, Any]:
    report: dict[str, Any] = msgspec.json.decode((RESULTS / f"{name}.json").read_bytes())
    return report


def section(page: str, name: str) -> list[str]:
    """The lines of a section, without the blank ones."""
    text = page.partition(f"\n## {name.capitalize()}\n")[2].partition("\n## ")[0]
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def block_of(page: str, name: str) -> list[str]:
    """What a section shows as it was printed."""
    return [line.removeprefix("    ") for line in section(page, name) if line.startswith("    ")]


def printed(name: str) -> list[str]:
    out = io.StringIO()
    SHOWN[name](result(name), Console(file=out, width=110))
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize("name", SHOWN)
def test_there_is_a_section_which_shows_figures_where_there_is_a_result(name: str) -> None:
    assert section(PAGE, name)
    assert bool(block_of(PAGE, name)) == (name in MEASURED)


@EACH
def test_no_invalid_run_is_published(name: str) -> None:
    assert result(name).get("objections", []) == []


@EACH
def test_the_block_is_what_the_result_file_prints_line_by_line(name: str) -> None:
    assert block_of(PAGE, name) == printed(name)


@EACH
def test_a_row_too_many_a_row_too_few_and_another_figure_are_seen(name: str) -> None:
    first, last = printed(name)[1], printed(name)[-1]
    for wrong in (
        PAGE.replace(f"    {first}\n", f"    {first}\n    500,000  1.0\n"),
        PAGE.replace(f"    {first}\n", ""),
        PAGE.replace(last, f"{last}0"),
    ):
        assert block_of(wrong, name) != printed(name)


@EACH
def test_the_result_is_that_of_a_clean_commit(name: str) -> None:
    assert result(name)["changed_files"] == 0


@EACH
def test_prose_beside_a_table_repeats_none_of_its_figures(name: str) -> None:
    prose = [line for line in section(PAGE, name) if not line.startswith("    ")]
    assert [line for line in prose if re.search(r"\d", line)] == []


def test_the_roadmap_has_goals_and_leaves_the_figures_to_this_page() -> None:
    points = [one for one in ROADMAP.split("\n- ") if "(benchmarks.md)" in one]
    assert points
    for point in points:
        assert not re.search(r"\d", re.sub(r"the goals? (is|are) [^;:]*?\. ", "", point))


def test_the_result_of_streams_has_every_part() -> None:
    assert result("streams")["settings"]["parts"] == list(PARTS)


def test_every_part_is_explained() -> None:
    for part in PARTS:
        assert f"\n| `{part}` |" in PAGE
