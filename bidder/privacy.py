"""May this request be answered for a person? Asked before anything personal is read.

Closed by default: where a law applies and its consent signal is not decoded, the answer is no.
Signals in conflict: the strictest wins (OPENRTB section 9).
"""

from bidder.openrtb import BidRequest

__all__ = ["personal_use_refused"]

GPP_SECTIONS_THAT_APPLY_NOWHERE = frozenset({-1, 0})


def personal_use_refused(request: BidRequest) -> str | None:
    """Why no personal data may be used for this request, or None when it may.

    COPPA, lmt and dnt forbid; GDPR forbids until its consent string is decoded; an opt-out from
    sale (US privacy string, Global Privacy Control, a GPP section that applies) forbids.
    """
    device, regs = request.device, request.regs
    if device is not None and (device.lmt or device.dnt):
        return "lmt_or_dnt"
    if regs is None:
        return None
    if regs.coppa:
        return "coppa"
    ext = regs.ext
    if regs.gdpr or (ext is not None and ext.gdpr):
        return "gdpr_consent_not_decoded"
    if _opted_out(regs.us_privacy) or (ext is not None and _opted_out(ext.us_privacy)):
        return "us_privacy"
    if ext is not None and str(ext.gpc) == "1":
        return "gpc"
    if any(sid not in GPP_SECTIONS_THAT_APPLY_NOWHERE for sid in regs.gpp_sid or ()):
        return "gpp_not_decoded"
    return None


def _opted_out(us_privacy: str | None) -> bool:
    """US Privacy v1: the third character Y is an opt-out from sale."""
    return us_privacy is not None and us_privacy[2:3].upper() == "Y"
