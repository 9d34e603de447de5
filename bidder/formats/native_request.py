"""What a native slot wants: the request inside the request (Native 1.2 section 4).

It comes as a JSON string, with a root node ``native`` (1.0) or without (1.1 and later), and from
some exchanges as an object. Publishers have few layouts, so each is read once and kept.
"""

from typing import Final

import msgspec

from bidder.formats.fit import Fit
from bidder.openrtb_formats import NOTHING, Native
from bidder.tolerance import TolerantReader, UnreadableError

__all__ = [
    "KEPT_FITS", "LONGEST_KEPT_BYTES", "AskedAsset", "AskedData", "AskedImage", "KeptFit",
    "NativeAsk", "NativeAsks",
]  # fmt: skip

IMPRESSION_EVENT: Final = 1
IMAGE_METHOD: Final = 1
DEFAULT_VERSION: Final = "1.2"
KEPT_ASKS: Final = 1_024
KEPT_FITS: Final = 8_192
"""Of all native ads together: about 2 kB each."""
LONGEST_KEPT_BYTES: Final = 16_384


class AskedTitle(msgspec.Struct, frozen=True, gc=False):
    """Section 4.3."""

    len: int | None = None


class AskedImage(msgspec.Struct, frozen=True):
    """Section 4.4."""

    type: int | None = None
    w: int | None = None
    h: int | None = None
    wmin: int | None = None
    hmin: int | None = None
    mimes: list[str] | None = None


class AskedVideo(msgspec.Struct, frozen=True, gc=False):
    """Section 4.5; we have none to offer, so only that it is asked for counts."""


class AskedData(msgspec.Struct, frozen=True, gc=False):
    """Section 4.6."""

    type: int | None = None
    len: int | None = None


class AskedAsset(msgspec.Struct, frozen=True):
    """Section 4.2. The id is echoed as it came."""

    id: msgspec.Raw = NOTHING
    required: int | None = None
    title: AskedTitle | None = None
    img: AskedImage | None = None
    video: AskedVideo | None = None
    data: AskedData | None = None


class _EventTracker(msgspec.Struct, frozen=True):
    event: int | None = None
    methods: list[int] | None = None


class _Request(msgspec.Struct, frozen=True):
    ver: str | None = None
    assets: list[AskedAsset] | None = None
    eventtrackers: list[_EventTracker] | None = None
    privacy: int | None = None


class _Root(_Request, frozen=True):
    native: _Request | None = None


class NativeAsk(msgspec.Struct, frozen=True):
    """What a native slot wants.

    Attributes:
        is_rooted: the request has the root node ``native``, so the answer needs it, too.
        version: of the native specification.
        assets: in the request's order, each with an id.
        tracks_events: it takes ``eventtrackers`` with images; else ``imptrackers``.
        wants_privacy: it shows a link to an explanation.
    """

    is_rooted: bool
    version: str
    assets: tuple[AskedAsset, ...]
    tracks_events: bool
    wants_privacy: bool


_strict: Final = msgspec.json.Decoder(_Root).decode
_tolerant: Final = TolerantReader(_Root)
_text: Final = msgspec.json.Decoder(str).decode


class KeptFit(msgspec.Struct, frozen=True):
    """What came of an ad in a layout, as long as all three records are the same."""

    facts: object
    offer: object
    advertiser: object
    fit: Fit


class NativeAsks:
    """Reads native requests; keeps what it read by the request's bytes.

    Attributes:
        fits: what came of ads, by creative, layout and offer; one store for all native ads, so that
            memory does not grow with their number.
    """

    def __init__(self) -> None:
        self.fits: dict[tuple[str, bytes, str | None, str], KeptFit] = {}
        self._kept: dict[tuple[bytes, str | None], NativeAsk | None] = {}

    def of(self, native: Native) -> NativeAsk | None:
        """What a slot wants; None where that cannot be read or is nothing."""
        raw = bytes(native.request)
        key = (raw, native.ver)
        if key in self._kept:
            return self._kept[key]
        ask = _read(raw, native.ver)
        if len(raw) <= LONGEST_KEPT_BYTES:
            if len(self._kept) >= KEPT_ASKS:
                self._kept.clear()
            self._kept[key] = ask
        return ask


def _read(raw: bytes, version: str | None) -> NativeAsk | None:
    try:
        body = _text(raw).encode() if raw.startswith(b'"') else raw
        root = _decoded(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, UnreadableError):
        return None
    asked = root if root.native is None else root.native
    assets = tuple(one for one in asked.assets or () if bytes(one.id) not in {b"null", b""})
    if not assets or len(assets) < len(asked.assets or ()):
        return None  # an asset without an id cannot be answered
    return NativeAsk(
        is_rooted=root.native is not None,
        version=asked.ver or version or DEFAULT_VERSION,
        assets=assets,
        tracks_events=any(
            one.event == IMPRESSION_EVENT and IMAGE_METHOD in (one.methods or ())
            for one in asked.eventtrackers or ()
        ),
        wants_privacy=asked.privacy == 1,
    )


def _decoded(body: bytes) -> _Root:
    try:
        return _strict(body)
    except msgspec.ValidationError:
        return _tolerant(body, lambda _: None)
