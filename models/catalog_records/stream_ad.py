"""Video and audio ads: our own media files, or a third party's VAST tag that we wrap."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from models.catalog_records.ad_media import Companion, MediaFile, https_only
from models.errors import InvalidFieldError

__all__ = ["AudioAd", "StreamAd", "TrackedEvent", "VideoAd"]

LONGEST_SECONDS: Final = 3_600

TrackedEvent: TypeAlias = Literal[
    "start", "firstQuartile", "midpoint", "thirdQuartile", "complete", "mute", "pause", "skip",
    "error",
]  # fmt: skip


class StreamAd(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What video and audio ads share.

    Attributes:
        title: of the ad, for those who keep lists of ads; slots allowed.
        duration_seconds: of the ad.
        media: the same ad in several files, types and sizes; beside ``vast_url`` what the tag
            serves, without addresses.
        vast_url: a third party's VAST tag, https, slots allowed; our answer then wraps it.
        vast_version: what a player must understand to play that tag.
        companions: pictures beside the player.
        trackers: https addresses that the player fetches at an event (VAST's own macros allowed).
    """

    title: str
    duration_seconds: int
    media: tuple[MediaFile, ...]
    vast_url: str = ""
    vast_version: Literal["2.0", "3.0", "4.0", "4.1", "4.2"] = "3.0"
    companions: tuple[Companion, ...] = ()
    trackers: dict[TrackedEvent, tuple[str, ...]] = {}

    def check_as(self, where: str, kind: Literal["video", "audio"]) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not self.title:
            raise InvalidFieldError(f"{where}.title", self.title, "a text")
        if not 1 <= self.duration_seconds <= LONGEST_SECONDS:
            wanted = f"from 1 to {LONGEST_SECONDS}"
            raise InvalidFieldError(f"{where}.duration_seconds", self.duration_seconds, wanted)
        if not self.media:
            raise InvalidFieldError(f"{where}.media", [], "a list of one file or more")
        for place, file in enumerate(self.media, start=1):
            file.check(f"{where}.media {place}", kind, is_wrapped=bool(self.vast_url))
        if self.vast_url:
            https_only(f"{where}.vast_url", self.vast_url)
        for place, companion in enumerate(self.companions, start=1):
            companion.check(f"{where}.companions {place}")
        for event, addresses in self.trackers.items():
            for address in addresses:
                https_only(f"{where}.trackers.{event}", address)

    def templates(self) -> Iterator[tuple[str, str]]:
        """Every text in which slots may stand, with its place."""
        yield "title", self.title
        for file in self.media:
            yield "media url", file.url
        yield "vast_url", self.vast_url
        for companion in self.companions:
            yield "companion url", companion.url


class VideoAd(StreamAd, frozen=True, kw_only=True):
    """A video ad in the player's own picture (linear).

    Attributes:
        skip_after_seconds: after how long people may skip it where the publisher leaves that to
            the ad; None: never.
    """

    skip_after_seconds: int | None = None

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        self.check_as(where, "video")
        after = self.skip_after_seconds
        if after is not None and not 0 <= after < self.duration_seconds:
            wanted = f"from 0 to below duration_seconds ({self.duration_seconds})"
            raise InvalidFieldError(f"{where}.skip_after_seconds", after, wanted)


class AudioAd(StreamAd, frozen=True, kw_only=True):
    """An ad to be heard."""

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        self.check_as(where, "audio")
