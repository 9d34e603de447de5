"""VAST documents, versions 2.0 to 4.2: our own files (inline), or a third party's tag (wrapper).

Elements stand in the order of each version's schema; values are escaped as XML text, addresses
stand in CDATA. Numbers of versions are AdCOM's "creative subtypes - audio/video".
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from bidder.formats.markup import (
    Hole,
    Piece,
    Target,
    Values,
    cdata,
    click,
    text_of,
    url_of,
    xml_text,
)
from models.catalog_records import Companion, Creative, MediaFile, StreamAd
from models.templates import Part, parse_template

__all__ = ["INLINE", "WRAPPER", "VastTemplate"]

INLINE: Final[dict[int, str]] = {13: "4.2", 11: "4.1", 7: "4.0", 3: "3.0", 2: "2.0"}
WRAPPER: Final[dict[int, str]] = {14: "4.2", 12: "4.1", 8: "4.0", 6: "3.0", 5: "2.0"}
"""By number, the newest version first."""


class VastTemplate(msgspec.Struct, frozen=True):
    """One way to serve a video or audio ad.

    Attributes:
        creative, ad: the record, and its part for this format.
        kind: of the ad.
        crid: as the bid names it.
        version: of VAST.
        media: files that the slot takes.
        companions: pictures for which the slot has room.
        skip_after_seconds: None where the ad brings no skip button.
    """

    creative: Creative
    ad: StreamAd
    kind: Literal["video", "audio"]
    crid: str
    version: str
    media: tuple[MediaFile, ...]
    companions: tuple[Companion, ...] = ()
    skip_after_seconds: int | None = None

    def pieces(self, values: Values, landing: str, target: Target) -> Sequence[Piece]:
        """The document, see :class:`~bidder.formats.markup.Template`."""
        crid = xml_text(self.crid)
        ad_type = ' adType="audio"' if self.kind == "audio" and self.version > "4.0" else ""
        body = self._wrapper(values) if self.ad.vast_url else self._inline(values, landing, target)
        return (
            f'<VAST version="{self.version}"><Ad id="{crid}"{ad_type}>',
            *body,
            "</Ad></VAST>",
        )

    @property
    def _is_new(self) -> bool:
        return self.version >= "4.0"

    def _inline(self, values: Values, landing: str, target: Target) -> Iterator[Piece]:
        title = f"<AdTitle>{xml_text(text_of(_parsed(self.ad.title), values))}</AdTitle>"
        yield "<InLine><AdSystem>kinbid</AdSystem>"
        if not self._is_new:
            yield title
        yield from self._notified()
        if self.version > "4.0":
            yield from ("<AdServingId>", Hole.NONCE, "</AdServingId>")
        if self._is_new:
            yield title
        yield f'<Creatives><Creative id="{xml_text(self.crid)}">{self._universal_id()}'
        yield from self._linear(values, landing, target)
        yield "</Creative>"
        yield from self._companions(values, landing, target)
        yield "</Creatives></InLine>"

    def _wrapper(self, values: Values) -> Iterator[Piece]:
        address = cdata(url_of(_parsed(self.ad.vast_url), values))
        uri: tuple[Piece, ...] = ("<VASTAdTagURI>", *address, "</VASTAdTagURI>")
        yield "<Wrapper><AdSystem>kinbid</AdSystem>"
        if not self._is_new:
            yield from uri
        yield from self._notified()
        yield f'<Creatives><Creative id="{xml_text(self.crid)}"><Linear>'
        yield from self._tracking()
        yield "</Linear></Creative></Creatives>"
        if self._is_new:
            yield from uri
        yield "</Wrapper>"

    def _notified(self) -> Iterator[Piece]:
        """Whom a player tells of an error or an impression: ours is what is billed (F6)."""
        for address in self.ad.trackers.get("error", ()):
            yield from ("<Error>", *cdata(address), "</Error>")
        yield from ('<Impression id="kinbid">', *cdata(Hole.IMPRESSION), "</Impression>")
        for address in self.creative.impression_urls:
            yield from ("<Impression>", *cdata(address), "</Impression>")

    def _universal_id(self) -> str:
        if not self._is_new:
            return ""
        value = f' idValue="{xml_text(self.crid)}"' if self.version == "4.0" else ""
        text = f"{xml_text(self.crid)}</UniversalAdId>"
        return f'<UniversalAdId idRegistry="unknown"{value}>{text}'

    def _linear(self, values: Values, landing: str, target: Target) -> Iterator[Piece]:
        skip = self.skip_after_seconds
        yield "<Linear>" if skip is None else f'<Linear skipoffset="{_clock(skip)}">'
        duration = f"<Duration>{_clock(self.ad.duration_seconds)}</Duration>"
        files = self._files(values)
        clicks: tuple[Piece, ...] = (
            "<VideoClicks><ClickThrough>",
            *cdata(*click(landing, target)),
            "</ClickThrough></VideoClicks>",
        )
        if self._is_new:
            yield from (*self._tracking(), duration, *files, *clicks)
        else:
            yield from (duration, *self._tracking(), *clicks, *files)
        yield "</Linear>"

    def _tracking(self) -> Iterator[Piece]:
        events = [(event, urls) for event, urls in self.ad.trackers.items() if event != "error"]
        if not events:
            return
        yield "<TrackingEvents>"
        for event, addresses in events:
            for address in addresses:
                yield from (f'<Tracking event="{event}">', *cdata(address), "</Tracking>")
        yield "</TrackingEvents>"

    def _files(self, values: Values) -> Iterator[Piece]:
        yield "<MediaFiles>"
        for file in self.media:
            bitrate = f' bitrate="{file.bitrate_kbps}"' if file.bitrate_kbps else ""
            yield (
                f'<MediaFile delivery="{file.delivery}" type="{file.mime}"'
                f' width="{file.w}" height="{file.h}"{bitrate}>'
            )
            yield from cdata(url_of(_parsed(file.url), values))
            yield "</MediaFile>"
        yield "</MediaFiles>"

    def _companions(self, values: Values, landing: str, target: Target) -> Iterator[Piece]:
        if not self.companions:
            return
        yield (
            "<Creative><CompanionAds>"
            if not self._is_new
            else (f'<Creative id="{xml_text(self.crid)}-c">{self._universal_id()}<CompanionAds>')
        )
        for one in self.companions:
            yield f'<Companion width="{one.w}" height="{one.h}">'
            yield f'<StaticResource creativeType="{one.mime}">'
            yield from cdata(url_of(_parsed(one.url), values))
            yield "</StaticResource><CompanionClickThrough>"
            yield from cdata(*click(landing, target))
            yield "</CompanionClickThrough></Companion>"
        yield "</CompanionAds></Creative>"


def _parsed(template: str) -> tuple[Part, ...]:
    return parse_template(template, "creative")


def _clock(seconds: int) -> str:
    """HH:MM:SS."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
