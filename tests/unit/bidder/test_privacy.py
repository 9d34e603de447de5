"""Privacy: asked before anything personal is read, and closed where a signal is unclear."""

from collections.abc import Callable
from typing import Any

import pytest

from bidder.privacy import personal_use_refused
from tests.unit.bidder.support import bid_request


def refusal(**fields: object) -> str | None:
    return personal_use_refused(bid_request(**fields))


def test_without_any_signal_personal_data_may_be_used() -> None:
    assert refusal() is None
    assert refusal(device={}, user={}, regs={"ext": {}}) is None


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
def test_r1_r2_r8_r9_a_flag_that_does_not_plainly_say_0_forbids(
    flag: object, name: str, place: Callable[[object], dict[str, object]]
) -> None:
    assert refusal(**place(flag)) is not None, name


@pytest.mark.parametrize("flag", [0, "0", False, 0.0, "", None])
def test_flags_that_say_0_or_nothing_do_not_forbid(flag: object) -> None:
    regs = {"coppa": flag, "gdpr": flag, "ext": {"gdpr": flag, "gpc": flag}}
    assert refusal(regs=regs, device={"lmt": flag, "dnt": flag}) is None


@pytest.mark.parametrize("consent", [None, "", "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", "?"])
def test_r3_a_consent_string_opens_nothing_until_it_is_decoded(consent: str | None) -> None:
    assert refusal(regs={"gdpr": 1}, user={"consent": consent}) == "gdpr_consent_not_decoded"
    user = {"ext": {"consent": consent}}
    assert refusal(regs={"ext": {"gdpr": 1}}, user=user) == "gdpr_consent_not_decoded"


@pytest.mark.parametrize("country", ["DEU", "DE", "deu", "FRA", "GBR", "NO", "IRL"])
@pytest.mark.parametrize("holder", ["device", "user"])
def test_r5_an_absent_gdpr_flag_is_not_read_as_0_where_the_gdpr_applies(
    country: str, holder: str
) -> None:
    assert refusal(**{holder: {"geo": {"country": country}}}) == "gdpr_unknown"
    # The exchange knows where the user is; what it says plainly counts.
    assert refusal(regs={"gdpr": 0}, **{holder: {"geo": {"country": country}}}) is None


@pytest.mark.parametrize("user", [{"consent": "CPX"}, {"ext": {"consent": "CPX"}}])
def test_r5_a_consent_string_without_a_flag_says_that_the_gdpr_may_apply(
    user: dict[str, Any],
) -> None:
    assert refusal(user=user) == "gdpr_unknown"


@pytest.mark.parametrize("country", ["USA", "US", "CAN", "", None])
def test_r5_elsewhere_an_absent_flag_does_not_forbid(country: str | None) -> None:
    assert refusal(device={"geo": {"country": country}}, user={"geo": {}}) is None


@pytest.mark.parametrize(
    ("text", "forbids"),
    [
        ("1YYN", True),
        ("1NYN", True),
        ("1yyn", True),
        ("1YNN", False),
        ("1---", False),
        ("1Y", False),
        ("", False),
        (None, False),
        (12, True),
    ],
)
def test_r6_the_third_character_y_is_an_opt_out_from_sale(text: object, forbids: bool) -> None:
    assert (refusal(regs={"us_privacy": text}) is not None) == forbids
    assert (refusal(regs={"ext": {"us_privacy": text}}) is not None) == forbids


@pytest.mark.parametrize(
    ("sections", "forbids"),
    [
        ([2], True),
        ([6], True),
        ([7, 8], True),
        ([-1, 7], True),
        (["7"], True),
        (7, True),
        ([[2]], True),
        ([-1], False),
        ([0], False),
        ([], False),
        ([None], False),
        (None, False),
    ],
)
def test_r7_a_gpp_section_that_applies_forbids_until_it_is_decoded(
    sections: object, forbids: bool
) -> None:
    assert (refusal(regs={"gpp": "DBAA", "gpp_sid": sections}) is not None) == forbids
    assert (refusal(regs={"ext": {"gpp": "DBAA", "gpp_sid": sections}}) is not None) == forbids


@pytest.mark.parametrize(
    "fields",
    [
        {"regs": {"gdpr": 0, "ext": {"gdpr": 1}}},
        {"regs": {"gdpr": 1, "ext": {"gdpr": 0}}},
        {"regs": {"us_privacy": "1YNN", "ext": {"us_privacy": "1YYN"}}},
        {"regs": {"us_privacy": "1YNN", "ext": {"gpc": "1"}}},
        {"regs": {"gdpr": 0, "coppa": 1}},
        {"device": {"lmt": 0, "dnt": 1}},
        {"device": {"lmt": 1}, "regs": {"gdpr": 0}, "user": {"consent": "CPX"}},
    ],
)
def test_r10_where_signals_are_in_conflict_the_strictest_wins(fields: dict[str, Any]) -> None:
    assert refusal(**fields) is not None
