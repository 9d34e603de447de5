"""What a consent string allows us: TC strings, GPP and its sections, US Privacy.

Closed: whatever is missing, cut off, of an unknown version or without a clear answer is a refusal.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from bidder.allowed_use import FREE, AllowedUse, Refusal, refused, strictest
from models.consent_strings import (
    RestrictionKind,
    Section,
    TcfVendor,
    TcString,
    UsSection,
    VendorSignals,
    decode_canada_string,
    decode_tc_string,
    decode_us_section,
    is_opted_out,
    sections_of,
)

__all__ = ["judge_gpp", "judge_tc_string", "judge_us_privacy"]

STORAGE, BASIC_ADS, PROFILE, PERSONAL_ADS, MEASUREMENT = 1, 2, 3, 4, 7
"""Purposes of TCF that we rely on, by their numbers."""

CONSENT_ONLY: Final = frozenset({1, 3, 4, 5, 6})
"""Purposes that legitimate interest is no basis for (TCF 2.2)."""

BASES: Final = frozenset({RestrictionKind.REQUIRE_CONSENT, RestrictionKind.REQUIRE_INTEREST})
"""What a publisher may demand that still allows us something."""

MATCH_OFFLINE, LINK_DEVICES = 1, 2
FEATURES_NEEDED: Final = frozenset({MATCH_OFFLINE, LINK_DEVICES})
"""Features of TCF: a person here is CRM records and several devices at once."""

DISCLOSURE_SINCE_MS: Final = int(dt.datetime(2026, 3, 1, tzinfo=dt.UTC).timestamp()) * 1000
"""TC strings made after 28 February 2026 tell which vendors were disclosed (TCF 2.3)."""

OPT_OUTS: Final = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
"""In sections of the United States; the notice that each rests on adds ``Notice`` to the name."""
NOTICES: Final = (
    "SharingNotice", "ProcessingNotice", "SaleOptOutNotice", "SharingOptOutNotice",
    "TargetedAdvertisingOptOutNotice",
)  # fmt: skip
NO_LAW: Final = frozenset({Section.HEADER, Section.INTEGRITY})
FURTHER_USE: Final = ("PersonalDataConsents", "AdditionalDataProcessingConsent")
UNAPPLICABLE, NO = "0", "2"


# -- TCF ----------------------------------------------------------------------------------------


def judge_tc_string(text: str, vendor: TcfVendor) -> AllowedUse:
    """What a TC string allows (OpenRTB 2.6 section 3.2.20).

    Identifiers may be kept for measurement where that and storage are allowed, even if profiles
    are not. A precise place needs special feature 1, which we do not declare.

    Args:
        text: as it was sent.
        vendor: our entry in the Global Vendor List.
    """
    tc = decode_tc_string(text)
    if tc is None:
        return refused(Refusal.TCF_UNREADABLE)
    if not vendor.id:
        return refused(Refusal.TCF_NO_VENDOR_ID)
    if not _is_disclosed(tc, vendor.id):
        return refused(Refusal.TCF_VENDOR)
    signals = tc.said_of(vendor.id)
    allowed = {
        purpose: is_purpose_allowed(signals, purpose, vendor)
        for purpose in (STORAGE, BASIC_ADS, PROFILE, PERSONAL_ADS, MEASUREMENT)
    }
    if not any(allowed.values()):
        return refused(Refusal.TCF_VENDOR)
    return _use_of(_missing_purposes(allowed), vendor)


def _missing_purposes(allowed: dict[int, bool]) -> list[Refusal]:
    checks = (
        (Refusal.TCF_STORAGE, allowed[STORAGE]),
        (Refusal.TCF_BASIC_ADS, allowed[BASIC_ADS]),
        (Refusal.TCF_PROFILES, allowed[PROFILE] and allowed[PERSONAL_ADS]),
        (Refusal.TCF_MEASUREMENT, allowed[MEASUREMENT]),
    )
    return [reason for reason, is_allowed in checks if not is_allowed]


def _use_of(missing: list[Refusal], vendor: TcfVendor) -> AllowedUse:
    if not vendor.features >= FEATURES_NEEDED:
        missing = [*missing, Refusal.TCF_FEATURES]
    may_keep = Refusal.TCF_STORAGE not in missing and Refusal.TCF_MEASUREMENT not in missing
    return AllowedUse(not missing, may_keep, precise_geo=False, refusals=tuple(missing))


def _is_disclosed(tc: TcString, vendor_id: int) -> bool:
    """Whether the user was shown our name; older strings need not tell."""
    if tc.disclosed is None:
        return tc.last_updated_ms < DISCLOSURE_SINCE_MS
    return vendor_id in tc.disclosed


def is_purpose_allowed(signals: VendorSignals, purpose: int, vendor: TcfVendor) -> bool:
    """Whether we may process for a purpose, on the one legal basis that applies.

    That is the basis which we declare, unless the publisher asks for another one: then we follow
    where we declare to be flexible, and may not process where not (TCF, "Publisher
    restrictions"). Since 2.2 purposes 3 to 6 rest on consent alone, as purpose 1 always did.
    """
    on_interest = purpose in vendor.interest_purposes
    demanded = signals.demands.get(purpose)
    if demanded:
        if len(demanded) > 1 or not demanded <= BASES:
            return False
        wants_interest = RestrictionKind.REQUIRE_INTEREST in demanded
        if wants_interest != on_interest and purpose not in vendor.flexible_purposes:
            return False
        on_interest = wants_interest
    if on_interest:
        return purpose not in CONSENT_ONLY and signals.interests[purpose - 1] == "1"
    return signals.consents[purpose - 1] == "1"


def _judge_canada(text: str, vendor: TcfVendor) -> AllowedUse:
    """Canada's section: express consent to everything that we rely on; purpose 1 is not used."""
    canada = decode_canada_string(text)
    if canada is None:
        return refused(Refusal.TCF_UNREADABLE)
    if not vendor.id:
        return refused(Refusal.TCF_NO_VENDOR_ID)
    allowed = {
        purpose: canada.has_consent(purpose, vendor.id)
        for purpose in (BASIC_ADS, PROFILE, PERSONAL_ADS, MEASUREMENT)
    }
    if not any(allowed.values()):
        return refused(Refusal.TCF_VENDOR)
    return _use_of(_missing_purposes({STORAGE: True} | allowed), vendor)


# -- the United States --------------------------------------------------------------------------


def judge_us_privacy(text: str) -> AllowedUse:
    """What a US Privacy string allows: everything, unless the user opted out of sale."""
    opted_out = is_opted_out(text)
    if opted_out is None:
        return refused(Refusal.US_PRIVACY_UNREADABLE)
    return refused(Refusal.US_PRIVACY) if opted_out else FREE


def _judge_us(section: UsSection) -> AllowedUse:
    """What a section of the United States allows.

    Beside opt-outs, what no permission can rest on closes: a notice that was not given, an answer
    to a notice that did not apply, a known child whatever their parents said, a value that the
    section does not define.
    """
    found = []
    if section.is_gpc:
        found.append(Refusal.GPC)
    if _has_opt_out(section):
        found.append(Refusal.GPP_OPT_OUT)
    if not _has_notice(section):
        found.append(Refusal.GPP_NO_NOTICE)
    if section.values("KnownChildSensitiveDataConsents").strip(UNAPPLICABLE):
        found.append(Refusal.GPP_CHILD)
    if _is_for_service_providers(section):
        found.append(Refusal.GPP_SERVICE_PROVIDER)
    if found:
        return AllowedUse(personal=False, ids=False, precise_geo=False, refusals=tuple(found))
    if section.values("SensitiveDataProcessing").strip("02"):
        return AllowedUse(personal=True, ids=True, precise_geo=False)
    return FREE


def _is_for_service_providers(section: UsSection) -> bool:
    older, newer = section.values("MspaServiceProviderMode"), section.values("MspaMode")
    return bool(older.strip("02") or newer.strip("01"))


def _has_opt_out(section: UsSection) -> bool:
    answers = "".join(section.values(name) for name in (*OPT_OUTS, *FURTHER_USE))
    return bool(answers.strip("02"))


def _has_notice(section: UsSection) -> bool:
    if "".join(section.values(name) for name in NOTICES).strip("01"):
        return False
    return not any(
        section.values(name) == NO and section.values(f"{name}Notice") == UNAPPLICABLE
        for name in OPT_OUTS
    )


# -- GPP ----------------------------------------------------------------------------------------


def judge_gpp(text: str, applying: Sequence[int] | None, vendor: TcfVendor) -> AllowedUse:
    """What the sections of a GPP string allow that apply (OpenRTB 2.6 section 3.2.3).

    Args:
        text: the string.
        applying: ids of the sections that apply; None where nobody says, then all in it do.
        vendor: our entry in the Global Vendor List.
    """
    sections = sections_of(text)
    if sections is None:
        return refused(Refusal.GPP_UNREADABLE)
    use = FREE
    for section in sections if applying is None else dict.fromkeys(applying):
        if section in NO_LAW:
            continue
        said = sections.get(section)
        judged = _judge_section(section, said, vendor) if said else refused(Refusal.GPP_MISSING)
        use = strictest(use, judged)
    return use


def _judge_section(section: int, text: str, vendor: TcfVendor) -> AllowedUse:
    if section == Section.TCF_EUROPE:
        return judge_tc_string(text, vendor)
    if section == Section.TCF_CANADA:
        return _judge_canada(text, vendor)
    if section == Section.US_PRIVACY:
        return judge_us_privacy(text)
    known = decode_us_section(section, text)
    return refused(Refusal.GPP_UNKNOWN_SECTION) if known is None else _judge_us(known)
