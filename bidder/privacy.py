"""What may be done for this request? Asked before anything personal is read.

Every signal is read where OpenRTB 2.6 has it and where 2.5 had it, and the strictest wins. Closed:
where a law applies and its signal is missing or unreadable, the answer is no.
"""

from functools import lru_cache, partial
from typing import Any, Final, TypeGuard

from bidder.allowed_use import FREE, AllowedUse, Refusal, refused, strictest
from bidder.consent import judge_gpp, judge_tc_string, judge_us_privacy
from bidder.openrtb import UNREADABLE_EXT, BidRequest, Regs, RegsExt, User
from bidder.openrtb_context import Geo
from models.consent_strings import LONGEST_CHARS, Section, TcfVendor

__all__ = ["Privacy"]

UNSET: Final = (None, 0, "0", "")
"""Of a flag: only what plainly means 0 does not forbid."""
NOTHING: Final = (None, "")
NO_SECTIONS: Final = (*UNSET, -1, "-1")
TCF_EUROPE: Final = int(Section.TCF_EUROPE)
UNREADABLE: Final = "?"
"""In place of a string that was sent as something else; no framework reads it."""
UNREADABLE_SECTION: Final = -2
"""Of ``gpp_sid``; no string has such a section."""
MOST_LISTED: Final = 64
"""Sections that a request may list; there are some twenty."""

CACHED: Final = 2_048
"""Strings with their verdicts, of each kind: users send theirs with every request of a session,
and all who accept everything at one publisher on one day send the same."""
FORGET_MS: Final = 60_000
"""A consent string is data about a person: none is kept longer than this after its request."""

GDPR_COUNTRIES: Final = frozenset(
    {"AUT", "BEL", "BGR", "HRV", "CYP", "CZE", "DNK", "EST", "FIN", "FRA", "DEU", "GRC",
     "HUN", "IRL", "ITA", "LVA", "LTU", "LUX", "MLT", "NLD", "POL", "PRT", "ROU", "SVK",
     "SVN", "ESP", "SWE", "ISL", "LIE", "NOR", "GBR",
     "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV",
     "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO", "GB",
     # Regions of these with codes of their own, and Gibraltar.
     "ALA", "GUF", "GLP", "MTQ", "MAF", "REU", "MYT", "GIB",
     "AX", "GF", "GP", "MQ", "MF", "RE", "YT", "GI"}
)  # fmt: skip

_NO_EXT: Final = RegsExt()


class Privacy:
    """Judges requests, and remembers the verdicts on the strings in them for a minute.

    Args:
        vendor: our entry in TCF's Global Vendor List.
    """

    def __init__(self, vendor: TcfVendor) -> None:
        self._judge_tc = lru_cache(CACHED)(partial(judge_tc_string, vendor=vendor))
        self._judge_gpp = lru_cache(CACHED)(partial(judge_gpp, vendor=vendor))
        self._forgot_ms = 0

    def forget_strings(self, now_ms: int) -> None:
        """Forgets the consent strings that were seen, once a minute; call it more often."""
        if now_ms - self._forgot_ms >= FORGET_MS:
            self._forgot_ms = now_ms
            self._judge_tc.cache_clear()
            self._judge_gpp.cache_clear()

    def use_of(self, request: BidRequest) -> AllowedUse:
        """What may be done for this request, and all reasons why not more."""
        device, regs = request.device, request.regs
        use = FREE
        if device is not None and (device.lmt not in UNSET or device.dnt not in UNSET):
            use = refused(Refusal.LMT_OR_DNT)
        if regs is None:
            return self._without_flag(use, request)
        ext = _NO_EXT if regs.ext is None else regs.ext
        if ext is UNREADABLE_EXT:
            use = strictest(use, refused(Refusal.REGS_UNREADABLE))
        if regs.coppa not in UNSET:
            use = strictest(use, refused(Refusal.COPPA))
        if ext.gpc not in UNSET:
            use = strictest(use, refused(Refusal.GPC))
        if regs.us_privacy is not None or ext.us_privacy is not None:
            use = strictest(use, _under_us_privacy(regs, ext))
        has_tcf_section = False
        if regs.gpp is not None or ext.gpp is not None or regs.gpp_sid or ext.gpp_sid:
            applying = _applying(regs, ext)
            has_tcf_section = applying is not None and TCF_EUROPE in applying
            use = strictest(use, self._under_gpp(regs, ext, applying))
        if regs.gdpr not in UNSET or ext.gdpr not in UNSET:
            missing = None if has_tcf_section else Refusal.TCF_MISSING
            return self._under_gdpr(use, request.user, missing)
        if regs.gdpr not in NOTHING or ext.gdpr not in NOTHING:
            return use  # a plain 0
        return self._without_flag(use, request, has_tcf_section=has_tcf_section)

    def _under_gpp(self, regs: Regs, ext: RegsExt, applying: tuple[int, ...] | None) -> AllowedUse:
        if applying == ():
            return FREE
        texts = _strings(regs.gpp, ext.gpp)
        if applying and not texts:
            return refused(Refusal.GPP_MISSING)
        use = FREE
        for text in texts:
            use = strictest(use, self._judge_gpp(text, applying))
        return use

    def _under_gdpr(
        self, use: AllowedUse, user: User | None, missing: Refusal | None
    ) -> AllowedUse:
        """By the TC strings; ``missing`` is the reason where there is none, if that is one."""
        if user is not None and (user.consent is not None or user.ext is not None):
            texts = _strings(user.consent, None if user.ext is None else user.ext.consent)
            for text in texts:
                use = strictest(use, self._judge_tc(text))
            if texts:
                return use
        return use if missing is None else strictest(use, refused(missing))

    def _without_flag(
        self, use: AllowedUse, request: BidRequest, *, has_tcf_section: bool = False
    ) -> AllowedUse:
        """Nobody says whether the GDPR applies, which is not a no: by TC string and country."""
        device, user = request.device, request.user
        missing = None
        if not has_tcf_section and (
            (device is not None and device.geo is not None and _is_under_gdpr(device.geo))
            or (user is not None and user.geo is not None and _is_under_gdpr(user.geo))
        ):
            missing = Refusal.GDPR_UNKNOWN
        if user is None or (user.consent is None and user.ext is None):
            return use if missing is None else strictest(use, refused(missing))
        return self._under_gdpr(use, user, missing)


def _under_us_privacy(regs: Regs, ext: RegsExt) -> AllowedUse:
    only = regs.us_privacy
    if ext.us_privacy is None and isinstance(only, str) and only:
        return judge_us_privacy(only)  # as nearly always
    use = FREE
    for text in _strings(only, ext.us_privacy):
        use = strictest(use, judge_us_privacy(text))
    return use


def _strings(place: object, older: object) -> tuple[str, ...]:
    """What stands in the two places of a string, each once."""
    only = place if older is None else older if place is None else None
    if _is_text(only):
        return (only,)
    found = [text for text in (place, older) if text not in NOTHING]
    return tuple(dict.fromkeys(one if _is_text(one) else UNREADABLE for one in found))


def _is_text(value: object) -> TypeGuard[str]:
    """Whether a value may be a string of some framework; longer ones are not even remembered."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_CHARS


def _applying(regs: Regs, ext: RegsExt) -> tuple[int, ...] | None:
    """The sections that apply; None where nobody lists any, so that all of the string's do."""
    if ext.gpp_sid is None:
        return None if regs.gpp_sid is None else _listed(regs.gpp_sid)
    return (
        _listed(ext.gpp_sid)
        if regs.gpp_sid is None
        else _listed(regs.gpp_sid) + _listed(ext.gpp_sid)
    )


def _listed(gpp_sid: object) -> tuple[int, ...]:
    """Sections, of whatever types they were sent in."""
    if isinstance(gpp_sid, str):
        entries: list[Any] = gpp_sid.split(",")  # as URLs have it
    else:
        entries = gpp_sid if isinstance(gpp_sid, list) else [gpp_sid]
    if len(entries) > MOST_LISTED:
        return (UNREADABLE_SECTION,)
    return tuple([_section(one) for one in entries if one not in NO_SECTIONS])


def _section(entry: object) -> int:
    if type(entry) is int:
        return entry
    if isinstance(entry, float) and entry.is_integer():
        return int(entry)
    if isinstance(entry, str) and entry.isascii() and entry.isdecimal() and len(entry) < 6:
        return int(entry)
    return UNREADABLE_SECTION


def _is_under_gdpr(place: Geo) -> bool:
    return place.country is not None and place.country.upper() in GDPR_COUNTRIES
