"""What comes of holding an ad against a slot: how it would be shown, or why it would not."""

import enum
from typing import Final, TypeAlias

import msgspec

from bidder.formats.markup import Template
from bidder.openrtb import Imp
from bidder.openrtb_formats import MOST_REMEMBERED
from models.catalog_records import Creative

__all__ = [
    "AUDIO", "BANNER", "NATIVE", "VIDEO", "Asked", "Fit", "Fitted", "Misfit", "asked_of",
    "formats_offered",
]  # fmt: skip

BANNER: Final = 1
VIDEO: Final = 2
AUDIO: Final = 4
NATIVE: Final = 8
"""Formats as bits, so that a slot's and a campaign's meet in one ``&``."""


NO_SIZES: Final[frozenset[tuple[int, int]]] = frozenset()


class Misfit(enum.Enum):
    """Why an ad does not fit a slot; the value is shown to marketers."""

    FORMAT = "the slot takes no ad of this format"
    SET = "no creative of the segment's set"
    PRIVATE = "private, and it is not certain who is there"
    BARRED = "the request bars its language, its categories or what it does not show"
    SIZE = "no size that the slot takes"
    AD_TYPE = "the slot blocks this type of markup (btype)"
    ATTRIBUTE = "the slot blocks one of its attributes (battr)"
    API = "it needs a framework that the slot has not"
    MIME = "no file of a type that the slot takes"
    DURATION = "longer or shorter than the slot takes"
    PROTOCOL = "no VAST version that the slot takes"
    LINEARITY = "the slot takes overlays only"
    BITRATE = "no file with a bit rate that the slot takes"
    DELIVERY = "no file that is delivered as the slot takes it"
    ASPECT = "another shape than the player's, which allows no bars"
    NATIVE_REQUEST = "what the slot wants cannot be read"
    ASSET = "it has not all that the slot requires"
    LENGTH = "no text that is short enough for the slot"
    IMAGE = "no picture of a size and type that the slot takes"


class Fitted(msgspec.Struct, frozen=True, gc=False):
    """An ad as it would be shown in a slot.

    Attributes:
        creative: the ad.
        crid: its name for exchanges: what looks different has another one (OpenRTB O3).
        mtype: 1 banner, 2 video, 3 audio, 4 native (2.6 section 4.2.3).
        template: the markup before the values of the offer.
        width, height: pixels; 0 where there is no one size.
        ratio: of a banner without one size.
        duration_seconds: of video and audio.
        protocol: the VAST version and kind, AdCOM's number; 0 for others.
        attr: creative attributes.
    """

    creative: Creative
    crid: str
    mtype: int
    template: Template
    width: int = 0
    height: int = 0
    ratio: tuple[int, int] | None = None
    duration_seconds: int = 0
    protocol: int = 0
    attr: tuple[int, ...] = ()


Fit: TypeAlias = Fitted | Misfit


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a slot takes, worked out once for all campaigns that compete for it.

    Attributes:
        imp: the slot.
        formats: bits.
        sizes: of banners.
        is_flexible: a banner may have another size: of a proportion, or within limits.
        has_banner_rules: the banner names types, attributes or files that it takes or blocks.
        banner_key: all that decides which banner fits; None where other formats do, too, or where
            it takes more than sizes and lists to say.
    """

    imp: Imp
    formats: int
    sizes: frozenset[tuple[int, int]]
    is_flexible: bool
    has_banner_rules: bool
    banner_key: tuple[object, ...] | None = None


def formats_offered(imp: Imp) -> int:
    """The formats that a slot takes, as bits."""
    bits = BANNER if imp.banner is not None else 0
    if imp.video is not None:
        bits |= VIDEO
    if imp.audio is not None:
        bits |= AUDIO
    if imp.native is not None:
        bits |= NATIVE
    return bits


def asked_of(imp: Imp) -> Asked:
    """What a slot takes."""
    banner = imp.banner
    if banner is None:
        return Asked(imp, formats_offered(imp), NO_SIZES, is_flexible=False, has_banner_rules=False)
    sizes, is_flexible = banner.shapes()
    formats = formats_offered(imp)
    mimes, battr, btype, api = banner.mimes, banner.battr, banner.btype, banner.api
    key: tuple[object, ...] | None = None
    if (
        formats == BANNER
        and not is_flexible
        and len(sizes) + len(mimes or ()) + len(battr or ()) + len(api or ()) <= MOST_REMEMBERED
    ):
        key = (sizes, battr, btype, mimes, api)
    return Asked(imp, formats, sizes, is_flexible, bool(battr or btype or mimes), key)
