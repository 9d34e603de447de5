"""Native ads: texts and pictures for each asset that a slot asks for (Native 1.2 section 5)."""

# ruff: noqa: ARG002 - a template takes what any may need
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from bidder.formats.facts import Facts, blocked, crid_of, missing_api
from bidder.formats.fit import NATIVE, Asked, Fit, Fitted, Misfit
from bidder.formats.markup import (
    Hole,
    Piece,
    Target,
    Values,
    json_text,
    text_of,
    url_of,
)
from bidder.formats.native_request import (
    KEPT_FITS,
    LONGEST_KEPT_BYTES,
    AskedAsset,
    AskedImage,
    KeptFit,
    NativeAsk,
    NativeAsks,
)
from bidder.formats.slots import slot_values
from models.catalog_records import DATA_TYPES, Advertiser, Creative, Image, NativeAd, Offer
from models.templates import Part, parse_template

__all__ = ["NativeFacts", "NativeTemplate"]

MTYPE: Final = 4
ICON_TYPES: Final = frozenset({1, 2})
"""Icon, and the logo of versions before 1.2; the others are main pictures."""


class NativeTemplate(msgspec.Struct, frozen=True):
    """An answer whose assets are chosen.

    Attributes:
        ask: what the slot wants.
        assets: inside of the JSON list.
        privacy_url: empty where none is wanted.
        impression_urls: third parties' pixels.
    """

    ask: NativeAsk
    assets: str
    privacy_url: str
    impression_urls: tuple[str, ...]

    def pieces(self, values: Values, landing: str, target: Target) -> Sequence[Piece]:
        """The answer, see :class:`~bidder.formats.markup.Template`."""
        is_rooted = self.ask.is_rooted
        privacy = f',"privacy":{_quoted(self.privacy_url)}' if self.privacy_url else ""
        return (
            '{"native":{' if is_rooted else "{",
            f'"ver":{_quoted(self.ask.version)},"assets":[{self.assets}],"link":{{"url":"',
            Hole.CLICK,
            _inside(target(landing)) + '"}',
            *self._trackers(),
            privacy + ("}}" if is_rooted else "}"),
        )

    def _trackers(self) -> Iterable[Piece]:
        others = (_quoted(address) for address in self.impression_urls)
        if not self.ask.tracks_events:
            tail = "".join(f",{address}" for address in others)
            return (',"imptrackers":["', Hole.IMPRESSION, f'"{tail}]')
        event = '{"event":1,"method":1,"url":'
        tail = "".join(f",{event}{address}}}" for address in others)
        return (f',"eventtrackers":[{event}"', Hole.IMPRESSION, f'"}}{tail}]')


class NativeFacts(Facts):
    """A native ad; whether it fits depends on the offer, whose words may be too long.

    Args:
        creative: the record.
        ad: its native part.
        asks: reads what slots want.
    """

    __slots__ = ("_ad", "_asks", "_crid", "_data", "_icons", "_images", "_titles")

    def __init__(self, creative: Creative, ad: NativeAd, asks: NativeAsks) -> None:
        super().__init__(creative, NATIVE)
        self._ad = ad
        self._asks = asks
        self._crid = crid_of(creative)
        self._titles = _parsed(ad.titles)
        self._data = {DATA_TYPES[name]: _parsed(texts) for name, texts in ad.data.items()}
        self._images = _pictures(ad.images)
        self._icons = _pictures(ad.icons)

    def fit(self, asked: Asked, offer: Offer | None, advertiser: Advertiser) -> Fit:
        """The asset of each kind that fits best; all that are required, or none."""
        native = asked.imp.native
        if native is None:
            return Misfit.FORMAT
        if blocked(self.attr, native.battr):
            return Misfit.ATTRIBUTE
        if missing_api(self.creative.api, native.api):
            return Misfit.API
        request = bytes(native.request)
        key = (self.creative.id, request, native.ver, offer.id if offer is not None else "")
        known = self._asks.fits.get(key)
        if (
            known is not None
            and known.facts is self
            and known.offer is offer
            and known.advertiser is advertiser
        ):
            return known.fit
        ask = self._asks.of(native)
        if ask is None:
            return Misfit.NATIVE_REQUEST
        made = self._answer(ask, slot_values(offer, advertiser, 0, 0))
        if len(request) <= LONGEST_KEPT_BYTES:
            if len(self._asks.fits) >= KEPT_FITS:
                self._asks.fits.clear()
            self._asks.fits[key] = KeptFit(self, offer, advertiser, made)
        return made

    def _answer(self, ask: NativeAsk, values: Values) -> Fit:
        written: list[str] = []
        for asset in ask.assets:
            found = self._asset(asset, values)
            if isinstance(found, str):
                written.append(f'{{"id":{bytes(asset.id).decode()},{found}}}')
            elif asset.required == 1:
                return found
        if not written:
            return Misfit.ASSET
        privacy_url = self._ad.privacy_url if ask.wants_privacy else ""
        template = NativeTemplate(
            ask, ",".join(written), privacy_url, self.creative.impression_urls
        )
        return Fitted(self.creative, self._crid, MTYPE, template, attr=self.creative.attributes)

    def _asset(self, asset: AskedAsset, values: Values) -> str | Misfit:
        if asset.title is not None:
            text = _first_that_fits(self._titles, asset.title.len, values)
            return Misfit.LENGTH if text is None else f'"title":{{"text":"{json_text(text)}"}}'
        if asset.img is not None:
            return self._picture(asset.img, values)
        if asset.data is not None:
            variants = self._data.get(asset.data.type or 0)
            if variants is None:
                return Misfit.ASSET
            text = _first_that_fits(variants, asset.data.len, values)
            return Misfit.LENGTH if text is None else f'"data":{{"value":"{json_text(text)}"}}'
        return Misfit.ASSET

    def _picture(self, wanted: AskedImage, values: Values) -> str | Misfit:
        pictures = self._icons if wanted.type in ICON_TYPES else self._images
        if not pictures:
            return Misfit.ASSET
        fitting = [one for one in pictures if _image_fits(one[0], wanted)]
        if not fitting:
            return Misfit.IMAGE
        image, url = min(fitting, key=lambda one: _image_rank(one[0], wanted))
        address = _inside(url_of(url, values))
        return f'"img":{{"url":"{address}","w":{image.w},"h":{image.h}}}'


def _first_that_fits(
    variants: Sequence[tuple[Part, ...]], limit: int | None, values: Values
) -> str | None:
    """The first text that fits; none is cut, and an empty one says nothing."""
    for variant in variants:
        text = text_of(variant, values)
        if text and (not limit or len(text) <= limit):
            return text
    return None


def _image_fits(image: Image, wanted: AskedImage) -> bool:
    if wanted.mimes and image.mime not in {mime.lower() for mime in wanted.mimes}:
        return False
    if wanted.wmin or wanted.hmin:
        return image.w >= (wanted.wmin or 0) and image.h >= (wanted.hmin or 0)
    return image.w == (wanted.w or image.w) and image.h == (wanted.h or image.h)


def _image_rank(image: Image, wanted: AskedImage) -> tuple[bool, int]:
    """The size asked for, else the smallest: it loads fastest."""
    return (image.w, image.h) != (wanted.w, wanted.h), image.w * image.h


def _parsed(texts: Sequence[str]) -> tuple[tuple[Part, ...], ...]:
    return tuple(parse_template(text, "native") for text in texts)


def _pictures(images: Sequence[Image]) -> tuple[tuple[Image, tuple[Part, ...]], ...]:
    return tuple((image, parse_template(image.url, "native")) for image in images)


def _quoted(text: str) -> str:
    return f'"{_inside(text)}"'


def _inside(text: str) -> str:
    """An address as the inside of a JSON string, its macros as they are."""
    return msgspec.json.encode(text)[1:-1].decode()
