"""Whose browser it is."""

import pytest

from bidder.notices.callers import Caller, caller_of


@pytest.mark.parametrize(
    ("headers", "viewer"),
    [
        ({}, ("10.0.0.9", "")),
        ({"user-agent": "b"}, ("10.0.0.9", "b")),
        ({"x-forwarded-for": "203.0.113.7"}, ("203.0.113.7", "")),
        ({"x-forwarded-for": " 203.0.113.7 , 10.1.1.1"}, ("203.0.113.7", "")),
        ({"x-device-ip": "198.51.100.2", "x-forwarded-for": "203.0.113.7"}, ("198.51.100.2", "")),
        ({"x-device-user-agent": "tv", "user-agent": "server"}, ("10.0.0.9", "tv")),
        ({"x-forwarded-for": "", "user-agent": ""}, ("10.0.0.9", "")),
    ],
)
def test_a_server_that_calls_for_a_viewer_says_whose_view_it_is(
    headers: dict[str, str], viewer: tuple[str, str]
) -> None:
    """N15: X-Device-IP, X-Forwarded-For and X-Device-User-Agent before the peer's own."""
    assert Caller(headers, "10.0.0.9").viewer() == viewer


def test_of_a_requests_head_only_what_matters_is_read() -> None:
    head = {b"user-agent": b"b\xe9", b"cookie": b"kinbid=x", b"authorization": b"secret"}
    caller = caller_of(lambda name: head.get(name, b""), "10.0.0.9")
    assert caller.viewer() == ("10.0.0.9", "b\u00e9")
    assert caller.headers["cookie"] == "kinbid=x"
    assert "secret" not in str(caller)
