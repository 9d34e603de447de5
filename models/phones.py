"""Phone numbers: one form for each number, however it is written.

The form is E.164 (``+12127365000``). A number with an extension keeps it as RFC 3966 writes it
(``+12127365000;ext=12``): colleagues who share a switchboard are two identifiers.
"""

import re
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType

from models.errors import InvalidFieldError
from models.placeholders import is_placeholder

__all__ = ["DEFAULT_REGION", "check_region", "phone_form"]

DEFAULT_REGION: Final = "US"

COMPANY_TYPES: Final = frozenset(
    {
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)
"""Numbers that companies have and persons do not."""

RUSSIAN_DIGITS: Final = 11
"""In a number as it is written in Russia and Kazakhstan, the 8 in front of it included."""

_FICTION: Final = re.compile(
    r"\+1\d{3}55501\d\d"  # set aside by the North American numbering plan
    r"|\+447700900\d{3}|\+442079460\d{3}|\+441632960\d{3}"  # by Ofcom
    r"|\+3363998\d{4}"  # by ARCEP
)


def check_region(region: str) -> str:
    """Checks a region whose national spelling is to be understood.

    Raises:
        InvalidFieldError: no region that has a numbering plan.
    """
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidFieldError("phone_region", region, "a country of ISO 3166, such as US")
    return region


def phone_form(text: str, region: str) -> str | None:
    """The one form of a phone number, or None for a number that stands for nobody.

    A number without ``+`` or ``00`` is read as people in ``region`` write it. Eleven digits that
    begin with 8, and are no number there, are read as in Russia and Kazakhstan:
    ``8 912 345-67-88`` and ``+7 912 345-67-88`` are one, whatever the region.

    Args:
        text: as it was typed.
        region: ISO 3166 country, in capitals.

    Raises:
        InvalidFieldError: no number of any country's numbering plan, such as a short code.
    """
    number = _parse(text, region)
    if number is None:
        raise InvalidFieldError(
            "phone",
            "(hidden)",
            f"a phone number of {region}, or one with + and country code, such as +1 212 736 5000",
        )
    normal = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if _FICTION.fullmatch(normal) or _is_filler(phonenumbers.national_significant_number(number)):
        return None
    if not phonenumbers.is_valid_number(number):
        raise InvalidFieldError(
            "phone", "(hidden)", f"a number of its country's numbering plan (read in {region})"
        )
    if phonenumbers.number_type(number) in COMPANY_TYPES:
        return None
    return f"{normal};ext={number.extension}" if number.extension else normal


def _is_filler(national: str) -> bool:
    """Whether somebody held a key down or ran along the keyboard to get past a form."""
    return len(set(national)) == 1 or national.endswith("0000000") or is_placeholder(national)


def _parse(text: str, region: str) -> PhoneNumber | None:
    national = _read(text, region)
    if national is not None and phonenumbers.is_valid_number(national):
        return national
    dialled = text.lstrip("( ")
    if dialled.startswith("00"):
        return _read(f"+{dialled[2:]}", region) or national
    digits = phonenumbers.normalize_digits_only(text)
    if len(digits) == RUSSIAN_DIGITS and digits.startswith("8") and "+" not in text:
        return _read(text, "RU") or national
    return national


def _read(text: str, region: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException:
        return None
