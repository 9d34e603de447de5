"""``docs/openrtb.md``: each line that exchanges ask for has a test, or says why it is not built."""

import pytest

from tests.openrtb_page import NOT_BUILT, PAGE, cited, lines_of, with_tests

LINES = lines_of(PAGE.read_text())


def test_the_page_names_the_tests_of_every_line() -> None:
    """If it does not: ``python -m tests.openrtb_page --write``."""
    assert with_tests(PAGE.read_text()) == PAGE.read_text()


def test_no_test_shows_a_line_that_the_page_does_not_have() -> None:
    assert cited().keys() - LINES.keys() == set()


@pytest.mark.parametrize("line", LINES)
def test_what_must_be_is_built_and_what_is_not_says_why(line: str) -> None:
    level, shown_by = LINES[line]
    if shown_by.startswith(NOT_BUILT):
        assert level in {"S", "O"}
        assert len(shown_by) > len(NOT_BUILT) + 20
    else:
        assert shown_by


def test_the_page_has_every_section() -> None:
    assert {line[0] for line in LINES} == set("HTPADBFURONC")
