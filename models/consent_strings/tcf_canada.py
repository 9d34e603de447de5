"""Strings of IAB Canada's TCF, version 1: section 5 of GPP.

Source: IAB Tech Lab, "GPP Extension: IAB TCF Canada Technical Specification". Lists of vendors are
written in Fibonacci codes; older encoders wrote them as TCF does, and such lists are not read.
"""

from typing import Final

import msgspec

from models.consent_strings.bits import (
    ID_BITS,
    LONGEST_CHARS,
    Ranges,
    bits_of,
    fibonacci_ranges,
    id_bits,
)
from models.consent_strings.vendor_list import Vendors, read_vendors

__all__ = ["CanadaString", "decode_canada_string"]

VERSION: Final = "000001"
VENDORS_AT: Final = 199
MOST_PADDING_BITS: Final = 24


class CanadaString(msgspec.Struct, frozen=True):
    """What a user answered in Canada.

    Attributes:
        express_purposes, implied_purposes: 24 bits, the first is purpose 1, which is not used.
        express_vendors, implied_vendors: to whom.
        restrictions: purpose and vendors of which the publisher says anything at all.
    """

    express_purposes: str
    implied_purposes: str
    express_vendors: Vendors
    implied_vendors: Vendors
    restrictions: tuple[tuple[int, Vendors], ...]

    def has_consent(self, purpose: int, vendor_id: int) -> bool:
        """Whether consent was expressed to both, and the publisher restricts nothing."""
        return (
            self.express_purposes[purpose - 1] == "1"
            and vendor_id in self.express_vendors
            and not any(of == purpose and vendor_id in who for of, who in self.restrictions)
        )


def decode_canada_string(text: str) -> CanadaString | None:
    """Reads a section; None where it is of another version, cut off, or no such section."""
    if len(text) > LONGEST_CHARS:
        return None
    try:
        return _read(bits_of(text.partition(".")[0]))
    except (ValueError, IndexError):
        return None


def _read(bits: str) -> CanadaString:
    if bits[:6] != VERSION:
        raise ValueError("another version")
    express, place = _read_vendors(bits, VENDORS_AT)
    implied, place = _read_vendors(bits, place)
    restrictions = []
    # The first edition ends here; what is left of it is padding.
    if len(bits) - place >= 12:
        count = int(bits[place : place + 12], 2)
        place += 12
        for _ in range(count):
            purpose = int(bits[place : place + 6], 2)
            vendors, place = _read_vendors(bits, place + 8)
            restrictions.append((purpose, vendors))
    # A list in the other encoding would leave the rest at odds.
    if place > len(bits) or len(bits) - place >= MOST_PADDING_BITS or "1" in bits[place:]:
        raise ValueError("cut off, or another encoding")
    return CanadaString(bits[151:175], bits[175:199], express, implied, tuple(restrictions))


def _read_vendors(bits: str, place: int) -> tuple[Vendors, int]:
    """Reads a list; its highest vendor is the last one, unless it is in another encoding."""
    vendors, end = read_vendors(bits, place, _ranges)
    last = vendors.ranges[-1][1] if vendors.ranges else id_bits(0)
    if not vendors.bits and last != bits[place : place + ID_BITS]:
        raise ValueError("another encoding")
    return vendors, end


def _ranges(bits: str, place: int) -> tuple[Ranges, int]:
    ranges, place = fibonacci_ranges(bits, place)
    return tuple((id_bits(first), id_bits(last)) for first, last in ranges), place
