"""Receipts on a terminal: what was decided, who lost, and whether it comes out the same again."""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest

from bidder.metrics import Counters, open_memory
from kinbid.explain_receipt import receipt_report
from kinbid.show import console
from kinbid.show_receipt import ABSENT, show_receipt, show_watches
from models.receipts import Absent, Receipt
from models.watches import Watch
from tests.unit.bidder.receipt_support import Case
from tests.unit.bidder.support import NODE, NORTH, NOW_MS, SETTINGS, bid_request

SECRET = SETTINGS.notice_secret


@pytest.fixture
def case() -> Iterator[Case]:
    with open_memory() as memory:
        yield Case(Counters(memory.fileno()))


def told(report: dict[str, Any]) -> str:
    with console.capture() as capture:
        show_receipt(report)
    return capture.get()


def kept(case: Case) -> Receipt:
    case.bid()
    return case.outbox.only


def test_a_full_receipt_tells_factors_losers_and_that_it_is_equal(case: Case) -> None:
    text = told(receipt_report(kept(case), SECRET, ["older-1"]))
    for part in (
        "(full, kept as sample)", "p_conversion", "seats-prospect", "exposure_factor",
        f"person: cookie {NODE}",
        "version 17", "another campaign of ours is worth more", "older-1",
        "recomputed: equal, byte for byte",
    ):  # fmt: skip
        assert part in text


def test_what_differs_is_told_and_that_another_program_decided(case: Case) -> None:
    receipt = kept(case)
    other = msgspec.structs.replace(receipt, bids=({**receipt.bids[0], "bid_cpm_micros": 1},))
    text = told(receipt_report(other, SECRET))
    assert "recomputed: NOT equal" in text
    assert "bid_cpm_micros: 1 then" in text
    assert "it was decided by test+0, and this is " in text


@pytest.mark.parametrize(("secret", "trouble"), [("", "notice_secret"), (SECRET, None)])
def test_without_the_secret_of_then_all_else_is_told(
    case: Case, secret: str, trouble: str | None
) -> None:
    report = receipt_report(kept(case), secret)
    assert (trouble or "") in (report["recomputed"]["trouble"] or "")
    assert "p_conversion" in told(report)


def test_a_no_bid_tells_its_reason_and_what_privacy_refused(case: Case) -> None:
    case.bid(regs={"coppa": 1}, bcat=["IAB20", "IAB22"])
    text = told(receipt_report(case.outbox.only, SECRET))
    assert "no bid: no_campaign" in text
    assert "privacy: coppa; identifiers may not be kept" in text
    assert "not named (not known)" in text


def test_a_bid_for_nobody_tells_why_there_was_nobody(case: Case) -> None:
    case.bid(user={})
    text = told(receipt_report(case.outbox.only, SECRET))
    assert "person: nobody: the request names nobody" in text
    assert set(ABSENT) == set(get_args(Absent)) - {""}


def test_a_request_without_time_left_is_told_as_such(case: Case) -> None:
    case.path.note_late(bid_request(), NORTH, NOW_MS)
    text = told(receipt_report(case.outbox.only, SECRET))
    assert "late: when it was read no time was left to decide" in text


def test_inputs_of_another_version_are_told_as_such(case: Case) -> None:
    receipt = msgspec.structs.replace(kept(case), full=msgspec.Raw(b'{"records":[{"kind":"x"}]}'))
    text = told(receipt_report(receipt, SECRET))
    assert "not recomputed: written by another version of kinbid" in text


def test_watches_are_listed_with_their_ends() -> None:
    with console.capture() as capture:
        show_watches([])
        show_watches([Watch(target="exchange", names=("north",), until_ms=1_796_000_000_000)])
    text = capture.get()
    assert "nothing is watched" in text
    assert "2026-11-30 00:53:20+00:00" in text
