"""OpenRTB 2.x bid requests: the fields that we read, under the specification's names.

Absent and null mean unknown (2.6 section 2.3); unknown fields are ignored (2.6 section 2.6).
A body that deviates in types only is read a second time by :mod:`bidder.tolerance`. Privacy
signals are read whatever their type is, since one that cannot be read must not pass for absent.
The request's lists of who may not bid stay bytes until :mod:`bidder.limits` knows them again.

What is decoded is a tree that nobody changes, so no record of it can be in a cycle, and the garbage
collector need not know of any (``gc=False``), whatever lists it holds.
"""

from typing import Annotated, Any, Final

import msgspec

from bidder.errors import MalformedRequestError
from bidder.openrtb_context import App, Dooh, Dsa, Geo, Pmp, Qty, RequestExt, Site, Source, Sua
from bidder.openrtb_formats import Audio, Banner, Native, Video
from bidder.tolerance import (
    LIMIT,
    OnDeviation,
    TolerantReader,
    UnreadableError,
    unreadable_is,
)

__all__ = [
    "ABSENT",
    "DEVIATIONS",
    "UNREADABLE_EXT",
    "BidRequest",
    "Device",
    "Imp",
    "Regs",
    "User",
    "decode_request",
    "deviation",
]

ABSENT: Final = msgspec.Raw(b"null")


class ImpExt(msgspec.Struct, frozen=True, gc=False):
    """What exchanges agreed on beside the specification, and where 2.5 kept ``rwdd``."""

    gpid: str | None = None
    rwdd: int | None = None


class Imp(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.4."""

    id: str
    banner: Banner | None = None
    video: Video | None = None
    audio: Audio | None = None
    native: Native | None = None
    bidfloor: Annotated[float | None, LIMIT] = None
    bidfloorcur: Annotated[str | None, LIMIT] = None
    secure: int | None = None
    tagid: str | None = None
    displaymanager: str | None = None
    instl: int | None = None
    pmp: Annotated[Pmp | None, LIMIT] = None
    exp: int | None = None
    rwdd: int | None = None
    qty: Annotated[Qty | None, LIMIT] = None
    ext: ImpExt | None = None

    @property
    def is_rewarded(self) -> bool:
        """Whether people get something for looking (2.6; before, in ``ext``)."""
        return bool(self.rwdd or (self.ext is not None and self.ext.rwdd))

    @property
    def gpid(self) -> str | None:
        """The publisher's own name of the slot, whoever sells it."""
        return self.ext.gpid if self.ext is not None else None

    @property
    def multiplier(self) -> float:
        """Impressions that one showing is; 1 but for screens in public places.

        A bid's price is for a thousand impressions, so one showing costs
        ``price * multiplier / 1000`` (2.6 section 3.2.31).
        """
        qty = self.qty
        return qty.multiplier if qty is not None and qty.multiplier else 1.0


class Device(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.18."""

    ua: str | None = None
    sua: Sua | None = None
    devicetype: int | None = None
    os: str | None = None
    geo: Geo | None = None
    ifa: str | None = None
    lmt: Any = None
    dnt: Any = None


UNREADABLE_DEVICE: Final = Device(lmt="unreadable")
"""In place of one that was sent as something else than an object: it may limit tracking."""


class Uid(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.28."""

    id: str | None = None
    atype: int | None = None


class Eid(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.27."""

    source: str | None = None
    mm: int | None = None
    uids: list[Uid] | None = None


class UserExt(msgspec.Struct, frozen=True, gc=False):
    """Where 2.5 keeps what 2.6 moved into the user."""

    eids: list[Eid] | None = None
    consent: Any = None


class User(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.20."""

    id: str | None = None
    buyeruid: str | None = None
    eids: list[Eid] | None = None
    consent: Any = None
    geo: Geo | None = None
    ext: UserExt | None = None


class RegsExt(msgspec.Struct, frozen=True, gc=False):
    """Where 2.5 keeps what 2.6 moved into the regulations."""

    gdpr: Any = None
    us_privacy: Any = None
    gpp: Any = None
    gpp_sid: Any = None
    gpc: Any = None
    dsa: Dsa | None = None


UNREADABLE_EXT: Final = RegsExt()
"""In place of one that was sent as something else than an object; told by its identity."""


class Regs(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.3."""

    coppa: Any = None
    gdpr: Any = None
    us_privacy: Any = None
    gpp: Any = None
    gpp_sid: Any = None
    ext: Annotated[RegsExt | None, unreadable_is(UNREADABLE_EXT)] = None


UNREADABLE_REGS: Final = Regs(ext=UNREADABLE_EXT)
"""Regulations that were sent as something else than an object: nobody knows what they forbid."""


class BidRequest(msgspec.Struct, frozen=True, gc=False):
    """2.6 section 3.2.1.

    Of ``site``, ``app`` and ``dooh`` there is one at most, and there may be none.
    """

    id: str
    imp: list[Imp]
    site: Site | None = None
    app: App | None = None
    device: Annotated[Device | None, unreadable_is(UNREADABLE_DEVICE)] = None
    user: User | None = None
    regs: Annotated[Regs | None, unreadable_is(UNREADABLE_REGS)] = None
    source: Source | None = None
    at: int | None = None
    tmax: int | None = None
    cur: Annotated[list[str] | None, LIMIT] = None
    bcat: msgspec.Raw = ABSENT
    badv: msgspec.Raw = ABSENT
    bapp: msgspec.Raw = ABSENT
    acat: msgspec.Raw = ABSENT
    cattax: Annotated[int | None, LIMIT] = None
    wseat: msgspec.Raw = ABSENT
    bseat: msgspec.Raw = ABSENT
    wlang: msgspec.Raw = ABSENT
    wlangb: msgspec.Raw = ABSENT
    test: Annotated[int | None, LIMIT] = None
    dooh: Dooh | None = None
    ext: RequestExt | None = None


_strict: Final = msgspec.json.Decoder(BidRequest).decode
_tolerant: Final = TolerantReader(BidRequest)

_IN_IMP: Final = "imp_"
DEVIATIONS: Final = (
    *BidRequest.__struct_fields__,
    *(_IN_IMP + name for name in Imp.__struct_fields__),
)
"""What :func:`deviation` may return."""


def deviation(path: str) -> str:
    """A deviating field as a metric's label: the field of the request, or of its slots."""
    first, _, rest = path.partition(".")
    return _IN_IMP + rest.partition(".")[0] if first == "imp" and rest else first


def _nobody(_: str) -> None:
    """Hears of deviations and says nothing."""


def decode_request(body: bytes, on_deviation: OnDeviation = _nobody) -> BidRequest:
    """Reads a bid request.

    Args:
        body: its JSON.
        on_deviation: told the path of each field that is not of its type.

    Raises:
        MalformedRequestError: not JSON, or no usable ``id`` or ``imp``, or a limit of the whole
            request that cannot be read; the text names the field.
    """
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into strings that it skips
        request = _strict(body)
    except msgspec.ValidationError:
        request = _decode_tolerant(body, on_deviation)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"not JSON: {error}") from error
    if not request.id:
        raise MalformedRequestError("id: empty")
    if not request.imp:
        raise MalformedRequestError("imp: empty")
    return request


def _decode_tolerant(body: bytes, on_deviation: OnDeviation) -> BidRequest:
    try:
        return _tolerant(body, on_deviation)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, UnreadableError) as error:
        raise MalformedRequestError(str(error)) from error
