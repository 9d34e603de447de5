"""Consent strings of the IAB frameworks, read: TCF, TCF Canada, GPP and US Privacy.

Pure, bounded in work by the length of the string, and closed: what is truncated, of an unknown
version or otherwise unreadable is None, which nobody may take for consent.
"""

from models.consent_strings.bits import LONGEST_CHARS
from models.consent_strings.gpp import Section, sections_of
from models.consent_strings.tcf import RestrictionKind, TcString, VendorSignals, decode_tc_string
from models.consent_strings.tcf_canada import CanadaString, decode_canada_string
from models.consent_strings.us_privacy import is_opted_out
from models.consent_strings.us_sections import UsSection, decode_us_section
from models.consent_strings.vendor import TcfVendor
from models.consent_strings.vendor_list import Vendors

__all__ = [
    "LONGEST_CHARS",
    "CanadaString",
    "RestrictionKind",
    "Section",
    "TcString",
    "TcfVendor",
    "UsSection",
    "VendorSignals",
    "Vendors",
    "decode_canada_string",
    "decode_tc_string",
    "decode_us_section",
    "is_opted_out",
    "sections_of",
]
