"""Slips of the finger: one wrong letter, one missing, one too many, or two swapped.

Source: Damerau (1964), "A technique for computer detection and correction of spelling errors",
found that four in five misspellings are one of these four.
"""

import random
import string
from typing import Final, Literal

__all__ = ["slip_in_email", "slip_in_phone"]

Slip = Literal["wrong", "missing", "double", "swapped"]

SLIPS: Final[tuple[Slip, ...]] = ("wrong", "missing", "double", "swapped")


def slip_in_email(rng: random.Random, address: str) -> str:
    """The address with one slip before the ``@``; never the same address."""
    local, at, domain = address.partition("@")
    return _slip(rng, local, rng.choice(SLIPS), string.ascii_lowercase) + at + domain


def slip_in_phone(rng: random.Random, number: str) -> str:
    """The number with one wrong digit or two swapped among its last four; never the same number.

    A digit less or more would not pass a form's check.
    """
    slip: Slip = rng.choice(("wrong", "swapped"))
    return number[:-4] + _slip(rng, number[-4:], slip, string.digits)


def _slip(rng: random.Random, text: str, slip: Slip, alphabet: str) -> str:
    place = rng.randrange(len(text) - 1)
    before, here, after = text[:place], text[place], text[place + 1 :]
    if slip == "missing":
        return before + after
    if slip == "double":
        return before + here + here + after
    if slip == "swapped" and after[0] != here:
        return before + after[0] + here + after[1:]
    return before + rng.choice(alphabet.replace(here, "")) + after
