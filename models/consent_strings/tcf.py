"""TC strings of IAB Europe's TCF, version 2 (2.0 to 2.3 share the encoding).

Source: IAB Tech Lab, "Consent string and vendor list formats v2", sections "The core string" and
"Disclosed Vendors".
"""

import enum
from typing import Final

import msgspec

from models.consent_strings.bits import LONGEST_CHARS, bits_of, fixed_ranges
from models.consent_strings.vendor_list import Vendors, read_vendors

__all__ = ["Restriction", "RestrictionKind", "TcString", "VendorSignals", "decode_tc_string"]

VERSION: Final = "000010"
DECISECOND_MS: Final = 100
VENDORS_AT: Final = 213
"""Where the fields of fixed width end and the vendors begin."""
NO_PURPOSE: Final = "0" * 24
DISCLOSED_VENDORS: Final = "001"
MOST_SEGMENTS: Final = 4


class RestrictionKind(enum.IntEnum):
    """What a publisher says of a purpose for some vendors."""

    NOT_ALLOWED = 0
    REQUIRE_CONSENT = 1
    REQUIRE_INTEREST = 2
    UNDEFINED = 3


KINDS: Final = tuple(RestrictionKind)


class Restriction(msgspec.Struct, frozen=True, gc=False):
    """One restriction by the publisher.

    Attributes:
        purpose: number of the purpose.
        kind: what is demanded.
        vendors: of whom.
    """

    purpose: int
    kind: RestrictionKind
    vendors: Vendors


class VendorSignals(msgspec.Struct, frozen=True):
    """What a TC string says of one vendor.

    Attributes:
        consents: 24 bits, the first is purpose 1: consent to it and to the vendor.
        interests: the same of legitimate interest, told and not objected to.
        demands: purpose to what the publisher demands of this vendor.
    """

    consents: str
    interests: str
    demands: dict[int, set[RestrictionKind]]


class TcString(msgspec.Struct, frozen=True):
    """What a user was told and answered.

    Attributes:
        last_updated_ms: Unix ms; the framework rounds it to a day.
        cmp_id: the consent platform.
        vendor_list_version, policy_version: that it was given under.
        is_service_specific: for one service; anything else is out of use.
        special_features: 12 bits, the first is special feature 1: 1 opted in.
        purpose_consents, purpose_interests: 24 bits, the first is purpose 1: consent given, and
            legitimate interest told and not objected to.
        vendor_consents, vendor_interests: the same of vendors.
        restrictions: by the publisher.
        disclosed: vendors that the user was shown; None where the string does not tell.
    """

    last_updated_ms: int
    cmp_id: int
    vendor_list_version: int
    policy_version: int
    is_service_specific: bool
    special_features: str
    purpose_consents: str
    purpose_interests: str
    vendor_consents: Vendors
    vendor_interests: Vendors
    restrictions: tuple[Restriction, ...]
    disclosed: Vendors | None

    def said_of(self, vendor_id: int) -> VendorSignals:
        """What of this string concerns one vendor."""
        demands: dict[int, set[RestrictionKind]] = {}
        for one in self.restrictions:
            if vendor_id in one.vendors:
                demands.setdefault(one.purpose, set()).add(one.kind)
        return VendorSignals(
            self.purpose_consents if vendor_id in self.vendor_consents else NO_PURPOSE,
            self.purpose_interests if vendor_id in self.vendor_interests else NO_PURPOSE,
            demands,
        )


def decode_tc_string(text: str) -> TcString | None:
    """Reads a TC string; None where it is of another version, cut off, or no TC string."""
    if len(text) > LONGEST_CHARS:
        return None
    core, *others = text.split(".", MOST_SEGMENTS)
    try:
        return _read_core(bits_of(core), _disclosed(others))
    except (ValueError, IndexError):
        return None


def _read_core(bits: str, disclosed: Vendors | None) -> TcString:
    if bits[:6] != VERSION:
        raise ValueError("another version")
    consents, place = read_vendors(bits, VENDORS_AT, fixed_ranges)
    interests, place = read_vendors(bits, place, fixed_ranges)
    restrictions, place = _read_restrictions(bits, place)
    if place > len(bits):
        raise ValueError("cut off")
    return TcString(
        last_updated_ms=int(bits[42:78], 2) * DECISECOND_MS,
        cmp_id=int(bits[78:90], 2),
        vendor_list_version=int(bits[120:132], 2),
        policy_version=int(bits[132:138], 2),
        is_service_specific=bits[138] == "1",
        special_features=bits[140:152],
        purpose_consents=bits[152:176],
        purpose_interests=bits[176:200],
        vendor_consents=consents,
        vendor_interests=interests,
        restrictions=restrictions,
        disclosed=disclosed,
    )


def _read_restrictions(bits: str, place: int) -> tuple[tuple[Restriction, ...], int]:
    count = int(bits[place : place + 12], 2)
    place += 12
    found = []
    for _ in range(count):
        purpose = int(bits[place : place + 6], 2)
        kind = KINDS[int(bits[place + 6 : place + 8], 2)]
        ranges, place = fixed_ranges(bits, place + 8)
        found.append(Restriction(purpose, kind, Vendors("", ranges)))
    return tuple(found), place


def _disclosed(segments: list[str]) -> Vendors | None:
    """The vendors of the segment that lists who was shown; other segments say nothing of us."""
    for segment in segments:
        bits = bits_of(segment)
        if bits[:3] == DISCLOSED_VENDORS:
            vendors, place = read_vendors(bits, 3, fixed_ranges)
            if place > len(bits):
                raise ValueError("cut off")
            return vendors
    return None
