"""GPP's sections of the United States: the national one (7) and those of the states (8 to 27).

Each begins with a version in six bits, one character, and goes on in values of two bits, three a
character; a subsection of its own can carry the Global Privacy Control. Of a value 0 says that it
does not apply; of a notice 1 says given and 2 not given; of an opt-out 1 says opted out and 2 not;
of a consent 1 says no and 2 yes.

Source: IAB Tech Lab, GPP extensions "US National Privacy" 1 and 2 and those of the states. Those of
Maryland, Indiana, Kentucky and Rhode Island are read as IAB's encoder writes them (@iabgpp 3.2);
the drafts of October 2025 put a header of their own in front, and such a section is not read.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

__all__ = ["US_SECTIONS", "UsSection", "decode_us_section"]

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_QUARTERS: Final = {
    ord(letter): f"{value >> 4}{value >> 2 & 3}{value & 3}" for value, letter in enumerate(ALPHABET)
}
"""Each character as three digits of two bits."""

GPC_SUBSECTION: Final = "1"
GPC_IS_ON: Final = "23"
"""The first of the next two bits is the control, the second one is padding."""
LONGEST_SECTION_CHARS: Final = 64

Layout = dict[str, slice]


class UsSection(msgspec.Struct, frozen=True):
    """What a section says.

    Attributes:
        digits: the values, a digit each.
        layout: where each field stands.
        is_gpc: the Global Privacy Control is on.
    """

    digits: str
    layout: Layout
    is_gpc: bool

    def values(self, field: str) -> str:
        """A field's digits; empty where this section has no such field."""
        place = self.layout.get(field)
        return "" if place is None else self.digits[place]


def _layout(fields: Iterable[str]) -> Layout:
    """Where fields stand that follow each other, ``Name`` or ``Name*count``."""
    places, start = {}, 0
    for field in fields:
        name, _, count = field.partition("*")
        end = start + int(count or 1)
        places[name] = slice(start, end)
        start = end
    return places


_MSPA: Final = ("MspaCoveredTransaction", "MspaOptOutOptionMode", "MspaServiceProviderMode")
_SALE_AND_TARGETED: Final = ("SaleOptOut", "TargetedAdvertisingOptOut")
_BOTH_NOTICES: Final = ("SaleOptOutNotice", "TargetedAdvertisingOptOutNotice")


def _national(sensitive: int, children: int) -> Layout:
    return _layout(
        (
            "SharingNotice", "SaleOptOutNotice", "SharingOptOutNotice",
            "TargetedAdvertisingOptOutNotice", "SensitiveDataProcessingOptOutNotice",
            "SensitiveDataLimitUseNotice", "SaleOptOut", "SharingOptOut",
            "TargetedAdvertisingOptOut", f"SensitiveDataProcessing*{sensitive}",
            f"KnownChildSensitiveDataConsents*{children}", "PersonalDataConsents", *_MSPA,
        )
    )  # fmt: skip


def _state(
    notice: str, sensitive: int, children: int, *, sensitive_notice: str = "", extra: bool = False
) -> Layout:
    """Of a state that follows Virginia.

    Args:
        notice: the general one.
        sensitive: how many values the sensitive data have.
        children: how many values known children have.
        sensitive_notice: one more notice, where a state asks for it.
        extra: there is a consent to further processing.
    """
    return _layout(
        (
            notice, *_BOTH_NOTICES, *filter(None, [sensitive_notice]), *_SALE_AND_TARGETED,
            f"SensitiveDataProcessing*{sensitive}", f"KnownChildSensitiveDataConsents*{children}",
            *(["AdditionalDataProcessingConsent"] if extra else []), *_MSPA,
        )
    )  # fmt: skip


def _newer(*, children: bool) -> Layout:
    """Of the states of 2025, with the agreement's fields in front."""
    return _layout(
        (
            "MspaCoveredTransaction", "MspaMode", "ProcessingNotice", *_BOTH_NOTICES,
            *_SALE_AND_TARGETED, *(["KnownChildSensitiveDataConsents"] if children else []),
            "AdditionalDataProcessingConsent",
        )
    )  # fmt: skip


_CALIFORNIA: Final = _layout(
    (
        "SaleOptOutNotice", "SharingOptOutNotice", "SensitiveDataLimitUseNotice", "SaleOptOut",
        "SharingOptOut", "SensitiveDataProcessing*9", "KnownChildSensitiveDataConsents*2",
        "PersonalDataConsents", *_MSPA,
    )
)  # fmt: skip

SHARING, PROCESSING = "SharingNotice", "ProcessingNotice"

_LAYOUTS: Final[dict[tuple[int, str], Layout]] = {
    (7, "B"): _national(12, 2),
    (7, "C"): _national(16, 3),
    (8, "B"): _CALIFORNIA,
    (9, "B"): _state(SHARING, 8, 1),  # Virginia
    (10, "B"): _state(SHARING, 7, 1),  # Colorado
    (11, "B"): _state(SHARING, 8, 1, sensitive_notice="SensitiveDataProcessingOptOutNotice"),
    (12, "B"): _state(SHARING, 8, 3),  # Connecticut
    (13, "B"): _state(PROCESSING, 8, 3, extra=True),  # Florida
    (14, "B"): _state(SHARING, 8, 3, extra=True),  # Montana
    (15, "B"): _state(PROCESSING, 11, 3, extra=True),  # Oregon
    (16, "B"): _state(PROCESSING, 8, 1, extra=True),  # Texas
    (17, "B"): _state(PROCESSING, 9, 5, extra=True),  # Delaware
    (18, "B"): _state(PROCESSING, 8, 1, sensitive_notice="SensitiveDataOptOutNotice"),  # Iowa
    (19, "B"): _state(PROCESSING, 8, 1, extra=True),  # Nebraska
    (20, "B"): _state(PROCESSING, 8, 3, extra=True),  # New Hampshire
    (21, "B"): _state(PROCESSING, 10, 5, extra=True),  # New Jersey
    (22, "B"): _state(PROCESSING, 8, 1, extra=True),  # Tennessee
    (23, "B"): _state(PROCESSING, 8, 1, extra=True),  # Minnesota
    (24, "B"): _newer(children=False),  # Maryland
    (25, "B"): _newer(children=True),  # Indiana
    (26, "B"): _newer(children=True),  # Kentucky
    (27, "B"): _newer(children=True),  # Rhode Island
}
"""By section and by version, as its character: B is 1, C is 2."""

US_SECTIONS: Final = frozenset(section for section, _ in _LAYOUTS)

_SENSITIVE_APART: Final = frozenset({25, 26, 27})
"""Where a subsection of eight values carries the sensitive data, and none the control."""


def decode_us_section(section: int, text: str) -> UsSection | None:
    """Reads a section.

    Args:
        section: its id.
        text: the section as it stands in the GPP string.

    Returns:
        None where the section or its version is not known, or the text is cut off or broken.
    """
    layout = _LAYOUTS.get((section, text[:1]))
    if layout is None or len(text) > LONGEST_SECTION_CHARS:
        return None
    core, *others = text.split(".")
    digits = _digits(core[1:])
    subsections = [_digits(other) for other in others]
    size = max(place.stop for place in layout.values())
    if len(digits) < size or "" in subsections:
        return None
    if section in _SENSITIVE_APART:
        return _with_sensitive(digits[:size], layout, subsections)
    is_gpc = any(one[0] == GPC_SUBSECTION and one[1] in GPC_IS_ON for one in subsections)
    return UsSection(digits, layout, is_gpc)


def _digits(text: str) -> str:
    """Three digits a character; nothing where a character is not of the alphabet."""
    digits = text.translate(_QUARTERS)
    return digits if len(digits) == 3 * len(text) else ""


def _with_sensitive(digits: str, layout: Layout, subsections: list[str]) -> UsSection | None:
    if not subsections:
        return UsSection(digits, layout, is_gpc=False)
    if len(subsections[0]) < 8:
        return None
    start = len(digits)
    whole = layout | {"SensitiveDataProcessing": slice(start, start + 8)}
    return UsSection(digits + subsections[0], whole, is_gpc=False)
