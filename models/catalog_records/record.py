"""What every record of the catalogue has, and checks that several share."""

import re
from typing import Final

import msgspec

from models.errors import InvalidFieldError

__all__ = ["Record", "nameable", "positive"]

_EVENT_NAME: Final = re.compile(r"[\w.:+-]{1,64}", re.ASCII)
"""What a call's ``tag`` and ``department`` may be (:mod:`models.events`)."""


class Record(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """What every record has."""

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""


def nameable(kind: str, name: str) -> None:
    """Raises InvalidFieldError where a record's id could not stand in an event."""
    if not _EVENT_NAME.fullmatch(name):
        raise InvalidFieldError(f"{kind} id", name, "1 to 64 letters, digits or any of _ . : + -")


def positive(kind: str, name: str, field: str, value: int) -> None:
    """Raises InvalidFieldError where the value is not above 0."""
    if value <= 0:
        raise InvalidFieldError(f"{kind} {name}: {field}", value, "above 0")
