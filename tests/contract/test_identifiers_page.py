"""The page on identifiers against the code: every kind, every example, every rule with a sample."""

import re

import pytest

from models.identifiers import HOLDERS, TRUST, Namespace, namespace_of, normalise, parse_identifier
from models.identifiers import Pepper as PepperOfTests
from tests.contract.test_documents import page, rows, sections

PEPPER = PepperOfTests("a pepper for tests")
DIGITS = {"sha256": "ab" * 32, "sha1": "ab" * 20, "md5": "ab" * 16}


def cells(section: str) -> list[list[str]]:
    """The table of a section; a bar within a cell is written with a backslash."""
    text = sections(page("identifiers"))[section].replace("\\|", "\0")
    return [[cell.replace("\0", "|") for cell in row] for row in rows(text)]


def test_the_page_lists_every_namespace_most_trusted_first() -> None:
    listed = [(name, letter, holder) for name, letter, holder, _ in cells("Kinds")]
    assert listed == [
        (space.name.lower(), f"`{space.letter}`", HOLDERS[space].name.lower()) for space in TRUST
    ]


@pytest.mark.parametrize("row", cells("Kinds"), ids=lambda row: row[0])
def test_every_form_of_the_command_line_gives_a_node_of_its_kind(row: list[str]) -> None:
    forms = re.findall(r"`([^`]+)`", row[3])
    assert forms
    for form in forms:
        kind = form.partition(":")[0].rpartition("_")[2]
        node = PEPPER.node(*parse_identifier(form.replace("DIGITS", DIGITS.get(kind, ""))))
        assert node is not None, form
        assert namespace_of(node).name.lower() == row[0]


@pytest.mark.parametrize("row", cells("Normal forms"), ids=lambda row: f"{row[0]} {row[1]}")
def test_every_example_has_the_normal_form_that_the_page_says(row: list[str]) -> None:
    name, written, wanted = row
    normal = normalise(Namespace[name.upper()], written[1:-1])
    assert (f"`{normal}`" if normal is not None else "(none)") == wanted


def test_every_namespace_has_an_example() -> None:
    assert {name for name, _, _ in cells("Normal forms")} == {
        space.name.lower() for space in Namespace
    }


def test_every_sample_of_what_never_links_has_no_node() -> None:
    text = sections(page("identifiers"))["What never links"]
    samples = [s for s in re.findall(r"`([^`]+)`", text) if not s.startswith("KINBID_")]
    assert len(samples) > 15
    for sample in samples:
        is_mail = "@" in sample
        value = f"{sample}shop.example" if sample.endswith("@") else sample
        namespace = Namespace.EMAIL if is_mail else Namespace.COOKIE
        assert PEPPER.node(namespace, value) is None, sample
