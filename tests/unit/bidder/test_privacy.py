"""Privacy: asked before anything personal is read, and closed where a signal is unclear."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.allowed_use import FREE, AllowedUse, Refusal
from bidder.privacy import CACHED, FORGET_MS, Privacy
from models.consent_strings import LONGEST_CHARS, TcfVendor
from tests.fakes.consent_strings import Told, gpp_string, tc_string, us_section
from tests.unit.bidder.support import bid_request

WE: Final = TcfVendor(id=712, features=frozenset({1, 2}))

CONSENT: Final = tc_string()
NO_CONSENT: Final = tc_string(Told(consents=[]))
US_CONSENT: Final = gpp_string({7: us_section("1111112222" + "0" * 24, version=2)})
US_OPT_OUT: Final = gpp_string({7: us_section("1111112122" + "0" * 24, version=2)})

UNDER_GDPR: Final = AllowedUse(personal=True, ids=True, precise_geo=False)


def use(**fields: object) -> AllowedUse:
    return Privacy(WE).use_of(bid_request(**fields))


def reasons(**fields: object) -> set[Refusal]:
    return set(use(**fields).refusals)


def test_without_any_signal_everything_is_allowed() -> None:
    """R5: elsewhere."""
    assert use() is FREE
    assert use(device={}, user={}, regs={"ext": {}}) is FREE
    assert use(device={"geo": {}}, user={"geo": {}, "ext": {}}, regs={}) is FREE


@pytest.mark.parametrize("value", ["coppa", 1, [{"coppa": 1, "gdpr": 1, "lmt": 1}], True])
def test_signals_in_what_is_no_object_forbid_everything(value: object) -> None:
    """R1, R2, R9, P4: the request is read all the same; what it forbids, nobody knows."""
    assert reasons(regs=value) == {Refusal.REGS_UNREADABLE}
    assert reasons(regs={"ext": value, "gdpr": 0}) == {Refusal.REGS_UNREADABLE}
    assert reasons(device=value) == {Refusal.LMT_OR_DNT}
    assert not use(regs=value).personal
    assert not use(regs=value).ids


@pytest.mark.parametrize("value", ["", [], {}, None, [None]])
def test_what_means_nothing_in_place_of_an_object_is_as_if_it_were_absent(value: object) -> None:
    """P2."""
    assert use(regs=value) is FREE
    assert use(regs={"ext": value}, device=value) is FREE


# -- flags --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [1, "1", True, 1.0, "yes", [], 7])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("R1 coppa", lambda flag: {"regs": {"coppa": flag}}),
        ("R2 gdpr, 2.6", lambda flag: {"regs": {"gdpr": flag}}),
        ("R2 gdpr, 2.5", lambda flag: {"regs": {"ext": {"gdpr": flag}}}),
        ("R8 gpc", lambda flag: {"regs": {"ext": {"gpc": flag}}}),
        ("R9 lmt", lambda flag: {"device": {"lmt": flag}}),
        ("R9 dnt", lambda flag: {"device": {"dnt": flag}}),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_r1_r2_r8_r9_a_flag_that_does_not_plainly_say_0_forbids_everything(
    flag: object, name: str, place: Callable[[object], dict[str, object]]
) -> None:
    """R1, R2, R8, R9: no look-up, no identifiers kept, no precise place."""
    found = use(**place(flag))
    assert (found.personal, found.ids, found.precise_geo) == (False, False, False), name
    assert len(found.refusals) == 1


@pytest.mark.parametrize("flag", [0, "0", False, 0.0, "", None])
def test_flags_that_say_0_or_nothing_do_not_forbid(flag: object) -> None:
    """R1, R2, R8, R9: where no other signal does."""
    regs = {"coppa": flag, "gdpr": flag, "ext": {"gdpr": flag, "gpc": flag}}
    assert use(regs=regs, device={"lmt": flag, "dnt": flag}) is FREE


# -- GDPR ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flag", [{"gdpr": 1}, {"ext": {"gdpr": 1}}, {"gdpr": 1, "ext": {"gdpr": 1}}]
)
@pytest.mark.parametrize(
    "place", [lambda text: {"consent": text}, lambda text: {"ext": {"consent": text}}]
)
def test_r2_r3_under_the_gdpr_the_consent_string_decides_wherever_it_stands(
    flag: dict[str, Any], place: Callable[[object], dict[str, object]]
) -> None:
    """R2, R3: flag and string each in its 2.6 or its 2.5 place."""
    assert use(regs=flag, user=place(CONSENT)) == UNDER_GDPR
    assert reasons(regs=flag, user=place(NO_CONSENT)) == {Refusal.TCF_VENDOR}
    assert reasons(regs=flag, user=place("consent")) == {Refusal.TCF_UNREADABLE}
    for nothing in (None, ""):
        assert reasons(regs=flag, user=place(nothing)) == {Refusal.TCF_MISSING}


def test_r3_under_the_gdpr_a_request_without_a_user_has_no_consent() -> None:
    """R3: a missing string is no consent."""
    assert reasons(regs={"gdpr": 1}) == {Refusal.TCF_MISSING}


@pytest.mark.parametrize("text", [12, True, {}, ["CPX"], {"a": [1]}])
def test_r3_a_consent_string_of_another_type_is_not_taken_for_absent(text: object) -> None:
    """R3, R5: with the flag and without it."""
    assert reasons(regs={"gdpr": 1}, user={"consent": text}) == {Refusal.TCF_UNREADABLE}
    assert reasons(user={"consent": text}) == {Refusal.TCF_UNREADABLE}


@pytest.mark.parametrize("country", ["DEU", "DE", "deu", "FRA", "GBR", "NO", "IRL", "REU"])
@pytest.mark.parametrize("holder", ["device", "user"])
def test_r5_an_absent_gdpr_flag_is_not_read_as_0_where_the_gdpr_applies(
    country: str, holder: str
) -> None:
    """R5: by country; an empty flag is an absent one."""
    there = {holder: {"geo": {"country": country}}}
    assert reasons(**there) == {Refusal.GDPR_UNKNOWN}
    assert reasons(regs={"gdpr": "", "ext": {"gdpr": None}}, **there) == {Refusal.GDPR_UNKNOWN}
    # The exchange knows where the user is; what it says plainly counts.
    assert use(regs={"gdpr": 0}, **there) is FREE
    assert use(regs={"ext": {"gdpr": "0"}}, **there) is FREE


@pytest.mark.parametrize("country", ["DEU", "USA", None])
def test_r5_a_consent_string_without_a_flag_decides_as_if_the_gdpr_applied(
    country: str | None,
) -> None:
    """R5: nobody sends one where it does not."""
    device = {"geo": {"country": country}}
    assert use(device=device, user={"consent": CONSENT}) == UNDER_GDPR
    assert reasons(device=device, user={"ext": {"consent": NO_CONSENT}}) == {Refusal.TCF_VENDOR}
    assert reasons(device=device, user={"consent": "CPX"}) == {Refusal.TCF_UNREADABLE}


@pytest.mark.parametrize("country", ["USA", "US", "CAN", "", None])
def test_r5_elsewhere_an_absent_flag_does_not_forbid(country: str | None) -> None:
    """R5: by country."""
    assert use(device={"geo": {"country": country}}, user={"geo": {}}) is FREE


def test_r5_a_plain_0_makes_a_consent_string_immaterial() -> None:
    """R5, R2: the GDPR does not apply."""
    assert use(regs={"gdpr": 0}, user={"consent": "XYZ"}) is FREE


# -- the United States --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1YYN", Refusal.US_PRIVACY),
        ("1yyn", Refusal.US_PRIVACY),
        ("1YNN", None),
        ("1---", None),
        ("1Y", Refusal.US_PRIVACY_UNREADABLE),
        ("{invalid}", Refusal.US_PRIVACY_UNREADABLE),
        (12, Refusal.US_PRIVACY_UNREADABLE),
        ([], Refusal.US_PRIVACY_UNREADABLE),
        ("", None),
        (None, None),
    ],
)
def test_r6_the_third_character_y_is_an_opt_out_from_sale(
    text: object, reason: Refusal | None
) -> None:
    """R6: in both places; what cannot be read forbids."""
    wanted = set() if reason is None else {reason}
    assert reasons(regs={"us_privacy": text}) == wanted
    assert reasons(regs={"ext": {"us_privacy": text}}) == wanted


@pytest.mark.parametrize(
    "sections", [[7], ["7"], 7, "7", [7.0], "7,-1", [7, -1], [0, 7, None, "-1"], [7, 7]]
)
@pytest.mark.parametrize("place", [lambda regs: regs, lambda regs: {"ext": regs}])
def test_r7_a_listed_section_decides_however_the_list_was_sent(
    sections: object, place: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    """R7: in the 2.6 place and in the 2.5 one, of whatever types."""
    assert use(regs=place({"gpp": US_CONSENT, "gpp_sid": sections})) is FREE
    told = reasons(regs=place({"gpp": US_OPT_OUT, "gpp_sid": sections}))
    assert told == {Refusal.GPP_OPT_OUT}
    assert reasons(regs=place({"gpp_sid": sections})) == {Refusal.GPP_MISSING}
    assert reasons(regs=place({"gpp": 12, "gpp_sid": sections})) == {Refusal.GPP_UNREADABLE}


@pytest.mark.parametrize("sections", [[], [0], [-1], ["-1"], [None], "", "0", -1, 0])
def test_r7_a_list_that_says_that_nothing_applies_makes_the_string_immaterial(
    sections: object,
) -> None:
    """R7: only listed sections apply."""
    assert use(regs={"gpp": US_OPT_OUT, "gpp_sid": sections}) is FREE
    assert use(regs={"gpp": "gppString", "gpp_sid": sections}) is FREE


def test_r7_r10_a_string_without_any_list_is_read_as_the_strictest() -> None:
    """R7, R10: nobody says what applies, so all sections of the string do."""
    assert use(regs={"gpp": US_CONSENT}) is FREE
    assert reasons(regs={"gpp": US_OPT_OUT}) == {Refusal.GPP_OPT_OUT}
    assert reasons(regs={"ext": {"gpp": "gppString"}}) == {Refusal.GPP_UNREADABLE}
    assert use(regs={"gpp": "", "ext": {"gpp": None}}) is FREE
    assert use(regs={"gpp": "DBAA"}) is FREE


@pytest.mark.parametrize(
    "sections", [[[2]], [{"id": 7}], [7.5], ["seven"], [True], ["\u0667"], {"a": 1}, [7] * 65]
)
def test_r7_a_list_that_cannot_be_read_forbids(sections: object) -> None:
    """R7: some section applies, and nobody knows which."""
    assert reasons(regs={"gpp": US_CONSENT, "gpp_sid": sections}) == {Refusal.GPP_MISSING}


def test_r7_the_european_section_stands_for_the_consent_string() -> None:
    """R7, R2: GPP section 2 is the TC string, where it is listed."""
    gpp = {"gpp": gpp_string({2: CONSENT}), "gpp_sid": [2]}
    assert use(regs={"gdpr": 1, **gpp}) == UNDER_GDPR
    assert use(regs=gpp, device={"geo": {"country": "DEU"}}) == UNDER_GDPR
    assert use(regs={"gdpr": 1, **gpp}, user={"consent": CONSENT}) == UNDER_GDPR
    assert reasons(regs={"gdpr": 1, **gpp}, user={"consent": NO_CONSENT}) == {Refusal.TCF_VENDOR}
    gpp = {"gpp": gpp_string({2: NO_CONSENT}), "gpp_sid": [2]}
    assert reasons(regs={"gdpr": 1, **gpp}, user={"consent": CONSENT}) == {Refusal.TCF_VENDOR}
    # Not listed, so it does not apply, and there is no string.
    assert reasons(regs={"gdpr": 1, **gpp, "gpp_sid": [-1]}) == {Refusal.TCF_MISSING}


# -- conflicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"regs": {"gdpr": 0, "ext": {"gdpr": 1}}}, {Refusal.TCF_MISSING}),
        ({"regs": {"gdpr": 1, "ext": {"gdpr": 0}}}, {Refusal.TCF_MISSING}),
        (
            {"regs": {"us_privacy": "1YNN", "ext": {"us_privacy": "1YYN"}}},
            {Refusal.US_PRIVACY},
        ),
        ({"regs": {"us_privacy": "1YNN", "ext": {"gpc": "1"}}}, {Refusal.GPC}),
        ({"regs": {"gdpr": 0, "coppa": 1}}, {Refusal.COPPA}),
        ({"device": {"lmt": 0, "dnt": 1}}, {Refusal.LMT_OR_DNT}),
        (
            {"regs": {"gdpr": 1}, "user": {"consent": CONSENT, "ext": {"consent": NO_CONSENT}}},
            {Refusal.TCF_VENDOR},
        ),
        (
            {"regs": {"gdpr": 1}, "user": {"consent": NO_CONSENT, "ext": {"consent": CONSENT}}},
            {Refusal.TCF_VENDOR},
        ),
        (
            {"regs": {"gpp": US_CONSENT, "gpp_sid": [7], "ext": {"gpp": US_OPT_OUT}}},
            {Refusal.GPP_OPT_OUT},
        ),
        (
            {"regs": {"gpp": US_CONSENT, "gpp_sid": [-1], "ext": {"gpp_sid": [8]}}},
            {Refusal.GPP_MISSING},
        ),
        (
            {"device": {"lmt": 1}, "user": {"consent": CONSENT}, "regs": {"gdpr": 1, "coppa": 1}},
            {Refusal.LMT_OR_DNT, Refusal.COPPA},
        ),
        (
            {
                "device": {"dnt": 1},
                "user": {"consent": "?"},
                "regs": {
                    "coppa": 1, "gdpr": 1, "us_privacy": "1YYY", "gpp": US_OPT_OUT,
                    "gpp_sid": [7], "ext": {"gpc": 1},
                },
            },
            {Refusal.LMT_OR_DNT, Refusal.COPPA, Refusal.GPC, Refusal.US_PRIVACY,
             Refusal.GPP_OPT_OUT, Refusal.TCF_UNREADABLE},
        ),
    ],
)  # fmt: skip
def test_r10_where_signals_are_in_conflict_the_strictest_wins_and_every_reason_is_named(
    fields: dict[str, Any], told: set[Refusal]
) -> None:
    """R10: of two places, of two laws, of a flag and a string."""
    found = use(**fields)
    assert set(found.refusals) == told
    assert (found.personal, found.ids) == (False, False)


SIGNALS: Final = st.fixed_dictionaries(
    {},
    optional={
        "device": st.fixed_dictionaries(
            {}, optional={"lmt": st.sampled_from([0, 1]), "dnt": st.sampled_from([0, 1])}
        ),
        "user": st.fixed_dictionaries(
            {}, optional={"consent": st.sampled_from([CONSENT, NO_CONSENT, "?"])}
        ),
        "regs": st.fixed_dictionaries(
            {},
            optional={
                "coppa": st.sampled_from([0, 1]),
                "gdpr": st.sampled_from([0, 1]),
                "us_privacy": st.sampled_from(["1YNN", "1YYN"]),
                "gpp": st.sampled_from([US_CONSENT, US_OPT_OUT]),
                "gpp_sid": st.sampled_from([[], [7], [2, 7]]),
                "ext": st.just({"gpc": "1"}),
            },
        ),
    },
)

FORBIDDING: Final = (
    ("device", "lmt", 1, Refusal.LMT_OR_DNT), ("regs", "coppa", 1, Refusal.COPPA),
    ("regs", "us_privacy", "1YYN", Refusal.US_PRIVACY), ("regs", "ext", {"gpc": 1}, Refusal.GPC),
)  # fmt: skip


@given(SIGNALS, st.sampled_from(FORBIDDING))
def test_r10_no_signal_takes_another_ones_refusal_back(
    fields: dict[str, dict[str, object]], more: tuple[str, str, object, Refusal]
) -> None:
    """R10: with one more refusal nothing more is allowed, and no reason is lost."""
    holder, name, value, reason = more
    before = use(**fields)
    after = use(**(fields | {holder: fields.get(holder, {}) | {name: value}}))
    assert not after.personal
    assert not after.ids
    assert reason in after.refusals
    assert set(before.refusals) <= set(after.refusals)


# -- what is remembered -------------------------------------------------------------------------


def test_a_verdict_is_remembered_for_a_minute_and_no_longer() -> None:
    """R3: the string is data about a person, and is forgotten soon."""
    privacy = Privacy(WE)
    regs = {"gdpr": 1, "gpp": US_CONSENT, "gpp_sid": [7]}
    request = bid_request(regs=regs, user={"consent": CONSENT})
    privacy.forget_strings(FORGET_MS)
    for _ in range(5):
        assert privacy.use_of(request) == UNDER_GDPR
    remembered = (privacy._judge_tc, privacy._judge_gpp)
    assert [one.cache_info().misses for one in remembered] == [1, 1]
    privacy.forget_strings(2 * FORGET_MS - 1)
    assert [one.cache_info().currsize for one in remembered] == [1, 1]
    privacy.forget_strings(2 * FORGET_MS)
    assert [one.cache_info().currsize for one in remembered] == [0, 0]


def test_no_more_strings_are_remembered_than_declared() -> None:
    """R3, R7: however many different ones are sent."""
    privacy = Privacy(WE)
    for number in range(CACHED + 50):
        regs = {"gdpr": 1, "gpp": f"gpp-{number}", "gpp_sid": [7]}
        privacy.use_of(bid_request(regs=regs, user={"consent": f"tc-{number}"}))
    assert privacy._judge_tc.cache_info().currsize == CACHED
    assert privacy._judge_gpp.cache_info().currsize == CACHED


def test_a_string_that_is_too_long_to_be_read_is_not_remembered_either() -> None:
    """R3, R7: what hostile requests can make a worker hold is bounded."""
    privacy = Privacy(WE)
    long = "C" * (LONGEST_CHARS + 1)
    for number in range(5):
        regs = {"gdpr": 1, "gpp": f"{long}{number}", "gpp_sid": [7], "us_privacy": long}
        found = privacy.use_of(bid_request(regs=regs, user={"consent": f"{long}{number}"}))
        assert set(found.refusals) == {
            Refusal.TCF_UNREADABLE, Refusal.GPP_UNREADABLE, Refusal.US_PRIVACY_UNREADABLE
        }  # fmt: skip
    assert privacy._judge_tc.cache_info().currsize == 1
    assert privacy._judge_gpp.cache_info().currsize == 1


def test_one_users_verdict_is_not_anothers() -> None:
    """R3, R7: remembered under the whole string and the sections that apply."""
    privacy = Privacy(WE)

    def is_personal(**fields: object) -> bool:
        return privacy.use_of(bid_request(**fields)).personal

    both = gpp_string({6: "1YYN", 7: us_section("1111112222" + "0" * 24, version=2)})
    for _ in range(2):
        assert is_personal(regs={"gdpr": 1}, user={"consent": CONSENT})
        assert not is_personal(regs={"gdpr": 1}, user={"consent": NO_CONSENT})
        assert is_personal(regs={"gpp": both, "gpp_sid": [7]})
        assert not is_personal(regs={"gpp": both, "gpp_sid": [6]})
        assert not is_personal(regs={"gpp": both})
