"""What a creative shows, read from its markup as a customer's screen would."""

import html
import re
from typing import Final

import msgspec

__all__ = ["Shown", "read_markup"]

_ATTRIBUTE: Final = re.compile(r"""\bdata-(trip|item|fare|seats|price)=(?:"([^"]*)"|'([^']*)')""")


class Shown(msgspec.Struct, frozen=True):
    """What an ad is for. Neither ``trip`` nor ``item``: a contextual ad.

    Attributes:
        trip: ``ORIGIN-DESTINATION/DATE``.
        item: a product.
    """

    trip: str | None = None
    item: str | None = None
    fare: str | None = None
    seats: str | None = None
    price: str | None = None

    @property
    def thing(self) -> str | None:
        """The trip or item; None for a contextual ad."""
        return self.trip if self.trip is not None else self.item


def read_markup(adm: str) -> Shown:
    """Reads ``data-trip``, ``data-item`` and what stands beside them; the first of each counts."""
    found: dict[str, str] = {}
    for name, double, single in _ATTRIBUTE.findall(adm):
        found.setdefault(name, html.unescape(double or single))
    return Shown(
        trip=found.get("trip"),
        item=found.get("item"),
        fare=found.get("fare"),
        seats=found.get("seats"),
        price=found.get("price"),
    )
