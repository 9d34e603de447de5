"""What a slot takes, as it stands in bid requests: banner, video, audio, native.

Field names are the specification's (OpenRTB 2.6 sections 3.2.6 to 3.2.10). Only what decides
whether an ad fits is declared, the rest is skipped.
"""

from typing import Final

import msgspec

__all__ = ["Audio", "Banner", "DurFloor", "Format", "Native", "Video"]

NOTHING: Final = msgspec.Raw(b"null")


class Format(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.10."""

    w: int | None = None
    h: int | None = None
    wratio: int | None = None
    hratio: int | None = None
    wmin: int | None = None


class Banner(msgspec.Struct, frozen=True):
    """2.6 section 3.2.6; the limits of sizes are older (2.5)."""

    format: list[Format] | None = None
    w: int | None = None
    h: int | None = None
    wmin: int | None = None
    wmax: int | None = None
    hmin: int | None = None
    hmax: int | None = None
    battr: list[int] | None = None
    btype: list[int] | None = None
    mimes: list[str] | None = None
    api: list[int] | None = None

    def sizes(self) -> set[tuple[int, int]]:
        """What may be shown: the format list, else the one size."""
        offered = {(one.w, one.h) for one in self.format or () if one.w and one.h}
        if not offered and self.w and self.h:
            offered = {(self.w, self.h)}
        return offered


class DurFloor(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.35: the floor of ads of some durations."""

    mindur: int | None = None
    maxdur: int | None = None
    bidfloor: float | None = None


class _Stream(msgspec.Struct, frozen=True):
    """What video and audio have in common."""

    mimes: list[str] | None = None
    minduration: int | None = None
    maxduration: int | None = None
    rqddurs: list[int] | None = None
    protocols: list[int] | None = None
    startdelay: int | None = None
    sequence: int | None = None
    battr: list[int] | None = None
    minbitrate: int | None = None
    maxbitrate: int | None = None
    delivery: list[int] | None = None
    api: list[int] | None = None
    companionad: list[Banner] | None = None
    podid: str | None = None
    podseq: int | None = None
    poddur: int | None = None
    maxseq: int | None = None
    slotinpod: int | None = None
    mincpmpersec: float | None = None
    durfloors: list[DurFloor] | None = None


class Video(_Stream, frozen=True):
    """2.6 section 3.2.7; ``protocol`` is older."""

    protocol: int | None = None
    w: int | None = None
    h: int | None = None
    linearity: int | None = None
    skip: int | None = None
    boxingallowed: int | None = None
    playbackmethod: list[int] | None = None
    plcmt: int | None = None
    placement: int | None = None


class Audio(_Stream, frozen=True):
    """2.6 section 3.2.8."""

    feed: int | None = None
    stitched: int | None = None


class Native(msgspec.Struct, frozen=True):
    """2.6 section 3.2.9. ``request`` stays as it came: few requests need it read."""

    request: msgspec.Raw = NOTHING
    ver: str | None = None
    api: list[int] | None = None
    battr: list[int] | None = None
