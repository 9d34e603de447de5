"""OpenRTB 2.x objects that say where an ad would show, and through whom the slot is sold."""

from typing import Annotated, Any

import msgspec

from bidder.tolerance import LIMIT

__all__ = [
    "App",
    "BrandVersion",
    "Deal",
    "Dooh",
    "Dsa",
    "DurationFloor",
    "Geo",
    "Pmp",
    "Publisher",
    "Qty",
    "RequestExt",
    "Site",
    "Source",
    "SourceExt",
    "Sua",
    "SupplyChain",
    "SupplyNode",
]


class Geo(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.19. ``utcoffset`` is in minutes."""

    country: str | None = None
    region: str | None = None
    utcoffset: int | None = None


class BrandVersion(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.30."""

    brand: str | None = None


class Sua(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.29: the user agent in parts."""

    platform: BrandVersion | None = None


class Publisher(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.15."""

    id: str | None = None


class Site(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.13."""

    domain: str | None = None
    page: str | None = None
    publisher: Publisher | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None


class App(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.14."""

    bundle: str | None = None
    domain: str | None = None
    publisher: Publisher | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None


class Dooh(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.34: a screen in a public place."""

    domain: str | None = None
    publisher: Publisher | None = None
    keywords: str | None = None
    kwarray: list[str] | None = None


class SupplyNode(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.26: somebody who is paid for the slot."""

    asi: str | None = None
    sid: str | None = None


class SupplyChain(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.25."""

    complete: int | None = None
    nodes: list[SupplyNode] | None = None


class SourceExt(msgspec.Struct, frozen=True, gc=False):
    """Where 2.5 keeps the supply chain."""

    schain: SupplyChain | None = None


class Source(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.2."""

    schain: SupplyChain | None = None
    ext: SourceExt | None = None


class RequestExt(msgspec.Struct, frozen=True, gc=False):
    """Where 2.4 and older keep the supply chain."""

    schain: SupplyChain | None = None


class Dsa(msgspec.Struct, frozen=True, gc=False):
    """What the request asks of bids under the EU's Digital Services Act (IAB's extension).

    Read whatever the types are, as privacy signals are: see :mod:`bidder.dsa`.
    """

    dsarequired: Any = None
    pubrender: Any = None


class Qty(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.31: of how many people one showing is an impression."""

    multiplier: Annotated[float | None, LIMIT] = None


class DurationFloor(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.35: the floor of ads from ``mindur`` to ``maxdur`` seconds."""

    mindur: Annotated[int | None, LIMIT] = None
    maxdur: Annotated[int | None, LIMIT] = None
    bidfloor: Annotated[float | None, LIMIT] = None


class Deal(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.12."""

    id: str
    bidfloor: Annotated[float | None, LIMIT] = None
    bidfloorcur: Annotated[str | None, LIMIT] = None
    at: Annotated[int | None, LIMIT] = None
    wseat: Annotated[list[str] | None, LIMIT] = None
    wadomain: Annotated[list[str] | None, LIMIT] = None
    guar: int | None = None
    mincpmpersec: Annotated[float | None, LIMIT] = None
    durfloors: Annotated[list[DurationFloor] | None, LIMIT] = None


class Pmp(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.11."""

    private_auction: Annotated[int | None, LIMIT] = None
    deals: list[Deal] | None = None
