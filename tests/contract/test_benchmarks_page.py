"""``docs/benchmarks.md`` shows what its result files hold."""

import io
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from rich.console import Console

from benchmarks.bench import PARTS, show_identity, show_streams
from tests.unit.deploy.compose_file import ROOT

PAGE = (ROOT / "docs" / "benchmarks.md").read_text()
RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize(("name", "show"), [("streams", show_streams), ("identity", show_identity)])
def test_the_tables_are_those_of_the_result_file(
    name: str, show: Callable[[dict[str, Any], Console], None]
) -> None:
    report = msgspec.json.decode((RESULTS / f"{name}.json").read_bytes())
    out = io.StringIO()
    show(report, Console(file=out, width=110))
    shown = [line.strip() for line in PAGE.splitlines()]
    for line in out.getvalue().splitlines():
        assert line.strip() in shown


def test_the_result_of_streams_has_every_part_of_a_clean_commit() -> None:
    report = msgspec.json.decode((RESULTS / "streams.json").read_bytes())
    assert report["settings"]["parts"] == list(PARTS)
    assert report["changed_files"] == 0


def test_every_part_is_explained() -> None:
    for part in PARTS:
        assert f"\n| `{part}` |" in PAGE
