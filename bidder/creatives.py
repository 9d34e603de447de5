"""Creatives as bytes: parsed and JSON-encoded once, filled per bid with escaped values."""

import operator
from html import escape
from typing import Final
from urllib.parse import quote

import msgspec

from bidder.bids import Bid
from bidder.notice_urls import NoticeUrls
from models.catalog import Catalog
from models.catalog_records import Advertiser, Creative, Flight, Offer
from models.templates import Part, parse_template
from models.units import format_money

__all__ = ["Creatives"]

_json: Final = msgspec.json.Encoder().encode
KEPT_FILLED: Final = 8_192
"""About 1 kB each."""


class _Compiled(msgspec.Struct, frozen=True):
    creative: Creative
    markup: tuple[tuple[bytes, str | None], ...]
    click: tuple[Part, ...]


Pieces = tuple[bytes, ...]
"""Markup as the inside of a JSON string; between two pieces stands the bid's token."""


class _Filled(msgspec.Struct, frozen=True):
    records: tuple[Creative, Offer | None, Advertiser, NoticeUrls]
    pieces: Pieces


class Creatives:
    """Fills creatives; compiles each once, and again only when it changes."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._compiled: dict[str, _Compiled] = {}
        self._filled: dict[tuple[str, str, int, int, str], _Filled] = {}

    def fill(self, bid: Bid, urls: NoticeUrls) -> Pieces:
        """The bid's markup, with our pixel and click redirect where the exchange has them.

        It says nothing of the person that the offer does not say, so it is made once for each
        state of the offer: the same records give the same bytes (a quarter of a bid's time).
        """
        advertiser = self._catalog.advertisers[bid.campaign.advertiser]
        offer = bid.offer.id if bid.offer else ""
        key = (bid.creative.id, offer, bid.width, bid.height, urls.exchange.id)
        known = self._filled.get(key)
        records = (bid.creative, bid.offer, advertiser, urls)
        if known is not None and all(map(operator.is_, known.records, records)):
            return known.pieces
        if len(self._filled) >= KEPT_FILLED:
            self._filled.clear()
        pieces = self._fill(bid, advertiser, urls)
        self._filled[key] = _Filled(records, pieces)
        return pieces

    def _fill(self, bid: Bid, advertiser: Advertiser, urls: NoticeUrls) -> Pieces:
        compiled = self._of(bid.creative)
        slots = _slots(bid, advertiser.name)
        target = "".join(
            text + (quote(slots.get(slot, ""), safe="") if slot else "")
            for text, slot in compiled.click
        )
        slots["click_url"] = target
        click = urls.click(target)
        pieces: list[bytes] = [b""]
        for literal, slot in compiled.markup:
            pieces[-1] += literal
            if slot == "click_url" and click is not None:
                pieces[-1] += click.before
                pieces.append(click.after)
            elif slot is not None:
                pieces[-1] += _inside(_escaped(slot, slots.get(slot, "")))
        if urls.has_pixel:
            pieces[-1] += urls.pixel.before
            pieces.append(urls.pixel.after)
        return tuple(pieces)

    def _of(self, creative: Creative) -> _Compiled:
        known = self._compiled.get(creative.id)
        if known is not None and known.creative is creative:
            return known
        markup = parse_template(creative.html, "html")
        compiled = _Compiled(
            creative,
            tuple((_inside(literal), slot) for literal, slot in markup),
            parse_template(creative.click_url, "click_url"),
        )
        self._compiled[creative.id] = compiled
        return compiled


def _escaped(slot: str, value: str) -> str:
    """A value as HTML; in a value of somebody's data no exchange finds a macro to expand.

    The click address is ours: its values are percent-encoded, its macros are meant.
    """
    shown = escape(value)
    return shown if slot == "click_url" else shown.replace("{", "&#123;")


def _inside(text: str) -> bytes:
    return _json(text)[1:-1]


def _slots(bid: Bid, advertiser: str) -> dict[str, str]:
    common = {"advertiser": advertiser, "width": str(bid.width), "height": str(bid.height)}
    offer = bid.offer
    if offer is None:
        return common
    if isinstance(offer, Flight):
        return common | {
            "trip": f"{offer.origin}-{offer.destination}/{offer.depart_date}",
            "route": f"{offer.origin}-{offer.destination}",
            "origin": offer.origin,
            "destination": offer.destination,
            "depart_date": offer.depart_date,
            "fare": format_money(offer.fare_micros),
            "seats_left": str(offer.seats_left),
        }
    return common | {
        "item": offer.id,
        "title": offer.title,
        "group": offer.group,
        "price": format_money(offer.price_micros),
    }
