"""Reasons: one word for the metric, one code for exchanges."""

from bidder.errors import NoBidReason


def test_o11_each_reason_has_its_code() -> None:
    """O11: OpenRTB 3.0's list; 0 where it has no word for it, never 500 and above."""
    assert {reason.value: reason.nbr for reason in NoBidReason} == {
        "no_format": 0,
        "invalid_request": 2,
        "seat_blocked": 0,
        "currency": 0,
        "private_auction": 0,
        "insecure": 0,
        "crawler": 3,
        "publisher_blocked": 7,
        "chain_incomplete": 16,
        "seller_blocked": 17,
        "no_campaign": 0,
        "late": 15,
        "overload": 15,
        "no_catalog": 1,
        "internal_error": 1,
    }


def test_reasons_are_found_by_their_label() -> None:
    assert NoBidReason("late") is NoBidReason.LATE
    assert len({reason.value for reason in NoBidReason}) == len(NoBidReason)
