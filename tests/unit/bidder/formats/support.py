"""Creatives of every format, slots, and markup as the exchange would read it."""

import json
from typing import Any, Final
from urllib.parse import quote

import msgspec

from bidder.bids import Bid
from bidder.creatives import AdUrls, Creatives
from bidder.formats import Fit, Fitted, Lineups, Links, asked_of
from bidder.openrtb import Imp
from models.catalog import Catalog
from models.catalog_records import (
    AudioAd,
    Campaign,
    Companion,
    Creative,
    Image,
    MediaFile,
    NativeAd,
    Offer,
    VideoAd,
)
from models.units import CampaignId, CreativeId
from tests.unit.bidder.support import ITEMS, SHOP, bid_request, catalog, imp, product

TITLES: Final = ("{title} for ${price} today", "{title}", "For you")
IMAGES: Final = (
    Image("https://cdn.example/{item}/1200x627.jpg", 1200, 627),
    Image("https://cdn.example/{item}/600x600.png", 600, 600, "image/png"),
)
ICONS: Final = (Image("https://cdn.example/logo.png", 100, 100, "image/png"),)
NATIVE: Final = NativeAd(
    titles=TITLES,
    images=IMAGES,
    icons=ICONS,
    data={
        "sponsored": ("{advertiser}",),
        "desc": ("{title}, in the group {group}, is in stock", "In stock"),
        "price": ("${price}",),
        "ctatext": ("Buy now", "Buy"),
    },
    privacy_url="https://shop.example/why",
)
MEDIA: Final = (
    MediaFile("video/mp4", "https://cdn.example/{item}/360.mp4", 640, 360, 700),
    MediaFile("video/mp4", "https://cdn.example/{item}/720.mp4", 1280, 720, 2_000),
    MediaFile("video/webm", "https://cdn.example/{item}/720.webm", 1280, 720, 1_500),
)
VIDEO: Final = VideoAd(
    title="{title} & more",
    duration_seconds=15,
    media=MEDIA,
    companions=(Companion("https://cdn.example/{item}/300x250.jpg", 300, 250),),
    trackers={
        "start": ("https://track.example/start?t=[TIMESTAMP]",),
        "complete": ("https://track.example/end",),
        "error": ("https://track.example/error?code=[ERRORCODE]",),
    },
    skip_after_seconds=5,
)
WRAPPED: Final = VideoAd(
    title="A third party's",
    duration_seconds=30,
    media=(MediaFile("video/mp4", w=1920, h=1080, bitrate_kbps=4_000),),
    vast_url="https://ads.example/vast?item={item}&cb=[CACHEBUSTING]",
    vast_version="3.0",
)
AUDIO: Final = AudioAd(
    title="{title}",
    duration_seconds=20,
    media=(MediaFile("audio/mpeg", "https://cdn.example/{item}.mp3", bitrate_kbps=128),),
)

LINKS: Final = Links("https://bid.example/notice/impression?t=abc-_&p=${AUCTION_PRICE}", "", "w1-0")
CLICK_PREFIX: Final = "https://bid.example/notice/click?t=abc-_"

VIDEO_SLOT: Final[dict[str, Any]] = {
    "mimes": ["video/mp4"], "protocols": [2, 3, 5, 6, 7, 8, 11, 12, 13, 14], "w": 640, "h": 360,
    "minduration": 5, "maxduration": 30, "linearity": 1,
}  # fmt: skip
AUDIO_SLOT: Final[dict[str, Any]] = {
    "mimes": ["audio/mpeg"],
    "protocols": [3, 13],
    "maxduration": 30,
}


def ad(name: str = "ad", campaign: CampaignId = ITEMS, **parts: object) -> Creative:
    """A creative of the format that ``parts`` say."""
    made = Creative(
        id=CreativeId(name), campaign=campaign, native=NATIVE,
        click_url="https://shop.example/item?sku={item}&t={title}",
    )  # fmt: skip
    changed = msgspec.structs.replace(made, **({"native": None} | parts))
    changed.check()
    return changed


def slot(**formats: object) -> Imp:
    """A slot of the formats named, decoded."""
    return bid_request(imp(**({"banner": None} | formats))).imp[0]


def fit_of(creative: Creative, offer: Offer | None = None, **formats: object) -> Fit:
    """What comes of a creative in a slot of these formats."""
    known = catalog()
    lineup = Lineups().of("c", (creative,))
    advertiser = known.advertisers[SHOP]
    return lineup.choose(
        asked_of(slot(**formats)), creative.creative_set, offer or product(), advertiser,
        private_allowed=True,
    )  # fmt: skip


def fitted(creative: Creative, offer: Offer | None = None, **formats: object) -> Fitted:
    """The same where it must fit."""
    found = fit_of(creative, offer, **formats)
    assert isinstance(found, Fitted), found
    return found


def bid_of(found: Fitted, offer: Offer | None = None) -> Bid:
    """A bid with what was fitted."""
    campaign = Campaign(id=ITEMS, advertiser=SHOP, goal="product")
    return Bid("slot-1", campaign, found, 1, 1, 1, offer=offer or product())


def adm_of(
    found: Fitted,
    offer: Offer | None = None,
    *,
    redirects: bool = False,
    links: Links = LINKS,
    what: Catalog | None = None,
) -> str:
    """The markup as it stands in the response."""

    def target(landing: str) -> str:
        return f"&u={quote(landing, safe='')}&s=sig"

    urls = AdUrls("north", target if redirects else None)
    written = Creatives(what or catalog()).write(bid_of(found, offer), urls)
    adm: str = json.loads(b'"' + written.markup.with_links(links) + b'"')
    return adm


def fields_of(found: Fitted) -> dict[str, Any]:
    """The fields of the bid that describe the ad."""
    written = Creatives(catalog()).write(bid_of(found))
    fields: dict[str, Any] = json.loads(b"{" + written.fields + b"}")
    return fields
