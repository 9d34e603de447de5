"""Phone numbers: one node however a number is written, and numbers that are nobody's."""

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from models.errors import InvalidFieldError
from models.identifiers import Namespace, Pepper
from models.phones import COMPANY_TYPES, check_region, phone_form

MOBILE = PhoneNumberType.MOBILE
REGIONS = sorted(
    region
    for region in phonenumbers.SUPPORTED_REGIONS
    if phonenumbers.example_number_for_type(region, MOBILE) is not None
)


@pytest.mark.parametrize(
    "written",
    ["+1 212 736 5000", "+12127365000", "(212) 736-5000", "212.736.5000", "1-212-736-5000",
     " 2127365000 ", "tel:+1-212-736-5000", "001 212 736 5000", "(011) 1 212 736 5000"],
)  # fmt: skip
def test_a_phone_number_is_one_however_it_is_written(written: str) -> None:
    assert phone_form(written, "US") == "+12127365000"


@pytest.mark.parametrize(
    "written",
    ["8 912 345-67-88", "8 (912) 345 67 88", "89123456788", "+7 912 345-67-88", "79123456788",
     "9123456788", "007 912 345 67 88", "+7 (8912) 3456788"],
)  # fmt: skip
def test_48_8_9xx_and_7_9xx_are_one_number(written: str) -> None:
    pepper = Pepper("first secret", phone_region="RU")
    assert phone_form(written, "RU") == "+79123456788"
    assert pepper.node(Namespace.PHONE, written) == Pepper("first secret").node(
        Namespace.PHONE, "+79123456788"
    )


@pytest.mark.parametrize("region", ["US", "BR", "FR", "KZ"])
def test_48_8_9xx_and_7_9xx_are_one_number_where_8_9xx_is_none(region: str) -> None:
    assert phone_form("8 (912) 345-67-88", region) == phone_form("+7 912 345-67-88", region)


def test_a_neighbour_with_the_same_country_code_is_read_too() -> None:
    assert phone_form("8 701 234 56 88", "KZ") == phone_form("+7 701 234 56 88", "US")


@pytest.mark.parametrize("region", REGIONS)
def test_national_and_international_spelling_are_one_number(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, MOBILE)
    assert number is not None
    normal = phone_form(phonenumbers.format_number(number, PhoneNumberFormat.E164), region)
    for form in (
        PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966,
    ):  # fmt: skip
        assert phone_form(phonenumbers.format_number(number, form), region) == normal
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    assert phone_form(international, "US" if region != "US" else "GB") == normal
    if normal is not None:
        assert phone_form(normal, "US") == normal


def test_nearly_every_region_has_numbers_that_link() -> None:
    numbers = [phonenumbers.example_number_for_type(region, MOBILE) for region in REGIONS]
    linked = [
        phone_form(phonenumbers.format_number(one, PhoneNumberFormat.E164), "US")
        for one in numbers
        if one is not None
    ]
    assert len(REGIONS) > 200
    assert sum(one is not None for one in linked) > 0.8 * len(REGIONS)


def test_colleagues_behind_one_switchboard_are_two_identifiers() -> None:
    assert phone_form("+1 212 736 5000 ext. 12", "US") == "+12127365000;ext=12"
    assert phone_form("+12127365000;ext=12", "US") == "+12127365000;ext=12"
    assert phone_form("+7 912 345-67-88 доб. 5", "RU") == "+79123456788;ext=5"


@pytest.mark.parametrize(
    "filler",
    ["+1 212 555 0123", "0000000000", "+1 111 111 1111", "1234567890", "(123) 456-7890",
     "+7 900 000 00 00", "+44 7700 900123", "020 7946 0018", "+33 6 39 98 12 34", "999 999 9999"],
)  # fmt: skip
def test_fiction_and_what_is_typed_to_get_past_a_form_never_links(filler: str) -> None:
    assert phone_form(filler, "GB" if filler.startswith("020") else "US") is None


@pytest.mark.parametrize(
    "written", ["+1 800 356 9377", "1-800-FLOWERS", "8 800 555 35 35", "+1 900 234 5678"]
)
def test_a_companys_number_is_no_persons(written: str) -> None:
    assert phone_form(written, "RU" if written.startswith("8 ") else "US") is None


def test_every_kind_of_companys_number_is_refused_in_some_region() -> None:
    for kind in COMPANY_TYPES:
        examples = [
            phonenumbers.example_number_for_type(region, kind)
            for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        ]
        numbers = [one for one in examples if one and phonenumbers.number_type(one) == kind]
        assert numbers
        for number in numbers:
            text = phonenumbers.format_number(number, PhoneNumberFormat.E164)
            assert phone_form(text, "US") is None, text


@pytest.mark.parametrize(
    "written",
    [
        "call me",
        "12",
        "112",
        "8 112 345-67-88",
        "8 912 345-67-8",
        "+8 912 345-67-88",
        "+1 212 736 50",
        "+999 1234 5679",
        "50505",
    ],
)
def test_what_nobody_can_be_called_under_is_refused(written: str) -> None:
    with pytest.raises(InvalidFieldError, match=r"phone.*US") as caught:
        phone_form(written, "US")
    assert written not in str(caught.value).replace("+1 212 736 5000", "")


def test_a_region_that_does_not_exist_is_refused() -> None:
    assert check_region("RU") == "RU"
    for region in ("ru", "XX", ""):
        with pytest.raises(InvalidFieldError, match="phone_region"):
            check_region(region)
