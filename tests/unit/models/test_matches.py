"""Cookie matches: what is one, and for how long it leads to a cookie."""

import msgspec
import pytest

from models.errors import EventError
from models.identifiers import NodeId
from models.keys import Keys
from models.matches import (
    LONGEST_MATCH_DAYS,
    Match,
    encode_match,
    find_match,
    keep_match,
    read_match,
)
from models.units import DAY_MS

NOW_MS = 1_790_000_000_000
USER, COOKIE = NodeId("u" + "a" * 22), NodeId("k" + "b" * 22)
KEYS = Keys("demo")
MATCH = Match(node=USER, cookie=COOKIE, matched_ms=NOW_MS, expires_ms=NOW_MS + 30 * DAY_MS)


def changed(**changes: object) -> Match:
    return msgspec.structs.replace(MATCH, **changes)


def read(match: Match, key: NodeId = USER, recorded_ms: int = NOW_MS) -> Match:
    return read_match(key.encode(), encode_match(match), recorded_ms)


def test_what_was_written_is_read_again() -> None:
    assert read(MATCH) == MATCH


@pytest.mark.parametrize(
    ("match", "told"),
    [
        (changed(node=COOKIE), "node: .* no identifier of kind exchange_user"),
        (changed(cookie=USER), "cookie: .* no identifier of kind cookie"),
        (changed(cookie=NodeId("somebody@example.com")), "cookie: .* not a hashed node"),
        (changed(expires_ms=NOW_MS), "expires_ms"),
        (changed(expires_ms=NOW_MS + LONGEST_MATCH_DAYS * DAY_MS + 1), "expires_ms"),
        (changed(matched_ms=0), "matched_ms"),
        (changed(matched_ms=NOW_MS + 2 * DAY_MS), "matched_ms"),
    ],
)
def test_what_is_no_match_is_refused_with_the_field(match: Match, told: str) -> None:
    """R13: none is believed for more than 60 days."""
    with pytest.raises(EventError, match=told):
        read(match, match.node)


def test_a_match_stands_under_its_user_id() -> None:
    with pytest.raises(EventError, match="key"):
        read(MATCH, COOKIE)
    with pytest.raises(EventError, match="not a match"):
        read_match(USER.encode(), b"{}", NOW_MS)


def test_a_match_is_written_with_its_end_and_not_after_it() -> None:
    """R13: entries expire, by Redis' own clock."""
    steps = keep_match(KEYS, MATCH, NOW_MS)
    assert next(steps) == [("GET", KEYS.parent(USER)), ("GET", KEYS.parent(COOKIE))]
    written = ("SET", "demo:u:{" + USER + "}", COOKIE, "PXAT", MATCH.expires_ms)
    assert steps.send([None, b">" + COOKIE.encode()]) == [written]
    assert list(keep_match(KEYS, MATCH, MATCH.expires_ms)) == []


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("after_ms", "is_written"), [(-1, True), (0, False), (1, False)])
def test_a_match_from_before_an_erasure_is_not_written(
    place: int, after_ms: int, is_written: bool
) -> None:
    """Of the user id or of the cookie; a replay does not bring it back."""
    entries: list[bytes | None] = [None, None]
    entries[place] = b",0^%d" % (MATCH.matched_ms + after_ms)
    steps = keep_match(KEYS, MATCH, NOW_MS)
    next(steps)
    if is_written:
        assert steps.send(entries)[0][0] == "SET"
    else:
        with pytest.raises(StopIteration):
            steps.send(entries)


@pytest.mark.parametrize(("reply", "cookie"), [(COOKIE.encode(), COOKIE), (None, None)])
def test_a_user_id_leads_to_its_cookie_or_nowhere(reply: bytes | None, cookie: str | None) -> None:
    steps = find_match(KEYS, USER)
    assert next(steps) == [("GET", "demo:u:{" + USER + "}")]
    with pytest.raises(StopIteration) as stop:
        steps.send([reply])
    assert stop.value.value == cookie
