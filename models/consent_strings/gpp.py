"""GPP strings: a header that lists sections, then the sections, with ``~`` between.

Source: IAB Tech Lab, "Global Privacy Platform: Consent String Specification" and "Section
Information".
"""

import enum
from typing import Final

from models.consent_strings.bits import LONGEST_CHARS, bits_of, fibonacci_ranges

__all__ = ["Section", "sections_of"]

TYPE_AND_VERSION: Final = "000011000001"
MOST_SECTIONS: Final = 64


class Section(enum.IntEnum):
    """Sections beside those of the United States (:mod:`models.consent_strings.us_sections`).

    The header and the signals' integrity are no law's: a list of what applies may name them.
    """

    TCF_EUROPE = 2
    HEADER = 3
    INTEGRITY = 4
    TCF_CANADA = 5
    US_PRIVACY = 6


def sections_of(text: str) -> dict[int, str] | None:
    """A GPP string's sections, by their ids; None where the string cannot be read."""
    if len(text) > LONGEST_CHARS:
        return None
    header, *sections = text.split("~", MOST_SECTIONS + 1)
    if len(sections) > MOST_SECTIONS:
        return None
    try:
        bits = bits_of(header)
        ranges, place = fibonacci_ranges(bits, len(TYPE_AND_VERSION))
    except (ValueError, IndexError):
        return None
    if not bits.startswith(TYPE_AND_VERSION) or place > len(bits):
        return None
    if sum(last - first + 1 for first, last in ranges) != len(sections):
        return None
    ids = [one for first, last in ranges for one in range(first, last + 1)]
    return dict(zip(ids, sections, strict=True))
