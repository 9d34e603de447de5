"""Calls and leases that cannot be are refused, and the error names the field."""

import msgspec
import pytest

from models.errors import EventError
from models.events import decode_event, encode
from tests.fakes.phone_calls import START_MS, a_call, a_lease, cookie, phone

FULL_CALL = a_call(
    tag="call_back", score=70, department="sales", told_ms=START_MS, missed=True,
    missed_reason="no_answer", is_outbound=True, form_phone=phone("f"), repeat_of=phone("r"),
)  # fmt: skip
FULL_LEASE = a_lease(campaign="spring", keyword="flights", device_type="phone")


@pytest.mark.parametrize("event", [a_call(), FULL_CALL, a_lease(), FULL_LEASE])
def test_what_was_encoded_is_read_again(event: msgspec.Struct) -> None:
    assert decode_event(encode(event)) == event


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("call_id", ""), ("call_id", "a@b"), ("call_id", "x" * 65),
        ("called_number", "8 912 345 67 89"), ("called_number", "+0123456789"),
        ("duration_seconds", -1), ("duration_seconds", 86_401), ("told_ms", -1),
        ("told_ms", 10**13), ("score", 101), ("score", -1), ("tag", "call back"),
        ("department", "x" * 65), ("form_phone", "p"), ("form_phone", cookie("a")),
        ("repeat_of", cookie("a")), ("missed_reason", "asleep"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_is_refused(field: str, value: object) -> None:
    with pytest.raises(EventError, match=field):
        decode_event(encode(msgspec.structs.replace(FULL_CALL, **{field: value})))


def test_an_answered_call_has_no_reason_for_being_missed() -> None:
    with pytest.raises(EventError, match="missed_reason: 'no_answer', but missed is false"):
        decode_event(encode(a_call(missed_reason="no_answer")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lease_id", ""), ("number", "2127365000"), ("expires_ms", START_MS),
        ("expires_ms", 10**13), ("campaign", "x" * 129), ("keyword", "x" * 129),
        ("device_type", "watch"),
    ],
)  # fmt: skip
def test_a_lease_that_cannot_be_is_refused(field: str, value: object) -> None:
    with pytest.raises(EventError, match=field):
        decode_event(encode(msgspec.structs.replace(FULL_LEASE, **{field: value})))


def test_a_lease_of_more_than_a_day_is_refused_with_what_to_do() -> None:
    day = 24 * 60
    assert decode_event(encode(a_lease("whole-day", 0, day))) == a_lease("whole-day", 0, day)
    wanted = "expires_ms: .* is more than a day after event_time_ms .*; begin another lease"
    with pytest.raises(EventError, match=wanted):
        decode_event(encode(a_lease("a-year", 0, 365 * day)))
