"""Strings written by IAB's own encoders say to us what they say to IAB's decoders."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from models.consent_strings import (
    Vendors,
    decode_canada_string,
    decode_tc_string,
    decode_us_section,
    is_opted_out,
    sections_of,
)

GOLDEN: Final[dict[str, list[dict[str, Any]]]] = json.loads(
    (Path(__file__).parent / "consent_strings" / "golden.json").read_text()
)
HIGHEST: Final = 1_310
"""Above every vendor in the file."""

TCF: Final = [pytest.param(one, id=one["name"]) for one in GOLDEN["tcf"]]
GPP: Final = [pytest.param(one, id=one["name"]) for one in GOLDEN["gpp"]]
NOT_VALUES: Final = {"string", "Version", "MspaVersion", "Gpc"}


def members(vendors: Vendors | None) -> set[int] | None:
    return None if vendors is None else {id_ for id_ in range(1, HIGHEST) if id_ in vendors}


def within(intervals: list[list[int]] | None) -> set[int] | None:
    if intervals is None:
        return None
    return {one for first, last in intervals for one in range(first, last + 1)}


def numbers(bits: str) -> list[int]:
    return [number for number, bit in enumerate(bits, 1) if bit == "1"]


def test_the_file_has_strings_of_every_kind_and_section() -> None:
    strings = [one["string"] for one in GOLDEN["tcf"]]
    assert len(strings) == 40
    assert any(one["fields"]["restrictions"] for one in GOLDEN["tcf"])
    assert any(one["fields"]["disclosed"] for one in GOLDEN["tcf"])
    found = {int(section) for one in GOLDEN["gpp"] for section in one["sections"]}
    assert found == {2, 5, 6, *range(7, 28)}


@pytest.mark.parametrize("case", TCF)
def test_r3_r4_a_tc_string_is_read_as_its_encoder_meant_it(case: dict[str, Any]) -> None:
    """R3, R4: purposes, vendors in both encodings, restrictions, disclosed vendors."""
    tc, wanted = decode_tc_string(case["string"]), case["fields"]
    assert tc is not None
    assert tc.last_updated_ms == wanted["last_updated_ms"]
    assert tc.cmp_id == wanted["cmp_id"]
    assert tc.vendor_list_version == wanted["vendor_list_version"]
    assert tc.policy_version == wanted["policy_version"]
    assert tc.is_service_specific == wanted["is_service_specific"]
    assert numbers(tc.special_features) == wanted["special_features"]
    assert numbers(tc.purpose_consents) == wanted["purpose_consents"]
    assert numbers(tc.purpose_interests) == wanted["purpose_interests"]
    assert members(tc.vendor_consents) == within(wanted["vendor_consents"])
    assert members(tc.vendor_interests) == within(wanted["vendor_interests"])
    assert members(tc.disclosed) == within(wanted["disclosed"])
    restricted = {(one.purpose, int(one.kind)): members(one.vendors) for one in tc.restrictions}
    assert restricted == {
        (one["purpose"], one["kind"]): within(one["vendors"]) for one in wanted["restrictions"]
    }


@pytest.mark.parametrize("case", TCF)
def test_r3_a_tc_string_that_is_cut_off_anywhere_is_not_read(case: dict[str, Any]) -> None:
    """R3: less than the restrictions, which come last, is no consent string."""
    core = case["string"].partition(".")[0]
    # IAB's encoder fills up to 24 bits, so the last four characters may be nothing but zeros.
    assert [n for n in range(len(core) - 4) if decode_tc_string(core[:n]) is not None] == []


@pytest.mark.parametrize("case", GPP)
def test_r7_a_gpp_string_is_taken_apart_as_its_encoder_put_it_together(
    case: dict[str, Any],
) -> None:
    """R7: the header's section ids, and the sections."""
    wanted = {int(number): said["string"] for number, said in case["sections"].items()}
    assert sections_of(case["string"]) == wanted


@pytest.mark.parametrize("case", GPP)
def test_r7_a_section_of_the_united_states_is_read_as_its_encoder_meant_it(
    case: dict[str, Any],
) -> None:
    """R7, R8: every field of sections 7 to 27, and the Global Privacy Control."""
    for number, said in case["sections"].items():
        if int(number) < 7:
            continue
        section = decode_us_section(int(number), said["string"])
        assert section is not None
        assert section.is_gpc == said.get("Gpc", False)
        fields = said.keys() - NOT_VALUES
        assert section.layout.keys() == fields
        for field in fields:
            values = said[field] if isinstance(said[field], list) else [said[field]]
            assert section.values(field) == "".join(map(str, values)), field


@pytest.mark.parametrize("case", GPP)
def test_r6_r7_us_privacy_and_canada_are_read_out_of_gpp(case: dict[str, Any]) -> None:
    """R6, R7: sections 6 and 5."""
    said = case["sections"].get("6")
    if said is not None:
        assert is_opted_out(said["string"]) == (said["OptOutSale"] == "Y")
    said = case["sections"].get("5")
    if said is not None:
        canada = decode_canada_string(said["string"])
        assert canada is not None
        assert [bit == "1" for bit in canada.express_purposes] == said["PurposesExpressConsent"]
        assert [bit == "1" for bit in canada.implied_purposes] == said["PurposesImpliedConsent"]
        assert members(canada.express_vendors) == within(said["VendorExpressConsent"])
        assert members(canada.implied_vendors) == within(said["VendorImpliedConsent"])


def test_r7_the_european_section_is_a_tc_string() -> None:
    """R7: section 2 holds what stands in ``user.consent`` elsewhere."""
    (case,) = [one for one in GOLDEN["gpp"] if one["name"] == "tcfeuv2"]
    tc = decode_tc_string(case["sections"]["2"]["string"])
    assert tc is not None
    assert members(tc.vendor_consents) == {712}
