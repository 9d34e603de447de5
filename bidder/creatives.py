"""Creatives as bytes: what of a bid follows from the ad and the offer, written once and kept."""

from collections.abc import Callable
from typing import Final

import msgspec

from bidder.bids import Bid
from bidder.formats import Filled, Fitted, filled, slot_values, url_of
from bidder.formats.markup import Hole, Piece
from models.catalog import Catalog
from models.catalog_records import Advertiser, Campaign, Creative, Offer
from models.templates import Part, parse_template

__all__ = ["PLAIN", "AdUrls", "Creatives", "Written"]

_json: Final = msgspec.json.Encoder().encode
BANNER_MTYPE: Final = 1
KEPT_WRITTEN: Final = 8_192
"""About 1 kB each."""

CLICKS: Final = (Hole.CLICK, Hole.CLICK_HTML)
PIXEL: Final[tuple[Piece, ...]] = (
    '<img src="',
    Hole.IMPRESSION_HTML,
    '" width="1" height="1" alt="" style="position:absolute;left:0;top:0;opacity:0">',
)
"""At the end of a banner where an exchange bills on our pixel; video and native have their own."""


class AdUrls(msgspec.Struct, frozen=True):
    """What of our addresses an exchange's ads have; made once for each state of the exchange.

    Attributes:
        exchange: its id.
        target: what stands behind the click prefix for a landing page; None where clicks go to the
            landing page at once.
        has_pixel: banners bring our pixel.
        cid_of: what a campaign is called there.
    """

    exchange: str
    target: Callable[[str], str] | None = None
    has_pixel: bool = False
    cid_of: Callable[[str], str] = str


PLAIN: Final = AdUrls("")
"""Neither a redirect nor a pixel in banners."""


class Written(msgspec.Struct, frozen=True):
    """The part of a bid that is the same for everybody who is shown this offer.

    Attributes:
        fields: of the bid object, without braces.
        markup: with holes for the addresses of the bid.
        cid: the campaign, as the exchange knows it.
    """

    fields: bytes
    markup: Filled
    cid: bytes


class _Kept(msgspec.Struct, frozen=True):
    fitted: Fitted
    offer: Offer | None
    advertiser: Advertiser
    campaign: Campaign
    urls: AdUrls
    written: Written


class Creatives:
    """Writes creatives; each again only when it, its advertiser or its offer changes.

    Args:
        catalog: for the advertisers.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._landings: dict[str, tuple[Creative, tuple[Part, ...]]] = {}
        self._kept: dict[tuple[int, str, str], _Kept] = {}

    def write(self, bid: Bid, urls: AdUrls = PLAIN) -> Written:
        """A bid's markup and the fields that describe it.

        They say nothing of the person that the offer does not say, so they are made once for each
        state of the offer: the same records give the same bytes (a quarter of a bid's time).

        Args:
            bid: what is shown.
            urls: what of our addresses the exchange's ads have.
        """
        fitted, offer = bid.fitted, bid.offer
        advertiser = self._catalog.advertisers[bid.campaign.advertiser]
        key = (id(fitted), offer.id if offer else "", urls.exchange)
        known = self._kept.get(key)
        if (
            known is not None
            and known.fitted is fitted
            and known.offer is offer
            and known.advertiser is advertiser
            and known.campaign is bid.campaign
            and known.urls is urls
        ):
            return known.written
        if len(self._kept) >= KEPT_WRITTEN:
            self._kept.clear()
        markup = self._markup(fitted, offer, advertiser, urls.target)
        if urls.has_pixel and fitted.mtype == BANNER_MTYPE:
            markup = [*markup, *PIXEL]
        cid = _json(urls.cid_of(bid.campaign.id))
        written = Written(_fields(bid, advertiser), filled(markup), cid)
        self._kept[key] = _Kept(fitted, offer, advertiser, bid.campaign, urls, written)
        return written

    def _markup(
        self,
        fitted: Fitted,
        offer: Offer | None,
        advertiser: Advertiser,
        target: Callable[[str], str] | None,
    ) -> list[Piece]:
        values = slot_values(offer, advertiser, fitted.width, fitted.height)
        landing = url_of(self._landing_of(fitted.creative), values)
        if target is not None:
            return list(fitted.template.pieces(values, landing, target))
        return [one for one in fitted.template.pieces(values, landing, str) if one not in CLICKS]

    def _landing_of(self, creative: Creative) -> tuple[Part, ...]:
        known = self._landings.get(creative.id)
        if known is not None and known[0] is creative:
            return known[1]
        parsed = parse_template(creative.click_url, "click_url")
        self._landings[creative.id] = creative, parsed
        return parsed


def _fields(bid: Bid, advertiser: Advertiser) -> bytes:
    """What describes an ad (2.6 section 4.2.3); fields that say nothing are left out."""
    fitted, creative = bid.fitted, bid.fitted.creative
    fields: dict[str, object] = {
        "adomain": [advertiser.domain],
        "crid": fitted.crid,
        "cat": creative.categories or advertiser.iab_categories,
        "attr": fitted.attr,
        "w": fitted.width,
        "h": fitted.height,
        "mtype": fitted.mtype,
        "dur": fitted.duration_seconds,
        "protocol": fitted.protocol,
        "apis": creative.api,
        "api": creative.api[0] if creative.api else 0,
        "language": creative.language,
        "iurl": creative.iurl,
        "bundle": bid.campaign.app_bundle,
    }
    if fitted.ratio is not None:
        fields["wratio"], fields["hratio"] = fitted.ratio
    said = {name: value for name, value in fields.items() if value or name in {"cat", "attr"}}
    return _json(said)[1:-1]
