"""The owner's pepper: secrets in order, the phone region, further placeholders."""

import pytest

from models.errors import InvalidFieldError
from models.identifiers import Namespace, Pepper
from runtime.pepper import pepper_of
from runtime.settings import Settings

SECRET, NEXT = "a pepper for tests", "a pepper for later"


def test_secrets_nest_in_the_order_of_the_setting() -> None:
    wanted = Pepper(SECRET, NEXT).node(Namespace.COOKIE, "abc")
    for written in (f"{SECRET},{NEXT}", f" {SECRET} , {NEXT} "):
        pepper = pepper_of(Settings(identity_pepper=written))
        assert pepper.node(Namespace.COOKIE, "abc") == wanted


def test_the_owners_country_and_placeholders_are_known_to_its_pepper() -> None:
    pepper = pepper_of(
        Settings(
            identity_pepper=SECRET,
            phone_region="RU",
            identity_placeholders="phone:8 495 123-45-68, email:Desk@shop.example,",
        )
    )
    assert pepper.node(Namespace.PHONE, "+7 495 123 45 68") is None
    assert pepper.node(Namespace.EMAIL, "desk@shop.example") is None
    assert pepper.node(Namespace.PHONE, "8 912 345 67 88") == Pepper(SECRET).node(
        Namespace.PHONE, "+7 912 345 67 88"
    )


@pytest.mark.parametrize("wrong", ["12127365000", "fone:12127365000", "cookie:a,eid:abc"])
def test_a_placeholder_that_cannot_be_read_names_the_setting(wrong: str) -> None:
    with pytest.raises(InvalidFieldError, match="identity_placeholders") as caught:
        pepper_of(Settings(identity_pepper=SECRET, identity_placeholders=wrong))
    assert caught.value.field == "identity_placeholders"


def test_a_missing_pepper_is_told() -> None:
    with pytest.raises(InvalidFieldError, match="identity_pepper"):
        pepper_of(Settings())
