"""The privacy signals of a cookie sync, as the bid request that would carry them.

So one judge says what may be done, whichever way a signal comes (OpenRTB 2.6, appendix C).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from bidder.notices.callers import Caller
from bidder.openrtb import BidRequest, Device, Regs, RegsExt, User

__all__ = ["request_of"]

UNREADABLE: Final = "unreadable"
"""In place of a macro that nobody has expanded: a signal that no judge can read."""


def request_of(values: Mapping[str, Sequence[str]], caller: Caller) -> BidRequest:
    """A request that says of its user what the sync does.

    Args:
        values: of the query: ``gdpr``, ``gdpr_consent``, ``us_privacy``, ``gpp``, ``gpp_sid`` (with
            commas), ``gpc``; an empty one counts as absent, and one that contradicts itself as
            unreadable.
        caller: its browser may say ``Sec-GPC`` or ``DNT``.
    """
    sections = [part.strip() for part in _read(values, "gpp_sid").split(",") if part.strip()]
    return BidRequest(
        id="",
        imp=[],
        device=Device(dnt=caller.headers.get("dnt") or None),
        user=User(consent=_read(values, "gdpr_consent") or None),
        regs=Regs(
            gdpr=_read(values, "gdpr") or None,
            us_privacy=_read(values, "us_privacy") or None,
            gpp=_read(values, "gpp") or None,
            gpp_sid=sections or None,
            ext=RegsExt(gpc=_global_control(_read(values, "gpc"), caller)),
        ),
    )


def _global_control(told: str, caller: Caller) -> str | None:
    """The browser's own word, unless it says nothing: no parameter takes its opt-out back."""
    said = caller.headers.get("sec-gpc", "")
    return (said if said not in ("", "0") else told or said) or None


def _read(values: Mapping[str, Sequence[str]], name: str) -> str:
    told = set(values.get(name, ())) - {""}
    text = UNREADABLE if len(told) > 1 else next(iter(told), "")
    return UNREADABLE if "${" in text or text.startswith("[") else text
