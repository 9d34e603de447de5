"""Pictures, media files and companions: what native, video and audio ads are made of."""

import re
from typing import Final, Literal

import msgspec

from models.errors import InvalidFieldError

__all__ = ["Companion", "Image", "MediaFile", "https_only", "positive_size"]

_MIME: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+", re.ASCII)


def https_only(where: str, address: str) -> None:
    """Raises InvalidFieldError where an address is not https, or could end its own quotes."""
    if not address.startswith("https://"):
        raise InvalidFieldError(where, address, "an https address")
    if "{" in address.removeprefix("https://").partition("/")[0]:
        wanted = "an address whose host is written out: a value must not choose it"
        raise InvalidFieldError(where, address, wanted)
    if any(char in '"<>\\' or char.isspace() or not char.isprintable() for char in address):
        raise InvalidFieldError(where, address, 'free of spaces and of " < > \\: write %XX')


def positive_size(where: str, width: int, height: int) -> None:
    """Raises InvalidFieldError where a width or a height is not above 0."""
    if min(width, height) <= 0:
        raise InvalidFieldError(where, [width, height], "a width and a height above 0")


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A picture of a native ad, in one size.

    Attributes:
        url: https; slots allowed.
        w, h: its size, pixels.
        mime: its type, which a slot may restrict.
    """

    url: str
    w: int
    h: int
    mime: str = "image/jpeg"

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        https_only(f"{where}.url", self.url)
        positive_size(where, self.w, self.h)
        check_mime(f"{where}.mime", self.mime, "image/")


class MediaFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One file of a video or audio ad; for a third party's tag, what the tag serves.

    Attributes:
        mime: its type, such as ``video/mp4``.
        url: https, slots allowed; empty in an ad that wraps a third party's tag.
        w, h: of the picture, pixels; 0 for audio.
        bitrate_kbps: 0 where it is not known.
        delivery: of the file.
    """

    mime: str
    url: str = ""
    w: int = 0
    h: int = 0
    bitrate_kbps: int = 0
    delivery: Literal["progressive", "streaming"] = "progressive"

    def check(self, where: str, kind: Literal["video", "audio"], *, is_wrapped: bool) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        check_mime(f"{where}.mime", self.mime, f"{kind}/", "application/")
        if is_wrapped == bool(self.url):
            wanted = "empty beside vast_url, and an https address without it"
            raise InvalidFieldError(f"{where}.url", self.url, wanted)
        if self.url:
            https_only(f"{where}.url", self.url)
        if kind == "video":
            positive_size(where, self.w, self.h)
        elif self.w or self.h:
            raise InvalidFieldError(where, [self.w, self.h], "empty: sound has no w and h")
        if self.bitrate_kbps < 0:
            raise InvalidFieldError(f"{where}.bitrate_kbps", self.bitrate_kbps, ">= 0")


class Companion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A picture that stands beside the player; shown where the slot has room for its size."""

    url: str
    w: int
    h: int
    mime: str = "image/jpeg"

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        https_only(f"{where}.url", self.url)
        positive_size(where, self.w, self.h)
        check_mime(f"{where}.mime", self.mime, "image/")


def check_mime(where: str, mime: str, *begins: str) -> None:
    """Raises InvalidFieldError where a type is not one of those that belong there."""
    if not _MIME.fullmatch(mime) or not mime.startswith(begins):
        raise InvalidFieldError(where, mime, f"a type that begins with {' or '.join(begins)}")
