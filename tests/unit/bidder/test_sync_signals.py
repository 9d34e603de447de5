"""A sync's privacy signals, asked as those of a bid request."""

import pytest

from bidder.notices import Caller
from bidder.openrtb import BidRequest, Device, Regs, RegsExt, User
from bidder.sync_signals import UNREADABLE, request_of


def test_every_signal_stands_where_a_bid_request_has_it() -> None:
    """R13: gdpr, gdpr_consent, us_privacy, gpp_sid, and what the browser itself says."""
    values = {
        "gdpr": ["1"], "gdpr_consent": ["CPX"], "us_privacy": ["1YNN"], "gpp": ["DB"],
        "gpp_sid": ["7, 8"],
    }  # fmt: skip
    found = request_of(values, Caller({"dnt": "1", "sec-gpc": "1"}))
    assert found.user == User(consent="CPX")
    assert found.device == Device(dnt="1")
    assert found.regs is not None
    assert (found.regs.gdpr, found.regs.us_privacy) == ("1", "1YNN")
    assert (found.regs.gpp, found.regs.gpp_sid) == ("DB", ["7", "8"])
    assert found.regs.ext == RegsExt(gpc="1")


def test_without_signals_nothing_is_said() -> None:
    silent = BidRequest(id="", imp=[], device=Device(), user=User(), regs=Regs(ext=RegsExt()))
    assert request_of({}, Caller()) == silent
    assert request_of({"gdpr": [""], "gdpr_consent": [""], "gpp_sid": [""]}, Caller()) == silent


@pytest.mark.parametrize("text", ["${GDPR}", "[gdpr]", "x${GDPR_CONSENT_42}"])
def test_a_macro_that_nobody_expanded_is_a_signal_that_cannot_be_read(text: str) -> None:
    """R13, R10: it must not pass for absent."""
    found = request_of({"gdpr": [text], "gdpr_consent": [text], "gpp": [text]}, Caller())
    assert found.regs is not None
    assert found.user is not None
    assert (found.regs.gdpr, found.user.consent) == (UNREADABLE, UNREADABLE)
    assert found.regs.gpp == UNREADABLE


def test_a_signal_that_is_told_twice_and_otherwise_cannot_be_read() -> None:
    """R10: neither the first nor the last of them is believed."""
    found = request_of({"gdpr": ["0", "1"], "us_privacy": ["1NNN", "1NNN"]}, Caller())
    assert found.regs is not None
    assert (found.regs.gdpr, found.regs.us_privacy) == (UNREADABLE, "1NNN")


@pytest.mark.parametrize(
    ("told", "said", "wanted"),
    [("0", "1", "1"), ("1", "0", "1"), ("1", "", "1"), ("", "1", "1"), ("0", "0", "0")],
)
def test_no_parameter_takes_the_browsers_opt_out_back(told: str, said: str, wanted: str) -> None:
    """R8, R10."""
    found = request_of({"gpc": [told]}, Caller({"sec-gpc": said}))
    assert found.regs is not None
    assert found.regs.ext == RegsExt(gpc=wanted)
