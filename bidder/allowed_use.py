"""What may be done with data about a request's user, and the named reasons why not more."""

import enum
from typing import Final

import msgspec

__all__ = ["FREE", "AllowedUse", "Refusal", "refused", "strictest"]


class Refusal(enum.Enum):
    """Why less than everything is allowed; the value is the metric's label."""

    COPPA = "coppa"
    LMT_OR_DNT = "lmt_or_dnt"
    REGS_UNREADABLE = "regs_unreadable"
    GDPR_UNKNOWN = "gdpr_unknown"
    TCF_MISSING = "tcf_missing"
    TCF_UNREADABLE = "tcf_unreadable"
    TCF_NO_VENDOR_ID = "tcf_no_vendor_id"
    TCF_VENDOR = "tcf_vendor"
    TCF_STORAGE = "tcf_storage"
    TCF_BASIC_ADS = "tcf_basic_ads"
    TCF_PROFILES = "tcf_profiles"
    TCF_MEASUREMENT = "tcf_measurement"
    TCF_FEATURES = "tcf_features"
    US_PRIVACY = "us_privacy"
    US_PRIVACY_UNREADABLE = "us_privacy_unreadable"
    GPC = "gpc"
    GPP_MISSING = "gpp_missing"
    GPP_UNREADABLE = "gpp_unreadable"
    GPP_UNKNOWN_SECTION = "gpp_unknown_section"
    GPP_OPT_OUT = "gpp_opt_out"
    GPP_NO_NOTICE = "gpp_no_notice"
    GPP_CHILD = "gpp_child"
    GPP_SERVICE_PROVIDER = "gpp_service_provider"


class AllowedUse(msgspec.Struct, frozen=True):
    """What may be done for one request.

    Attributes:
        personal: the person may be looked up, and what is known of them used: profile, CRM, other
            devices, caps under their name.
        ids: identifiers may be kept: in notices, receipts, logs and match tables.
        precise_geo: a place more exact than a region may be used.
        refusals: why not more.
    """

    personal: bool
    ids: bool
    precise_geo: bool
    refusals: tuple[Refusal, ...] = ()


FREE: Final = AllowedUse(personal=True, ids=True, precise_geo=True)

_REFUSED: Final = {
    one: AllowedUse(personal=False, ids=False, precise_geo=False, refusals=(one,))
    for one in Refusal
}


def refused(reason: Refusal) -> AllowedUse:
    """Nothing is allowed, for one reason."""
    return _REFUSED[reason]


def strictest(one: AllowedUse, other: AllowedUse) -> AllowedUse:
    """What both allow, and every reason once."""
    if one is FREE:
        return other
    if other is FREE:
        return one
    return AllowedUse(
        personal=one.personal and other.personal,
        ids=one.ids and other.ids,
        precise_geo=one.precise_geo and other.precise_geo,
        refusals=tuple(dict.fromkeys(one.refusals + other.refusals)),
    )
