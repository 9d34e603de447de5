"""Lists of vendors: a bit for each, or intervals, whichever an encoder found shorter."""

from collections.abc import Callable

import msgspec

from models.consent_strings.bits import ID_BITS, Ranges, id_bits

__all__ = ["Vendors", "read_vendors"]


class Vendors(msgspec.Struct, frozen=True, gc=False):
    """Some vendors, by their ids.

    Attributes:
        bits: a 1 for each that is in it, beginning with vendor 1; empty where it has intervals.
        ranges: intervals, as :mod:`models.consent_strings.bits` has them.
    """

    bits: str = ""
    ranges: Ranges = ()

    def __contains__(self, vendor_id: int) -> bool:
        if self.bits:
            return self.bits[vendor_id - 1 : vendor_id] == "1"
        wanted = id_bits(vendor_id)
        for first, last in self.ranges:  # noqa: SIM110 - half the time of any()
            if first <= wanted <= last:
                return True
        return False


def read_vendors(
    bits: str, place: int, read_ranges: Callable[[str, int], tuple[Ranges, int]]
) -> tuple[Vendors, int]:
    """Reads a list: the highest id, whether it has intervals, then these or the bits.

    Args:
        bits: of the segment.
        place: where the list begins.
        read_ranges: how this framework writes intervals.

    Returns:
        The vendors, and the place behind the list.

    Raises:
        ValueError, IndexError: it is cut off, or names an id above the highest.
    """
    highest = bits[place : place + ID_BITS]
    place += ID_BITS + 1
    if bits[place - 1] == "0":
        end = place + int(highest, 2)
        return Vendors(bits[place:end]), end
    ranges, place = read_ranges(bits, place)
    for _, last in ranges:
        if last > highest:
            raise ValueError("a vendor above the highest one")
    return Vendors("", ranges), place
