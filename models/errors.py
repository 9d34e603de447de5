"""Errors that say whose fault it is and how to mend it."""

import difflib
from collections.abc import Iterable
from typing import ClassVar, Final, Literal

__all__ = [
    "MOST_LISTED", "DownError", "EventError", "InvalidFieldError", "KinbidError",
    "UnknownNameError", "nearest",
]  # fmt: skip


MOST_LISTED: Final = 20
"""More names than so many help nobody who has the wrong one."""


class KinbidError(Exception):
    """Base of every error that kinbid raises on purpose; its text is meant for people."""


class InvalidFieldError(KinbidError):
    """A value that cannot be used, with the field's name and what would be right."""

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(f"{field}: {value!r} is not {wanted}")
        self.field = field
        self.value = value
        self.wanted = wanted


class UnknownNameError(KinbidError):
    """A name that does not exist, with the nearest one that does, or all where they are few."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        guess = nearest(name, names)
        if guess:
            hint = f"; did you mean {guess!r}?"
        elif len(names) > MOST_LISTED:
            hint = ""
        else:
            hint = f"; there are {', '.join(names)}" if names else "; there is none yet"
        super().__init__(f"unknown {kind} {name!r}{hint}")
        self.name = name
        self.guess = guess


class DownError(KinbidError):
    """A server that kinbid needs cannot be reached or refuses us.

    Attributes:
        setting: the name of the setting that says where it is.
    """

    setting: ClassVar[str]


class EventError(KinbidError):
    """An input record that cannot be processed; it goes to the dead-letter topic."""

    disposition: ClassVar[Literal["dead_letter"]] = "dead_letter"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The closest of ``known`` to ``name``, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else None
