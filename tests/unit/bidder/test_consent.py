"""What consent strings allow: purposes, bases, restrictions, opt-outs; closed where unclear."""

import datetime as dt
import time
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.allowed_use import FREE, AllowedUse, Refusal, refused, strictest
from bidder.consent import judge_gpp, judge_tc_string, judge_us_privacy
from models.consent_strings import TcfVendor
from models.consent_strings.us_sections import US_SECTIONS, decode_us_section
from tests.fakes.consent_strings import (
    Restricted,
    Told,
    canada_string,
    gpp_string,
    tc_string,
    us_section,
)

WE: Final = TcfVendor(id=712, features=frozenset({1, 2}))
FLEXIBLE: Final = msgspec.structs.replace(
    WE, interest_purposes=frozenset({2, 7}), flexible_purposes=frozenset({2, 7})
)
NO, CONSENT, INTEREST, UNDEFINED = 0, 1, 2, 3
US: Final = ((710, 715),)


def tcf(vendor: TcfVendor = WE, **told: object) -> AllowedUse:
    return judge_tc_string(tc_string(msgspec.structs.replace(Told(), **told)), vendor)


def without(*purposes: int) -> list[int]:
    return [one for one in range(1, 12) if one not in purposes]


# -- TCF ----------------------------------------------------------------------------------------


def test_r3_consent_to_all_that_we_rely_on_allows_personal_data_but_no_precise_place() -> None:
    """R3: purposes 1, 2, 3, 4 and 7; special feature 1 is not ours, even where opted in."""
    use = AllowedUse(personal=True, ids=True, precise_geo=False)
    assert tcf(consents=[1, 2, 3, 4, 7], interests=[]) == use
    assert tcf(special_features=[1, 2]) == use


@pytest.mark.parametrize(
    ("purpose", "reason", "ids"),
    [
        (1, Refusal.TCF_STORAGE, False),
        (2, Refusal.TCF_BASIC_ADS, True),
        (3, Refusal.TCF_PROFILES, True),
        (4, Refusal.TCF_PROFILES, True),
        (7, Refusal.TCF_MEASUREMENT, False),
    ],
)
def test_r3_each_purpose_is_needed(purpose: int, reason: Refusal, ids: bool) -> None:
    """R3: and legitimate interest replaces none of them unless we declare it."""
    use = tcf(consents=without(purpose))
    assert use == AllowedUse(personal=False, ids=ids, precise_geo=False, refusals=(reason,))


@pytest.mark.parametrize("purpose", [5, 6, 8, 9, 10, 11])
def test_r3_purposes_that_we_do_not_rely_on_are_not_asked_for(purpose: int) -> None:
    """R3: the purposes that the bidder uses, not all that there are."""
    assert tcf(consents=without(purpose)).personal


@pytest.mark.parametrize("told", [{"vendors": [711, 713]}, {"consents": []}, {"vendors": []}])
def test_r3_without_consent_to_us_nothing_is_allowed(told: dict[str, Any]) -> None:
    """R3: the vendor as well as the purposes."""
    assert tcf(**told) == refused(Refusal.TCF_VENDOR)


def test_r3_while_we_are_no_vendor_nobody_consents_to_us() -> None:
    """R3: without an id there is nothing to consent to."""
    assert tcf(TcfVendor()) == refused(Refusal.TCF_NO_VENDOR_ID)


@pytest.mark.parametrize(
    "text", ["", "CPX", "gdprConsentString", "BOPVK28OPVK28ABABAENA8-AAAADkCNQ"]
)
def test_r3_an_unreadable_string_is_no_consent(text: str) -> None:
    """R3: version 1 and junk alike."""
    assert judge_tc_string(text, WE) == refused(Refusal.TCF_UNREADABLE)


@pytest.mark.parametrize("features", [(), (1,), (2,), (3,)])
def test_r4_matching_and_linking_devices_must_be_declared(features: tuple[int, ...]) -> None:
    """R4: a person here is CRM records and several devices, so without both nobody is looked up."""
    use = tcf(msgspec.structs.replace(WE, features=frozenset(features)))
    assert (use.personal, use.refusals) == (False, (Refusal.TCF_FEATURES,))


@pytest.mark.parametrize("purpose", [2, 7])
def test_r4_a_purpose_that_we_declare_on_legitimate_interest_rests_on_that_alone(
    purpose: int,
) -> None:
    """R4: consent is no substitute for a basis that the user objected to."""
    assert tcf(FLEXIBLE, consents=without(2, 7)).personal
    assert not tcf(FLEXIBLE, interests=without(purpose)).personal
    assert not tcf(FLEXIBLE, vendor_interests=[]).personal


@pytest.mark.parametrize("purpose", [1, 3, 4])
def test_r4_purposes_3_to_6_and_1_rest_on_consent_alone(purpose: int) -> None:
    """R4: TCF 2.2; whatever our settings say, and whatever the publisher demands."""
    wrong = msgspec.structs.replace(
        WE, interest_purposes=frozenset({purpose}), flexible_purposes=frozenset({purpose})
    )
    assert not tcf(wrong).personal
    demand = Restricted(purpose, INTEREST, US)
    flexible = msgspec.structs.replace(WE, flexible_purposes=frozenset({purpose}))
    assert not tcf(flexible, restrictions=[demand]).personal


@pytest.mark.parametrize("purpose", [1, 2, 3, 4, 7])
def test_r4_what_the_publisher_forbids_us_is_forbidden(purpose: int) -> None:
    """R4: restrictions override consent; those of other vendors and purposes do not concern us."""
    assert not tcf(restrictions=[Restricted(purpose, NO, US)]).personal
    assert tcf(restrictions=[Restricted(purpose, NO, ((1, 711), (713, 65_535)))]).personal
    assert tcf(restrictions=[Restricted(5, NO, US), Restricted(9, NO, US)]).personal


@pytest.mark.parametrize(
    ("vendor", "kind", "told", "personal"),
    [
        # Declared on consent, and not flexible.
        (WE, CONSENT, {}, True),
        (WE, CONSENT, {"consents": without(2)}, False),
        (WE, INTEREST, {}, False),
        (WE, UNDEFINED, {}, False),
        # Declared on legitimate interest, and flexible.
        (FLEXIBLE, INTEREST, {"consents": without(2)}, True),
        (FLEXIBLE, CONSENT, {"consents": without(2)}, False),
        (FLEXIBLE, CONSENT, {"interests": without(2)}, True),
        # Declared on legitimate interest, not flexible: the publisher's basis is not ours.
        (msgspec.structs.replace(FLEXIBLE, flexible_purposes=frozenset()), CONSENT, {}, False),
        (msgspec.structs.replace(FLEXIBLE, flexible_purposes=frozenset()), INTEREST, {}, True),
    ],
)
def test_r4_a_demanded_basis_is_followed_where_we_are_flexible_and_forbids_where_not(
    vendor: TcfVendor, kind: int, told: dict[str, Any], personal: bool
) -> None:
    """R4: publisher restrictions override."""
    assert tcf(vendor, restrictions=[Restricted(2, kind, US)], **told).personal == personal


def test_r4_two_demands_that_contradict_each_other_forbid() -> None:
    """R4, R10: the strictest reading."""
    both = [Restricted(2, CONSENT, US), Restricted(2, INTEREST, US)]
    assert not tcf(FLEXIBLE, restrictions=both).personal


def test_r3_who_was_not_disclosed_has_no_consent() -> None:
    """R3: the segment tells; from March 2026 on a string without it is none (TCF 2.3)."""
    march_ms = int(dt.datetime(2026, 3, 1, tzinfo=dt.UTC).timestamp()) * 1000
    assert tcf(disclosed=[1, 712]).personal
    assert tcf(disclosed=[1, 711]) == refused(Refusal.TCF_VENDOR)
    assert tcf(disclosed=None, updated_ms=march_ms - 100).personal
    assert tcf(disclosed=None, updated_ms=march_ms) == refused(Refusal.TCF_VENDOR)
    assert tcf(disclosed=[712], updated_ms=march_ms).personal


# -- the United States --------------------------------------------------------------------------


def us(section: int, **values: str) -> AllowedUse:
    """A section in which notices were given and nobody opted out, but for ``values``."""
    version = 2 if section == 7 else 1
    blank = decode_us_section(section, us_section("0" * 60, version=version))
    assert blank is not None
    digits = ""
    for field, place in blank.layout.items():
        usual = "1" if field.endswith("Notice") else "2" if field.endswith("OptOut") else "0"
        digits += values.get(field, usual * (place.stop - place.start))
    text = gpp_string({section: us_section(digits, version=version)})
    return judge_gpp(text, [section], WE)


def fields_of(*names: str) -> list[tuple[int, str]]:
    """Every section with each of these fields that it has."""
    found = []
    for section in sorted(US_SECTIONS):
        blank = decode_us_section(section, us_section("0" * 60))
        assert blank is not None
        found += [(section, name) for name in names if name in blank.layout]
    return found


OPT_OUTS: Final = fields_of("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
NOTICES: Final = fields_of(
    "SharingNotice", "ProcessingNotice", "SaleOptOutNotice", "SharingOptOutNotice",
    "TargetedAdvertisingOptOutNotice",
)  # fmt: skip


@pytest.mark.parametrize("section", sorted(US_SECTIONS))
def test_r7_a_section_in_which_nobody_opted_out_allows_everything(section: int) -> None:
    """R7: 7 is the nation's, 8 to 27 are the states'."""
    assert us(section) is FREE


@pytest.mark.parametrize(("section", "field"), OPT_OUTS)
@pytest.mark.parametrize("value", ["1", "3"])
def test_r7_an_opt_out_forbids_whichever_it_is(section: int, field: str, value: str) -> None:
    """R7: sale, sharing, targeted advertising; an undefined value counts as one."""
    assert us(section, **{field: value}) == refused(Refusal.GPP_OPT_OUT)


@pytest.mark.parametrize(("section", "field"), NOTICES)
@pytest.mark.parametrize("value", ["2", "3"])
def test_r7_without_notice_there_is_no_permission(section: int, field: str, value: str) -> None:
    """R7: nobody can leave an opt-out unused that they were not told of."""
    assert us(section, **{field: value}) == refused(Refusal.GPP_NO_NOTICE)


@pytest.mark.parametrize(("section", "field"), OPT_OUTS)
def test_r7_an_answer_to_a_notice_that_does_not_apply_is_not_believed(
    section: int, field: str
) -> None:
    """R7: not opted out of what nobody was told of; where neither applies, nothing is said."""
    assert us(section, **{f"{field}Notice": "0"}) == refused(Refusal.GPP_NO_NOTICE)
    assert us(section, **{f"{field}Notice": "0", field: "0"}).personal


@pytest.mark.parametrize(
    ("section", "field"), fields_of("PersonalDataConsents", "AdditionalDataProcessingConsent")
)
def test_r7_a_refused_consent_to_further_use_forbids(section: int, field: str) -> None:
    """R7: profiles of other advertisers' ads are such a use."""
    assert us(section, **{field: "1"}) == refused(Refusal.GPP_OPT_OUT)
    assert us(section, **{field: "2"}) is FREE


CHILDREN: Final = fields_of("KnownChildSensitiveDataConsents")


@pytest.mark.parametrize(("section", "field"), CHILDREN)
def test_r7_a_known_child_gets_no_personal_ad_whoever_consented(section: int, field: str) -> None:
    """R7, R1: any value but 0 says that the user is known to be a child."""
    blank = decode_us_section(section, us_section("0" * 60, version=2 if section == 7 else 1))
    assert blank is not None
    count = len(blank.values(field))
    for place in range(count):
        for value in "123":
            ages = "0" * place + value + "0" * (count - place - 1)
            assert us(section, **{field: ages}) == refused(Refusal.GPP_CHILD)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [(section, name, "1") for section, name in fields_of("MspaServiceProviderMode")]
    + [(section, name, "2") for section, name in fields_of("MspaMode")],
)
def test_r7_a_publishers_service_provider_may_not_use_own_profiles(
    section: int, field: str, value: str
) -> None:
    """R7: in that mode we would work for the publisher alone."""
    assert us(section, **{field: value}) == refused(Refusal.GPP_SERVICE_PROVIDER)


def test_r7_a_refused_use_of_sensitive_data_closes_the_precise_place_alone() -> None:
    """R7: a precise place is sensitive data in these laws; other sensitive data are not used."""
    use = us(7, SensitiveDataProcessing="0" * 7 + "1" + "0" * 8)
    assert use == AllowedUse(personal=True, ids=True, precise_geo=False)


@pytest.mark.parametrize("section", sorted(US_SECTIONS - {25, 26, 27}))
def test_r8_the_global_privacy_control_in_a_section_forbids(section: int) -> None:
    """R8, R7: the subsection of the control."""
    digits = "0" * 60
    for gpc, use in ((True, refused(Refusal.GPC)), (False, FREE)):
        text = gpp_string({section: us_section(digits, gpc=gpc)})
        assert judge_gpp(text, [section], WE) == use


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("1YNN", FREE),
        ("1---", FREE),
        ("1YYN", refused(Refusal.US_PRIVACY)),
        ("uspConsentString", refused(Refusal.US_PRIVACY_UNREADABLE)),
    ],
)
def test_r6_us_privacy_alone_and_as_a_section_say_the_same(text: str, use: AllowedUse) -> None:
    """R6, R7: section 6 is the same string."""
    assert judge_us_privacy(text) == use
    assert judge_gpp(gpp_string({6: text}), [6], WE) == use


# -- GPP ----------------------------------------------------------------------------------------

EVERYTHING: Final = {
    2: tc_string(), 5: canada_string(), 6: "1YNN",
    7: us_section("1111112222" + "0" * 24, version=2), 8: us_section("11122" + "0" * 18),
}  # fmt: skip
NOTHING: Final = {
    2: tc_string(Told(consents=[])), 5: canada_string([]), 6: "1YYN",
    7: us_section("1111111111" + "0" * 24, version=2), 8: us_section("11111" + "0" * 18),
}  # fmt: skip


@pytest.mark.parametrize("section", sorted(EVERYTHING))
def test_r7_only_the_sections_that_are_listed_apply(section: int) -> None:
    """R7: what another section says is nothing to this user."""
    mixed = NOTHING | {section: EVERYTHING[section]}
    assert judge_gpp(gpp_string(mixed), [section], WE).personal
    mixed = EVERYTHING | {section: NOTHING[section]}
    others = [one for one in mixed if one != section]
    assert judge_gpp(gpp_string(mixed), others, WE).personal
    assert not judge_gpp(gpp_string(mixed), [*others, section], WE).personal


def test_r7_the_header_and_the_signals_integrity_are_no_laws_and_forbid_nothing() -> None:
    """R7: a list need not name them (OpenRTB 2.6 section 3.2.3), and may."""
    text = gpp_string({4: "AA", 7: EVERYTHING[7]})
    assert judge_gpp(text, [3, 4, 7], WE) is FREE
    assert judge_gpp(text, None, WE) is FREE
    assert judge_gpp(gpp_string({7: NOTHING[7]}), [3, 4, 7], WE) == refused(Refusal.GPP_OPT_OUT)


def test_r7_a_section_that_is_listed_often_is_judged_once() -> None:
    """R7: a list must not multiply the work for a long string."""
    long = tc_string(Told(restrictions=[Restricted(1, 0, ())] * 2_000, disclosed=None))
    started = time.process_time()
    assert judge_gpp(gpp_string({2: long}), [2] * 10_000, WE).personal
    assert time.process_time() - started < 0.1


def test_r7_where_nobody_lists_any_all_sections_apply() -> None:
    """R7, R10: what is unknown is read as the strictest."""
    assert judge_gpp(gpp_string(EVERYTHING), None, WE).personal
    for section, said in NOTHING.items():
        assert not judge_gpp(gpp_string(EVERYTHING | {section: said}), None, WE).personal


@pytest.mark.parametrize(
    ("text", "sections", "reason"),
    [
        (gpp_string({7: EVERYTHING[7]}), [8], Refusal.GPP_MISSING),
        (gpp_string({7: EVERYTHING[7]}), [-2], Refusal.GPP_MISSING),
        ("DBAA", [7], Refusal.GPP_MISSING),
        ("gppString", [7], Refusal.GPP_UNREADABLE),
        (gpp_string({28: us_section("0" * 60)}), [28], Refusal.GPP_UNKNOWN_SECTION),
        (gpp_string({1: "BOPVK28OPVK28ABABAENA8"}), [1], Refusal.GPP_UNKNOWN_SECTION),
        (gpp_string({7: "CAA"}), [7], Refusal.GPP_UNKNOWN_SECTION),
        (gpp_string({2: "CAA"}), [2], Refusal.TCF_UNREADABLE),
        (gpp_string({5: "BAA"}), [5], Refusal.TCF_UNREADABLE),
    ],
)
def test_r7_a_section_that_is_missing_unknown_or_broken_is_closed(
    text: str, sections: list[int], reason: Refusal
) -> None:
    """R7, R3: and each has its name."""
    assert judge_gpp(text, sections, WE) == refused(reason)


def test_r7_canada_needs_express_consent_to_all_that_we_rely_on() -> None:
    """R7, R4: purpose 1 does not exist there."""

    def judged(*args: object, vendor: TcfVendor = WE) -> AllowedUse:
        return judge_gpp(gpp_string({5: canada_string(*args)}), [5], vendor)  # type: ignore[arg-type]

    assert judged([2, 3, 4, 7]) == AllowedUse(personal=True, ids=True, precise_geo=False)
    assert judged([3, 4, 7]).refusals == (Refusal.TCF_BASIC_ADS,)
    assert judged([2, 3, 7]).refusals == (Refusal.TCF_PROFILES,)
    assert judged([2, 3, 4]).refusals == (Refusal.TCF_MEASUREMENT,)
    assert judged([2, 3, 4, 7], [711]).refusals == (Refusal.TCF_VENDOR,)
    assert judged(vendor=TcfVendor()).refusals == (Refusal.TCF_NO_VENDOR_ID,)
    assert judged(vendor=TcfVendor(id=712)).refusals == (Refusal.TCF_FEATURES,)


# -- all together -------------------------------------------------------------------------------

USES = st.builds(
    AllowedUse,
    personal=st.booleans(),
    ids=st.booleans(),
    precise_geo=st.booleans(),
    refusals=st.lists(st.sampled_from(Refusal), unique=True).map(tuple),
)


@given(USES, USES)
def test_r10_of_two_verdicts_only_what_both_allow_is_allowed_and_every_reason_stays(
    one: AllowedUse, other: AllowedUse
) -> None:
    """R10: the strictest wins, in whichever order."""
    both = strictest(one, other)
    for right in ("personal", "ids", "precise_geo"):
        assert getattr(both, right) == (getattr(one, right) and getattr(other, right))
    assert set(both.refusals) == {*one.refusals, *other.refusals}
    assert len(both.refusals) == len(set(both.refusals))
    assert strictest(one, FREE) == one == strictest(FREE, one)


@given(st.text(max_size=80), st.none() | st.lists(st.integers(-3, 40), max_size=4))
def test_r3_r7_junk_never_raises_and_allows_nothing(text: str, sections: list[int] | None) -> None:
    """R3, R7: whatever exchanges send."""
    assert not judge_tc_string(text, WE).personal
    if sections:
        assert not judge_gpp(text, sections, WE).personal
    judge_gpp(text, sections, WE)
    judge_us_privacy(text)
