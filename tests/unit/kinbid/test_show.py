"""What an explanation says about for whom a bid would be made."""

from typing import Any

import pytest

from kinbid.show import show_explanation

NOBODY: dict[str, Any] = {
    "request": "r", "exchange": "north", "privacy": "personal data may be used", "person": None,
    "person_known": False, "shared_device": False, "consent_withdrawn": None,
    "presence_ratio": 1.0, "bids": [], "lost": [], "reason": None,
    "allowed_use": {"personal": True, "ids": True, "precise_geo": False, "refusals": []},
}  # fmt: skip
REFUSED: dict[str, Any] = {
    "privacy": "us_privacy, tcf_profiles",
    "allowed_use": {"personal": False, "ids": False, "precise_geo": False, "refusals": []},
}
ANNA = "c" + "a" * 22


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "person: nobody (not known)\n"),
        ({"person": ANNA}, f"person: {ANNA} (not known)\n"),
        ({"person": ANNA, "person_known": True}, f"person: {ANNA} (known)\n"),
        (
            {"person": ANNA, "person_known": True, "presence_ratio": 0.871},
            (
                f"person: {ANNA} (known): signed in last on a device of several customers, there "
                "now with probability 0.87\n"
            ),
        ),
        (
            {"person_known": True, "shared_device": True},
            (
                "person: nobody: several customers have signed in on this device, and who is there "
                "now is not sure enough (KINBID_PRESENCE_PERCENT)\n"
            ),
        ),
        (
            {"person_known": True, "consent_withdrawn": ANNA},
            (
                "person: nobody: consent to personal ads is withdrawn by the person, or for the "
                f"device, that crm {ANNA} leads to, and whoever else is named, the strictest word "
                "counts\n"
            ),
        ),
    ],
)
def test_an_explanation_says_who_it_is_and_why_it_is_nobody(
    found: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_explanation(NOBODY | found)
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            {},
            (
                "privacy: personal data may be used; identifiers may be kept, a precise place may "
                "not be used\n"
            ),
        ),
        (
            REFUSED,
            (
                "privacy: us_privacy, tcf_profiles; identifiers may not be kept, a precise place "
                "may not be used\n"
            ),
        ),
    ],
)
def test_an_explanation_says_what_privacy_allows_and_why_not_more(
    found: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """R10: the decision and its reasons."""
    show_explanation(NOBODY | found)
    assert told in capsys.readouterr().out
