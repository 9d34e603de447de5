"""Video and audio: does the ad fit the player and the break (2.6 sections 3.2.7 and 3.2.8)."""

# ruff: noqa: ARG002 - every format has the same signature
from typing import TYPE_CHECKING, Final, Literal

from bidder.formats.facts import Facts, blocked, crid_of, missing_api
from bidder.formats.fit import AUDIO, VIDEO, Asked, Fit, Fitted, Misfit
from bidder.formats.vast import INLINE, WRAPPER, VastTemplate
from bidder.openrtb_formats import Audio, Video
from models.catalog_records import (
    Advertiser,
    AudioAd,
    Companion,
    Creative,
    MediaFile,
    Offer,
    VideoAd,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StreamFacts"]

MTYPES: Final = {VIDEO: 2, AUDIO: 3}
SKIPPABLE: Final = 16
OVERLAY_ONLY: Final = 2
VAST_2: Final = 2
UNSAID_PROTOCOLS: Final = (3, 6)
"""VAST 3.0 and its wrapper, where a request names none: what every player of today knows."""
DELIVERY: Final = {"streaming": frozenset({1}), "progressive": frozenset({2, 3})}
"""How a file may reach the player (AdCOM "delivery methods")."""
KEPT_VARIANTS: Final = 64
"""Ways to serve one ad that are kept; there are few players."""


class StreamFacts(Facts):
    """A video or audio ad; ways to serve it are made once each.

    Args:
        creative: the record.
        ad: its video or audio part.
    """

    __slots__ = ("_ad", "_crid", "_skip_crid", "_variants")

    def __init__(self, creative: Creative, ad: VideoAd | AudioAd) -> None:
        super().__init__(creative, VIDEO if isinstance(ad, VideoAd) else AUDIO)
        self._ad = ad
        self._crid = crid_of(creative)
        self._skip_crid = crid_of(creative, "skip")
        self._variants: dict[tuple[object, ...], Fitted] = {}

    def fit(self, asked: Asked, offer: Offer | None, advertiser: Advertiser) -> Fit:
        """Files, version and companions that the slot takes."""
        slot = asked.imp.video if self.bit == VIDEO else asked.imp.audio
        if slot is None:
            return Misfit.FORMAT
        refused = self._refused(slot)
        if refused is not None:
            return refused
        protocol = self._protocol(slot)
        if protocol is None:
            return Misfit.PROTOCOL
        media = _media(self._ad.media, slot)
        if isinstance(media, Misfit):
            return media
        skip_after = self._skip_after(slot, protocol)
        if isinstance(skip_after, Misfit):
            return skip_after
        return self._variant(slot, protocol, media, skip_after)

    def _refused(self, slot: Video | Audio) -> Misfit | None:
        if not slot.mimes:  # required; without it nothing is known to play (F4)
            return Misfit.MIME
        if blocked(self.attr, slot.battr):
            return Misfit.ATTRIBUTE
        if missing_api(self.creative.api, slot.api):
            return Misfit.API
        return None if _duration_fits(self._ad.duration_seconds, slot) else Misfit.DURATION

    def _protocol(self, slot: Video | Audio) -> int | None:
        """The newest version that slot and ad share."""
        offered: Sequence[int] = slot.protocols or ()
        if not offered and isinstance(slot, Video) and slot.protocol:
            offered = (slot.protocol,)
        if not offered:
            offered = UNSAID_PROTOCOLS
        if not self._ad.vast_url:
            return next((number for number in INLINE if number in offered), None)
        oldest = self._ad.vast_version
        return next(
            (number for number, name in WRAPPER.items() if number in offered and name >= oldest),
            None,
        )

    def _skip_after(self, slot: Video | Audio, protocol: int) -> int | Misfit | None:
        """When the ad's own skip button comes; None where it has none (2.6 implementation 7.4).

        Only a player that says it brings none (``skip: 0``) leaves that to the ad, and VAST 2.0
        cannot ask for one. A third party's tag has its button whatever we write.
        """
        after = self._ad.skip_after_seconds if isinstance(self._ad, VideoAd) else None
        if after is None or not isinstance(slot, Video):
            return None
        is_blocked = SKIPPABLE in (slot.battr or ())
        if self._ad.vast_url:
            return Misfit.ATTRIBUTE if is_blocked or slot.skip == 1 else after
        return after if slot.skip == 0 and not is_blocked and protocol != VAST_2 else None

    def _variant(
        self,
        slot: Video | Audio,
        protocol: int,
        media: tuple[MediaFile, ...],
        skip_after: int | None,
    ) -> Fitted:
        companions = _companions(self._ad.companions, slot)
        shown = _nearest(media, slot) if isinstance(slot, Video) else media[0]
        key = (protocol, media, companions, skip_after is None, shown)
        known = self._variants.get(key)
        if known is not None:
            return known
        if len(self._variants) >= KEPT_VARIANTS:
            self._variants.clear()
        made = self._make(protocol, media, companions, skip_after, shown)
        self._variants[key] = made
        return made

    def _make(
        self,
        protocol: int,
        media: tuple[MediaFile, ...],
        companions: tuple[Companion, ...],
        skip_after: int | None,
        shown: MediaFile,
    ) -> Fitted:
        kind: Literal["video", "audio"] = "video" if self.bit == VIDEO else "audio"
        crid = self._crid if skip_after is None else self._skip_crid
        version = (WRAPPER if self._ad.vast_url else INLINE)[protocol]
        template = VastTemplate(
            self.creative, self._ad, kind, crid, version, media, companions, skip_after
        )
        attr = (
            self.creative.attributes
            if skip_after is None
            else (*self.creative.attributes, SKIPPABLE)
        )
        return Fitted(
            self.creative, crid, MTYPES[self.bit], template, shown.w, shown.h,
            duration_seconds=self._ad.duration_seconds, protocol=protocol, attr=attr,
        )  # fmt: skip


def _duration_fits(seconds: int, slot: Video | Audio) -> bool:
    """Exact durations, where given, stand alone (2.6: they exclude the two limits)."""
    if slot.poddur and seconds > slot.poddur:
        return False
    if slot.rqddurs:
        return seconds in slot.rqddurs
    return (slot.minduration or 0) <= seconds <= (slot.maxduration or seconds)


def _media(media: tuple[MediaFile, ...], slot: Video | Audio) -> tuple[MediaFile, ...] | Misfit:
    """The files that a player takes; or what left none."""
    if isinstance(slot, Video) and slot.linearity == OVERLAY_ONLY:
        return Misfit.LINEARITY
    mimes = {mime.lower() for mime in slot.mimes or ()}
    left = tuple(file for file in media if file.mime in mimes)
    if not left:
        return Misfit.MIME
    if slot.minbitrate or slot.maxbitrate:
        left = tuple(file for file in left if _bitrate_fits(file, slot))
        if not left:
            return Misfit.BITRATE
    if slot.delivery:
        left = tuple(f for f in left if not DELIVERY[f.delivery].isdisjoint(slot.delivery))
        if not left:
            return Misfit.DELIVERY
    if isinstance(slot, Video) and slot.boxingallowed == 0 and slot.w and slot.h:
        left = tuple(file for file in left if _same_shape(file, slot.w, slot.h))
        if not left:
            return Misfit.ASPECT
    return left


def _bitrate_fits(file: MediaFile, slot: Video | Audio) -> bool:
    rate = file.bitrate_kbps
    return rate > 0 and (slot.minbitrate or 0) <= rate <= (slot.maxbitrate or rate)


def _same_shape(file: MediaFile, width: int, height: int) -> bool:
    """Within a hundredth, as sizes are rounded to even numbers."""
    return abs(file.w * height - file.h * width) * 100 <= file.h * width


def _nearest(media: tuple[MediaFile, ...], slot: Video) -> MediaFile:
    """The file whose size the bid names: the one nearest to the player's width."""
    if not slot.w:
        return media[0]
    width = slot.w
    return min(media, key=lambda file: abs(file.w - width))


def _companions(companions: tuple[Companion, ...], slot: Video | Audio) -> tuple[Companion, ...]:
    if not companions or not slot.companionad:
        return ()
    room = set().union(*(banner.sizes() for banner in slot.companionad))
    return tuple(one for one in companions if (one.w, one.h) in room)
