"""What an error about a name tells of the names that exist."""

import pytest

from models.errors import MOST_LISTED, UnknownNameError

MANY = [f"name-{number}" for number in range(MOST_LISTED + 1)]


@pytest.mark.parametrize(
    ("name", "known", "told"),
    [
        ("nort", ["north", "south"], "unknown exchange 'nort'; did you mean 'north'?"),
        ("x", ["south", "north"], "unknown exchange 'x'; there are north, south"),
        ("x", MANY, "unknown exchange 'x'"),
        ("name-x", MANY, "unknown exchange 'name-x'; did you mean 'name-9'?"),
        ("x", [], "unknown exchange 'x'; there is none yet"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all_where_they_are_few(
    name: str, known: list[str], told: str
) -> None:
    assert str(UnknownNameError("exchange", name, known)) == told


def test_names_may_come_one_by_one() -> None:
    assert "did you mean 'north'" in str(UnknownNameError("exchange", "nort", iter(["north"])))
