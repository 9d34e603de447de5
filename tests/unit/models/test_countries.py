"""Both alphabets of ISO 3166-1."""

from bidder.privacy import GDPR_COUNTRIES
from models.countries import _ALPHA3, alpha3_of


def test_each_country_has_its_own_three_letters() -> None:
    assert len(_ALPHA3) == len(set(_ALPHA3.values())) == 249
    assert all(len(two) == 2 and len(three) == 3 for two, three in _ALPHA3.items())
    assert "".join(_ALPHA3.values()).isupper()


def test_the_countries_of_the_gdpr_agree_in_both_alphabets() -> None:
    two = {code for code in GDPR_COUNTRIES if len(code) == 2}
    three = {code for code in GDPR_COUNTRIES if len(code) == 3}
    assert {alpha3_of(code) for code in two} == three


def test_u9_what_is_no_code_of_two_letters_stays_as_it_is() -> None:
    """U9: three letters are what the specification wants."""
    assert [alpha3_of(code) for code in ("us", "USA", "usa", "XX", "")] == [
        "USA", "USA", "USA", "XX", "",
    ]  # fmt: skip
