"""May this request be answered for a person? Asked before anything personal is read.

Closed by default: where a law applies and its consent signal is not decoded, the answer is no.
Signals in conflict: the strictest wins.
"""

from typing import Final

from bidder.openrtb import BidRequest, Device, Regs, RegsExt, User

__all__ = ["personal_use_refused"]

GPP_SECTIONS_THAT_APPLY_NOWHERE: Final = (None, "", -1, 0, "-1", "0")

# The European Economic Area and the United Kingdom; exchanges send either alphabet of ISO 3166.
GDPR_COUNTRIES: Final = frozenset(
    {"AUT", "BEL", "BGR", "HRV", "CYP", "CZE", "DNK", "EST", "FIN", "FRA", "DEU", "GRC",
     "HUN", "IRL", "ITA", "LVA", "LTU", "LUX", "MLT", "NLD", "POL", "PRT", "ROU", "SVK",
     "SVN", "ESP", "SWE", "ISL", "LIE", "NOR", "GBR",
     "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV",
     "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO", "GB"}
)  # fmt: skip

_NO_REGS: Final = Regs()
_NO_EXT: Final = RegsExt()


def personal_use_refused(request: BidRequest) -> str | None:
    """Why no personal data may be used for this request, or None when it may.

    COPPA, lmt and dnt forbid; GDPR forbids until its consent string is decoded; an opt-out from
    sale (US privacy string, Global Privacy Control, a GPP section that applies) forbids. Each is
    read where OpenRTB 2.6 has it and where 2.5 had it.
    """
    device, regs = request.device, request.regs or _NO_REGS
    ext = regs.ext or _NO_EXT
    if device is not None and (_is_set(device.lmt) or _is_set(device.dnt)):
        return "lmt_or_dnt"
    if _is_set(regs.coppa):
        return "coppa"
    if _is_set(regs.gdpr) or _is_set(ext.gdpr):
        return "gdpr_consent_not_decoded"
    if _opted_out(regs.us_privacy) or _opted_out(ext.us_privacy):
        return "us_privacy"
    if _is_set(ext.gpc):
        return "gpc"
    if _applies(regs.gpp_sid) or _applies(ext.gpp_sid):
        return "gpp_not_decoded"
    if regs.gdpr is None and ext.gdpr is None and _gdpr_is_likely(device, request.user):
        return "gdpr_unknown"
    return None


def _is_set(flag: object) -> bool:
    """Whether a flag forbids: only what plainly means 0 does not."""
    return flag not in (None, 0, "0", "")


def _opted_out(us_privacy: object) -> bool:
    """US Privacy v1: the third character Y is an opt-out from sale."""
    if isinstance(us_privacy, str):
        return us_privacy[2:3].upper() == "Y"
    return us_privacy is not None


def _applies(gpp_sid: object) -> bool:
    """Whether a section of the Global Privacy Platform applies; none is decoded yet."""
    sections = gpp_sid if isinstance(gpp_sid, list) else [gpp_sid]
    return any(section not in GPP_SECTIONS_THAT_APPLY_NOWHERE for section in sections)


def _gdpr_is_likely(device: Device | None, user: User | None) -> bool:
    """The policy for requests without a GDPR flag: by consent string and by country."""
    if user is not None and (user.consent or (user.ext is not None and user.ext.consent)):
        return True
    places = [one.geo for one in (device, user) if one is not None and one.geo is not None]
    return any((place.country or "").upper() in GDPR_COUNTRIES for place in places)
