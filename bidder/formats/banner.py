"""Banners: exact sizes, proportions, or the limits of older requests (2.6 section 3.2.6)."""

# ruff: noqa: ARG002 - every format has the same signature
from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

from bidder.formats.facts import Facts, blocked, crid_of, missing_api
from bidder.formats.fit import BANNER, Asked, Fit, Fitted, Misfit
from bidder.formats.markup import Hole, Piece, Target, Values, html_text
from bidder.openrtb_formats import Banner
from models.catalog_records import Advertiser, Creative, Offer
from models.templates import Part, parse_template

__all__ = ["BannerFacts", "HtmlTemplate"]

MTYPE: Final = 1
XHTML_BANNER, JAVASCRIPT, IFRAME = 2, 3, 4
"""Types of ``btype`` (AdCOM)."""
MARKUP_TYPES: Final = frozenset(
    {"text/html", "application/xhtml+xml", "text/javascript", "application/javascript"}
)
"""A slot that lists one of these takes markup; one that takes scripts takes what they write."""


class HtmlTemplate(msgspec.Struct, frozen=True):
    """A banner's markup."""

    parts: tuple[Part, ...]

    def pieces(self, values: Values, landing: str, target: Target) -> Sequence[Piece]:
        """The markup, see :class:`~bidder.formats.markup.Template`."""
        pieces: list[Piece] = []
        for literal, slot in self.parts:
            pieces.append(literal)
            if slot == "click_url":
                pieces += (Hole.CLICK_HTML, escape(target(landing)))
            elif slot is not None:
                pieces.append(html_text(values.get(slot, "")))
        return pieces


class BannerFacts(Facts):
    """A banner; each of its sizes is fitted beforehand, the largest first."""

    __slots__ = ("_ad_type", "_by_size", "_ratios", "_template")

    def __init__(self, creative: Creative) -> None:
        super().__init__(creative, BANNER)
        self._template = HtmlTemplate(parse_template(creative.html, "html"))
        sizes = sorted(creative.sizes, key=lambda size: (-size[0] * size[1], size))
        self._by_size = [(size, self._sized(*size)) for size in sizes]
        self._ratios = {ratio: self._shaped(ratio) for ratio in creative.ratios}
        lowered = creative.html.lower()
        self._ad_type = XHTML_BANNER
        if "<iframe" in lowered:
            self._ad_type = IFRAME
        elif "<script" in lowered:
            self._ad_type = JAVASCRIPT

    def _sized(self, width: int, height: int) -> Fitted:
        creative = self.creative
        crid = crid_of(creative, f"{width}x{height}")
        return Fitted(
            creative, crid, MTYPE, self._template, width, height, attr=creative.attributes
        )

    def _shaped(self, ratio: tuple[int, int]) -> Fitted:
        creative = self.creative
        crid = crid_of(creative, f"{ratio[0]}-{ratio[1]}")
        return Fitted(creative, crid, MTYPE, self._template, ratio=ratio, attr=creative.attributes)

    def fit(self, asked: Asked, offer: Offer | None, advertiser: Advertiser) -> Fit:
        """The largest size that slot and banner share; the values of the offer do not matter."""
        banner = asked.imp.banner
        if banner is None:
            return Misfit.FORMAT
        if asked.has_banner_rules or self.creative.api:
            refused = self._refused(banner)
            if refused is not None:
                return refused
        sizes = asked.sizes
        for size, found in self._by_size:
            if size in sizes:
                return found
        if asked.is_flexible:
            return self._flexible(banner, asked) or Misfit.SIZE
        return Misfit.SIZE

    def _refused(self, banner: Banner) -> Misfit | None:
        if banner.btype and self._ad_type in banner.btype:
            return Misfit.AD_TYPE
        if blocked(self.attr, banner.battr):
            return Misfit.ATTRIBUTE
        if missing_api(self.creative.api, banner.api):
            return Misfit.API
        if banner.mimes and MARKUP_TYPES.isdisjoint(mime.lower() for mime in banner.mimes):
            return Misfit.MIME
        return None

    def _flexible(self, banner: Banner, asked: Asked) -> Fitted | None:
        """By proportion (``wratio``, ``hratio``), else within the limits of requests up to 2.5."""
        if self._ratios:
            for one in banner.format or ():
                if one.wratio and one.hratio:
                    found = self._ratios.get((one.wratio, one.hratio))
                    if found is not None:
                        return found
        if asked.sizes or not (banner.wmax or banner.hmax or banner.wmin or banner.hmin):
            return None
        for (width, height), fitted in self._by_size:
            if (banner.wmin or 0) <= width <= (banner.wmax or width) and (
                (banner.hmin or 0) <= height <= (banner.hmax or height)
            ):
                return fitted
        return None
