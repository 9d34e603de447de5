"""Where an ad would show: site, app or screen, by whichever the request has."""

from typing import TypeAlias
from urllib.parse import urlsplit

from bidder.openrtb import BidRequest
from bidder.openrtb_context import App, Dooh, Publisher, Site

__all__ = ["Place", "keywords_of", "name_of", "place_of", "publisher_of"]

Place: TypeAlias = Site | App | Dooh


def place_of(request: BidRequest) -> Place | None:
    """The site, else the app, else the screen; None where the request tells of none."""
    return request.site or request.app or request.dooh


def publisher_of(request: BidRequest) -> Publisher | None:
    """Who sells the slot: its ``id`` is the seller's in ads.txt and sellers.json."""
    place = place_of(request)
    return place.publisher if place is not None else None


def name_of(place: Place) -> str:
    """What people know a place by: an app's store id, else a domain in lower case; "" unknown."""
    if isinstance(place, App):
        return place.bundle or (place.domain or "").lower()
    domain = place.domain or ""
    if not domain and isinstance(place, Site) and place.page:
        domain = _host(place.page)
    return domain.lower().removeprefix("www.")


def keywords_of(place: Place) -> list[str]:
    """A place's keywords; a request has them as a list, or as text with commas between."""
    if place.kwarray:
        return place.kwarray
    return [word for word in map(str.strip, (place.keywords or "").split(",")) if word]


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
