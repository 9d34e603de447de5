"""What people are shown: banners, native ads, videos and sounds."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from models.catalog_records.ad_media import https_only, positive_size
from models.catalog_records.native_ad import NativeAd
from models.catalog_records.record import Record
from models.catalog_records.stream_ad import AudioAd, VideoAd
from models.errors import InvalidFieldError
from models.markup_safety import check_slots_are_safe
from models.templates import parse_template
from models.units import CampaignId, CreativeId

__all__ = ["AdFormat", "Creative"]

AdFormat: TypeAlias = Literal["banner", "native", "video", "audio"]

VPAID: Final = frozenset({1, 2})
SKIPPABLE: Final = 16

EMPTY_MACROS: Final = ("${AUCTION_BID_ID}", "${AUCTION_AD_ID}")
"""Their sources, ``bidid`` and ``bid.adid``, no bid of ours has (OpenRTB 2.6 section 4.4)."""


class Creative(Record, frozen=True, kw_only=True, tag="creative", omit_defaults=True):
    """An ad with slots such as ``{route}``, which the bidder fills and escapes.

    It is of one format: a banner (``html`` and ``sizes``), or one of ``native``, ``video`` and
    ``audio``. :mod:`models.templates` lists the slots of each goal.

    Attributes:
        creative_set: shown to segments that name this set; ``any`` to all.
        click_url: the landing page, https; slots allowed.
        attributes: what it is or does (AdCOM's Creative Attributes): 13, interactive.
        language: of its words, ISO 639-1 such as ``en``; empty: not stated, or none.
        shows_transparency: it shows itself what the EU's Digital Services Act asks for, so that
            publishers need not.
        is_private: shows what others at a shared device should not see; withheld where it is not
            certain enough who is there.
        sizes: (width, height) pairs in which a banner renders.
        ratios: (width, height) proportions in which a banner renders at any width.
        html: the banner.
        native, video, audio: an ad of that format.
        api: frameworks without which it does not work, numbers of AdCOM's list.
        categories: of this ad, instead of the advertiser's.
        iurl: a picture of the ad for reviewers, https; no cache buster.
        impression_urls: third parties' https pixels of a native, video or audio ad.
    """

    id: CreativeId
    campaign: CampaignId
    creative_set: str = "any"
    click_url: str
    is_private: bool = False
    sizes: tuple[tuple[int, int], ...] = ()
    ratios: tuple[tuple[int, int], ...] = ()
    html: str = ""
    native: NativeAd | None = None
    video: VideoAd | None = None
    audio: AudioAd | None = None
    attributes: tuple[int, ...] = ()
    api: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    language: str = ""
    shows_transparency: bool = False
    iurl: str = ""
    impression_urls: tuple[str, ...] = ()

    @property
    def format(self) -> AdFormat:
        """Which of the four it is."""
        if self.native is not None:
            return "native"
        if self.video is not None:
            return "video"
        return "audio" if self.audio is not None else "banner"

    def templates(self) -> Iterator[tuple[str, str]]:
        """Every text in which slots may stand, with the field's name."""
        yield "click_url", self.click_url
        if self.html:
            yield "html", self.html
        for part in (self.native, self.video, self.audio):
            if part is not None:
                yield from part.templates()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"creative {self.id}: "
        if len(self.id) > 64:
            raise InvalidFieldError(where + "id", self.id, "at most 64 characters (crid)")
        https_only(where + "click_url", self.click_url)
        self._check_format(where)
        self._check_declared(where)
        for field, text in self.templates():
            parse_template(text, where + field)
            for macro in EMPTY_MACROS:
                if macro in text:
                    wanted = "another macro: exchanges make this one empty in our bids"
                    raise InvalidFieldError(where + field, macro, wanted)

    def _check_format(self, where: str) -> None:
        parts = [part for part in (self.native, self.video, self.audio) if part is not None]
        if len(parts) + bool(self.html) > 1:
            wanted = "one of them: a creative is of one format"
            raise InvalidFieldError(where + "html, native, video, audio", "more than one", wanted)
        if parts:
            if self.sizes or self.ratios:
                wanted = "empty: only a banner has sizes and ratios"
                raise InvalidFieldError(where + "sizes, ratios", self.sizes, wanted)
            parts[0].check(where + self.format)
            return
        self._check_banner(where)

    def _check_banner(self, where: str) -> None:
        if not self.html:
            raise InvalidFieldError(where + "html", "", "markup; or write native, video or audio")
        if not (self.sizes or self.ratios) or any(min(size) <= 0 for size in self.sizes):
            wanted = "a list of [width, height], both above 0"
            raise InvalidFieldError(where + "sizes", self.sizes, wanted)
        for width, height in self.ratios:
            positive_size(where + "ratios", width, height)
        if self.ratios and any(slot in self.html for slot in ("{width}", "{height}")):
            wanted = "free of {width} and {height}: beside ratios they are not known"
            raise InvalidFieldError(where + "html", "a slot for the size", wanted)
        if "http://" in self.html.lower():
            raise InvalidFieldError(where + "html", "http://", "allowed in markup: write https://")
        if self.impression_urls:
            wanted = "empty: a banner's pixels stand in its html"
            raise InvalidFieldError(where + "impression_urls", self.impression_urls, wanted)
        check_slots_are_safe(self.html, where + "html")

    def _check_declared(self, where: str) -> None:
        if self.language and not (len(self.language) == 2 and self.language.islower()):
            wanted = "an ISO 639-1 code such as en"
            raise InvalidFieldError(where + "language", self.language, wanted)
        if VPAID & set(self.api):
            wanted = "free of VPAID (1, 2), which runs a stranger's code in the player"
            raise InvalidFieldError(where + "api", self.api, wanted)
        if SKIPPABLE in self.attributes:
            wanted = "free of 16: write video.skip_after_seconds"
            raise InvalidFieldError(where + "attributes", self.attributes, wanted)
        if self.iurl:
            https_only(where + "iurl", self.iurl)
        for address in self.impression_urls:
            https_only(where + "impression_urls", address)
