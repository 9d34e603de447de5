"""Answers: what is whole, what is a bid, what is neither."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.replies import CHECKED_OF, Reply, ReplyError, ReplyReader
from tests.unit.load.server import NO_BID, bid

BID = bid(b'{"id":"r","seatbid":[{"bid":[{"id":"1","impid":"1","price":1.0}]}]}')
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'11\r\n{"id":"r","seatbi\r\n1e;x=1\r\nd":[{"bid":[{"id":"1234567"}]}\r\n2\r\n]}\r\n0\r\n\r\n'
)


def read(data: bytes, request_id: str = "r") -> Reply | None:
    return ReplyReader().read(data, request_id)


def test_a_bid_and_no_bid_are_told_apart() -> None:
    assert read(BID) == Reply(200, is_bid=True, keeps=True)
    assert read(NO_BID) == Reply(204, is_bid=False, keeps=True)
    assert read(bid(b'{"id":"r","seatbid":[]}')) == Reply(200, is_bid=False, keeps=True)
    assert read(bid(b'{"id":"r","nbr":2}')) == Reply(200, is_bid=False, keeps=True)


def test_chunks_are_joined() -> None:
    assert read(CHUNKED) == Reply(200, is_bid=True, keeps=True)


@given(at=st.integers(0, 200), whole=st.sampled_from([BID, NO_BID, CHUNKED]))
def test_an_answer_is_read_when_it_is_whole_and_not_before(at: int, whole: bytes) -> None:
    reader, at = ReplyReader(), at % len(whole)
    assert reader.read(whole[:at], "r") is None
    assert reader.read(whole, "r") is not None


def test_an_answer_that_closes_says_so() -> None:
    told = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    assert read(told) == Reply(204, is_bid=False, keeps=False)


def test_other_statuses_are_answers_too() -> None:
    found = read(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    assert found == Reply(503, is_bid=False, keeps=True)


@pytest.mark.parametrize(
    "data",
    [
        NO_BID + b"x",
        BID + NO_BID,
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        bid(b"hello"),
        bid(b"{}"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ReplyError):
        read(data)


def test_an_answer_to_another_request_is_found_among_those_that_are_checked() -> None:
    reader = ReplyReader()
    for _ in range(CHECKED_OF):
        reader.read(BID, "r")
    with pytest.raises(ReplyError, match="answers request 'r' and not 's'"):
        reader.read(BID, "s")


def test_heads_that_never_repeat_are_not_kept_for_ever() -> None:
    reader = ReplyReader()
    for number in range(10_000):
        assert reader.read(b"HTTP/1.1 204 No Content\r\nDate: %d\r\n\r\n" % number, "r")
    assert len(reader._heads) <= 4096


def test_the_body_of_our_own_bidder_is_taken() -> None:
    body = msgspec.json.encode({"id": "r", "seatbid": [{"bid": [], "seat": "s"}], "cur": "USD"})
    assert read(bid(body)) is not None
