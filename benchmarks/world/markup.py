"""What a creative shows, read from its markup as a customer's screen would."""

import html
import re
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from benchmarks.world.answers import landing_page
from models.catalog_records import AdFormat

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


def read_markup(adm: str, kind: AdFormat = "banner") -> Shown:
    """What an ad is for.

    A banner says it in ``data-trip``, ``data-item`` and what stands beside them (the first of
    each counts), other formats by the landing page that a click opens.
    """
    if kind != "banner":
        return _landed(landing_page(adm, kind))
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


def _landed(url: str) -> Shown:
    """The demo's landing pages: ``/book?trip=`` of the airline, ``/item/`` of the shop."""
    parts = urlsplit(url)
    trip = parse_qs(parts.query).get("trip")
    if trip:
        return Shown(trip=trip[0])
    _, is_item, item = parts.path.partition("/item/")
    return Shown(item=unquote(item)) if is_item else Shown()
