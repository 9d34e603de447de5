"""The failure ladder: every row names a test that exists, and metrics that exist."""

import ast
import re
from pathlib import Path

import pytest

from tests.contract.test_documents import page, rows, sections
from tests.unit.deploy.metric_names import series

ROOT = Path(__file__).resolve().parents[2]
LADDER = rows(sections(page("operations"))["The failure ladder"])
CITED = sorted(set(re.findall(r"`?(tests/[\w/]+\.py)::(\w+)`?", page("operations"))))


@pytest.mark.parametrize(("path", "name"), CITED, ids=[name for _, name in CITED])
def test_a_test_that_the_page_names_is_there(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", LADDER, ids=[row[0] for row in LADDER])
def test_a_fault_says_what_is_seen_and_is_tested(row: list[str]) -> None:
    fault, seen, _, metric, test = row
    assert fault
    assert seen
    assert metric
    assert test == "the same test" or re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", test)


def test_every_metric_that_the_page_names_is_exported() -> None:
    named = set(re.findall(r"`(bidder_\w+)(?:\{|`)", page("operations")))
    known = {name.removesuffix("_bucket") for name in series()}
    assert len(named) > 8
    assert named - known == set()
