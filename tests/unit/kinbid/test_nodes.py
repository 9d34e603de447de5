"""Identifiers of the command line."""

import pytest

from kinbid.nodes import node_named, pair_of_names
from models.errors import InvalidFieldError, UnknownNameError
from models.evidence import pair_of
from models.identifiers import Namespace, Pepper
from runtime.settings import Settings

SETTINGS = Settings(identity_pepper="a pepper for tests")
ABC = Pepper("a pepper for tests").node(Namespace.COOKIE, "abc")


def test_an_identifier_and_its_node_name_the_same() -> None:
    assert ABC is not None
    assert node_named(SETTINGS, "cookie:abc") == ABC
    assert node_named(SETTINGS, ABC) == ABC


def test_a_pair_is_the_same_in_either_order() -> None:
    email = node_named(SETTINGS, "email:ann@mail.example")
    assert ABC is not None
    assert pair_of_names(SETTINGS, "cookie:abc", email) == pair_of(ABC, email)
    assert pair_of_names(SETTINGS, email, "cookie:abc") == pair_of(ABC, email)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("abc", "is not NAMESPACE:VALUE, for example cookie:abc"),
        ("z" + "a" * 22, "is not NAMESPACE:VALUE"),
        ("cookie:null", "it is a placeholder"),
    ],
)
def test_what_names_nobody_is_refused_with_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(InvalidFieldError, match="identifier: ") as raised:
        node_named(SETTINGS, text)
    assert told in str(raised.value)


def test_a_misspelt_namespace_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cookie'"):
        node_named(SETTINGS, "cokie:abc")


def test_a_link_has_two_ends() -> None:
    assert ABC is not None
    with pytest.raises(InvalidFieldError, match=f"both are {ABC}"):
        pair_of_names(SETTINGS, "cookie:abc", ABC)
