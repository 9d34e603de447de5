"""OpenRTB 2.x bid requests: the fields that we read, under the specification's names.

Absent and null mean unknown (2.6 section 2.3); unknown fields are ignored (2.6 section 2.6).
A body that deviates in types only is read a second time by :mod:`bidder.tolerance`. Privacy
signals are read whatever their type is, since one that cannot be read must not pass for absent.
"""

from typing import Any, Final

import msgspec

from bidder.errors import MalformedRequestError
from bidder.tolerance import tolerant_decoder

__all__ = ["Banner", "BidRequest", "Device", "Imp", "Regs", "User", "decode_request"]


class Format(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.10."""

    w: int | None = None
    h: int | None = None


class Banner(msgspec.Struct, frozen=True):
    """2.6 section 3.2.6."""

    format: list[Format] | None = None
    w: int | None = None
    h: int | None = None
    battr: list[int] | None = None
    btype: list[int] | None = None

    def sizes(self) -> set[tuple[int, int]]:
        """What may be shown: the format list, else the one size."""
        offered = {(one.w, one.h) for one in self.format or () if one.w and one.h}
        if not offered and self.w and self.h:
            offered = {(self.w, self.h)}
        return offered


class Pmp(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.11."""

    private_auction: int | None = None


class Imp(msgspec.Struct, frozen=True):
    """2.6 section 3.2.4."""

    id: str
    banner: Banner | None = None
    pmp: Pmp | None = None
    bidfloor: float | None = None
    bidfloorcur: str | None = None
    secure: int | None = None
    exp: int | None = None


class Geo(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.19."""

    country: str | None = None
    region: str | None = None
    utcoffset: int | None = None


class Device(msgspec.Struct, frozen=True):
    """2.6 section 3.2.18."""

    ifa: str | None = None
    devicetype: int | None = None
    os: str | None = None
    lmt: Any = None
    dnt: Any = None
    geo: Geo | None = None


class Uid(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.28."""

    id: str | None = None
    atype: int | None = None


class Eid(msgspec.Struct, frozen=True):
    """2.6 section 3.2.27."""

    source: str | None = None
    mm: int | None = None
    uids: list[Uid] | None = None


class UserExt(msgspec.Struct, frozen=True):
    """Where 2.5 keeps what 2.6 moved into the user."""

    eids: list[Eid] | None = None
    consent: Any = None


class User(msgspec.Struct, frozen=True):
    """2.6 section 3.2.20."""

    id: str | None = None
    buyeruid: str | None = None
    eids: list[Eid] | None = None
    consent: Any = None
    geo: Geo | None = None
    ext: UserExt | None = None


class RegsExt(msgspec.Struct, frozen=True):
    """Where 2.5 keeps what 2.6 moved into the regulations."""

    gdpr: Any = None
    us_privacy: Any = None
    gpp: Any = None
    gpp_sid: Any = None
    gpc: Any = None


class Regs(msgspec.Struct, frozen=True):
    """2.6 section 3.2.3."""

    coppa: Any = None
    gdpr: Any = None
    us_privacy: Any = None
    gpp: Any = None
    gpp_sid: Any = None
    ext: RegsExt | None = None


class Site(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.13."""

    domain: str | None = None


class App(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.14."""

    bundle: str | None = None


class BidRequest(msgspec.Struct, frozen=True):
    """2.6 section 3.2.1."""

    id: str
    imp: list[Imp]
    device: Device | None = None
    user: User | None = None
    site: Site | None = None
    app: App | None = None
    regs: Regs | None = None
    at: int | None = None
    tmax: int | None = None
    test: int | None = None
    cur: list[str] | None = None
    wseat: list[str] | None = None
    bseat: list[str] | None = None
    acat: list[str] | None = None
    bcat: list[str] | None = None
    badv: list[str] | None = None


_strict: Final = msgspec.json.Decoder(BidRequest).decode
_tolerant: Final = tolerant_decoder(BidRequest)


def decode_request(body: bytes) -> BidRequest:
    """Reads a bid request.

    Raises:
        MalformedRequestError: not JSON, or no usable ``id`` or ``imp``; the text names the field.
    """
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into strings that it skips
        request = _strict(body)
    except msgspec.ValidationError:
        request = _decode_tolerant(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"not JSON: {error}") from error
    if not request.id:
        raise MalformedRequestError("id: empty")
    if not request.imp:
        raise MalformedRequestError("imp: empty")
    return request


def _decode_tolerant(body: bytes) -> BidRequest:
    try:
        return _tolerant(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(str(error)) from error
