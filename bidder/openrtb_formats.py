"""What a slot takes, as it stands in bid requests: banner, video, audio, native.

Field names are the specification's (OpenRTB 2.6 sections 3.2.6 to 3.2.10). Only what decides
whether an ad fits is declared, the rest is skipped.
"""

from functools import lru_cache
from typing import Annotated, Final

import msgspec

from bidder.openrtb_context import DurationFloor
from bidder.tolerance import LIMIT

__all__ = ["MOST_REMEMBERED", "Audio", "Banner", "Format", "Native", "Video"]

NOTHING: Final = msgspec.Raw(b"null")
MOST_REMEMBERED: Final = 16
"""Sizes of a slot; what follows from longer lists is worked out each time."""


class Format(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.10."""

    w: int | None = None
    h: int | None = None
    wratio: int | None = None
    hratio: int | None = None
    wmin: int | None = None


class Banner(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.6; the limits of sizes are older (2.5)."""

    format: list[Format] | None = None
    w: int | None = None
    h: int | None = None
    wmin: int | None = None
    wmax: int | None = None
    hmin: int | None = None
    hmax: int | None = None
    battr: Annotated[tuple[int, ...] | None, LIMIT] = None
    btype: Annotated[tuple[int, ...] | None, LIMIT] = None
    mimes: Annotated[tuple[str, ...] | None, LIMIT] = None
    api: tuple[int, ...] | None = None

    def sizes(self) -> frozenset[tuple[int, int]]:
        """What may be shown: the format list, else the one size."""
        return self.shapes()[0]

    def shapes(self) -> tuple[frozenset[tuple[int, int]], bool]:
        """The sizes, and whether something else may be shown: a proportion, or within limits."""
        listed = self.format
        if not listed:
            return _shapes((), self.w, self.h)
        shapes = _shapes if len(listed) <= MOST_REMEMBERED else _shapes.__wrapped__
        return shapes(tuple([(one.w, one.h, one.wratio) for one in listed]), self.w, self.h)


@lru_cache(maxsize=4096)
def _shapes(
    listed: tuple[tuple[int | None, int | None, int | None], ...], w: int | None, h: int | None
) -> tuple[frozenset[tuple[int, int]], bool]:
    sizes = frozenset([(width, height) for width, height, _ in listed if width and height])
    if not sizes and w and h:
        sizes = frozenset([(w, h)])
    return sizes, not sizes or any(ratio for *_, ratio in listed)


class _Stream(msgspec.Struct, frozen=True, gc=False):
    """What video and audio have in common."""

    mimes: Annotated[list[str] | None, LIMIT] = None
    minduration: Annotated[int | None, LIMIT] = None
    maxduration: Annotated[int | None, LIMIT] = None
    rqddurs: Annotated[list[int] | None, LIMIT] = None
    protocols: Annotated[list[int] | None, LIMIT] = None
    startdelay: int | None = None
    sequence: int | None = None
    battr: Annotated[list[int] | None, LIMIT] = None
    minbitrate: Annotated[int | None, LIMIT] = None
    maxbitrate: Annotated[int | None, LIMIT] = None
    delivery: Annotated[list[int] | None, LIMIT] = None
    api: list[int] | None = None
    companionad: list[Banner] | None = None
    podid: str | None = None
    podseq: int | None = None
    poddur: Annotated[int | None, LIMIT] = None
    maxseq: int | None = None
    slotinpod: int | None = None
    mincpmpersec: Annotated[float | None, LIMIT] = None
    durfloors: Annotated[list[DurationFloor] | None, LIMIT] = None


class Video(_Stream, frozen=True, gc=False):
    """2.6 section 3.2.7; ``protocol`` is older."""

    protocol: int | None = None
    w: int | None = None
    h: int | None = None
    linearity: Annotated[int | None, LIMIT] = None
    skip: int | None = None
    boxingallowed: Annotated[int | None, LIMIT] = None
    playbackmethod: list[int] | None = None
    plcmt: int | None = None
    placement: int | None = None


class Audio(_Stream, frozen=True, gc=False):
    """2.6 section 3.2.8."""

    feed: int | None = None
    stitched: int | None = None


class Native(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.9. ``request`` stays as it came: few requests need it read."""

    request: msgspec.Raw = NOTHING
    ver: str | None = None
    api: list[int] | None = None
    battr: Annotated[list[int] | None, LIMIT] = None
