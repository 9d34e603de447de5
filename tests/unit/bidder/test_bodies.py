"""Content codings and header fields on the whole bid path: from the bytes in to the bytes out."""

import asyncio
import gzip
import json
import logging
import re
from collections.abc import Coroutine
from typing import Any

import pytest

from bidder.content_coding import GZIP_FROM_BYTES, MAX_INFLATED_BYTES
from bidder.http_answers import response
from bidder.metrics import Counters
from tests.unit.bidder.support import body, imp
from tests.unit.bidder.test_http1 import post
from tests.unit.bidder.test_server import BID, ME, Case, without_tasks

PLAIN = body(user=ME)
GZIP = b"Content-Encoding: gzip\r\n"
TAKES_GZIP = b"Accept-Encoding: gzip, deflate\r\n"
MANY = body(*(imp(id=str(n)) for n in range(3)), user=ME)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Nothing here may make a task: STYLE's rule of the hot path."""
    asyncio.run(without_tasks(scenario))


def split(answer: bytes) -> tuple[list[bytes], bytes]:
    head, _, rest = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), rest


def bids(answer: bytes) -> list[dict[str, Any]]:
    """The bids without what differs between two answers to the same request (O13)."""
    lines, rest = split(answer)
    assert lines[0] == b"HTTP/1.1 200 OK"
    if b"Content-Encoding: gzip" in lines:
        rest = gzip.decompress(rest)
    found = json.loads(rest)["seatbid"][0]["bid"]
    return [{k: bid[k] for k in ("impid", "price", "cid", "crid")} for bid in found]


@pytest.mark.parametrize("name", [b"gzip", b"x-gzip", b"GZIP"])
def test_h8_a_gzipped_request_gets_the_bid_of_the_plain_one(
    counters: Counters, name: bytes
) -> None:
    """H8."""

    async def scenario() -> None:
        coded = post(BID, gzip.compress(PLAIN), b"content-encoding: %b\r\n" % name)
        plain = bids(await Case(counters).ask(post(BID, PLAIN)))
        assert plain
        for pieces in ([coded], [coded[:50], coded[50:]], [coded[:-9], coded[-9:]]):
            assert bids(await Case(counters).ask(*pieces)) == plain
        assert counters.value("bidder_inflated_requests") == 3

    run(scenario())


def test_h8_a_plain_body_needs_no_coding_and_identity_is_none(counters: Counters) -> None:
    """H8: and JSON that is only called gzip is still JSON."""

    async def scenario() -> None:
        case = Case(counters)
        for fields in (b"", b"Content-Encoding: identity\r\n", b"Content-Encoding:\r\n", GZIP):
            assert bids(await case.ask(post(BID, PLAIN, fields)))
        assert bids(await case.ask(post(BID, b" \r\n\t" + PLAIN)))
        assert case.count("inflated_requests") == 0

    run(scenario())


REFUSED = [
    (gzip.compress(PLAIN, mtime=0), b"", 400, None),
    (gzip.compress(PLAIN, mtime=0)[:-5], GZIP, 400, "broken_gzip"),
    (b"\x1f\x8bjunk", GZIP, 400, "broken_gzip"),
    (gzip.compress(b"not JSON", mtime=0), GZIP, 400, None),
    (gzip.compress(b"{" * (MAX_INFLATED_BYTES + 1), mtime=0), GZIP, 413, "inflated"),
    (b"(\xb5/\xfd\x04", b"Content-Encoding: zstd\r\n", 415, "coding"),
    (b"\x8b\x02\x80", b"Content-Encoding: br\r\n", 415, "coding"),
]


@pytest.mark.parametrize(("sent", "fields", "status", "reason"), REFUSED)
def test_h3_h8_h14_what_cannot_be_inflated_has_its_status_and_the_connection_goes_on(
    counters: Counters, sent: bytes, fields: bytes, status: int, reason: str | None
) -> None:
    """H3, H8, H14."""

    async def scenario() -> None:
        case = Case(counters)
        assert await case.ask(post(BID, sent, fields)) == response(status)
        assert bids(await case.ask(post(BID, PLAIN)))
        if reason is None:
            assert case.count("malformed_requests") == 1
        else:
            assert case.count("http_refusals", reason) == 1

    run(scenario())
    assert b"Accept-Encoding: gzip\r\n" in response(415)


def test_h9_large_answers_are_gzipped_for_those_who_take_it(counters: Counters) -> None:
    """H9."""

    async def scenario() -> None:
        plain = await Case(counters).ask(post(BID, MANY))
        coded = await Case(counters).ask(post(BID, MANY, TAKES_GZIP))
        lines, rest = split(coded)
        assert len(split(plain)[1]) >= GZIP_FROM_BYTES
        assert b"Content-Encoding: gzip" in lines
        assert b"Content-Length: %d" % len(rest) in lines
        assert len(coded) < len(plain) / 2
        assert bids(coded) == bids(plain)
        assert counters.value("bidder_gzip_answers") == 1

    run(scenario())


@pytest.mark.parametrize(
    "fields", [b"", b"Accept-Encoding: br\r\n", b"Accept-Encoding: gzip;q=0\r\n", b"X: gzip\r\n"]
)
def test_h9_answers_are_plain_for_those_who_do_not(counters: Counters, fields: bytes) -> None:
    """H9."""

    async def scenario() -> None:
        case = Case(counters)
        for _ in range(2):  # also once the connection keeps its heads
            lines, _ = split(await case.ask(post(BID, MANY, fields)))
            assert not any(line.startswith(b"Content-Encoding") for line in lines)
        assert case.count("gzip_answers") == 0

    run(scenario())


def test_h9_small_answers_and_no_bids_are_plain(counters: Counters) -> None:
    """H9: what fits one packet does not get faster."""

    async def scenario() -> None:
        case = Case(counters)
        lines, rest = split(await case.ask(post(BID, body(), TAKES_GZIP)))
        assert len(rest) < GZIP_FROM_BYTES
        assert b"Content-Encoding: gzip" not in lines
        assert await case.ask(post(BID, body(cur=["EUR"]), TAKES_GZIP)) == response(204)

    run(scenario())


def test_h16_what_we_add_to_a_creative_is_little_more_than_one_kilobyte(counters: Counters) -> None:
    """H16: 1 kB advised by OpenX, 4 kB at most at AppLovin; the creative's HTML is its author's."""

    async def scenario() -> None:
        _, rest = split(await Case(counters).ask(post(BID, PLAIN)))
        (bid,) = json.loads(rest)["seatbid"][0]["bid"]
        assert len(rest) - len(bid["adm"]) < 1_200
        assert len(rest) < 4_000

    run(scenario())


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"])
def test_h1_another_method_is_405_and_told_what_is_allowed(
    counters: Counters, method: bytes
) -> None:
    """H1."""

    async def scenario() -> None:
        case = Case(counters)
        lines, rest = split(await case.ask(b"%b %b HTTP/1.1\r\n\r\n" % (method, BID)))
        assert (lines[0], rest) == (b"HTTP/1.1 405 Method Not Allowed", b"")
        assert b"Allow: POST" in lines
        assert case.count("bids") == case.count("bid_requests") == 0

    run(scenario())


@pytest.mark.parametrize(
    "fields",
    [
        b"", b"Content-Type: application/json\r\n", b"Content-Type: text/plain\r\n",
        b"content-type: application/json; charset=utf-8\r\n", b"Content-Type:\r\n",
        b"x-openrtb-version: 2.6\r\n", b"x-openrtb-version: 1.0\r\n", b"x-openrtb-version: x\r\n",
    ],
)  # fmt: skip
def test_h6_h7_h11_h12_any_type_and_version_is_read_as_json_and_answered_as_json(
    counters: Counters, fields: bytes
) -> None:
    """H6, H7, H11, H12."""

    async def scenario() -> None:
        case = Case(counters)
        answer = await case.ask(post(BID, PLAIN, fields))
        lines, rest = split(answer)
        assert bids(answer)
        assert rest.decode("utf-8")
        assert b"Content-Type: application/json" in lines
        assert b"x-openrtb-version: 2.6" in lines

    run(scenario())


def test_h5_every_request_is_answered_in_a_mix_that_is_pipelined_and_cut_anywhere(
    counters: Counters,
) -> None:
    """H5, H10: a bid, a no-bid, a malformed one, in gzip and in chunks, an unknown path."""

    async def scenario() -> None:
        zipped = gzip.compress(PLAIN)
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PLAIN), PLAIN)
        stream = b"".join(
            [
                post(BID, PLAIN), post(BID, body(cur=["EUR"])), post(BID, b"{"),
                post(BID, zipped, GZIP), post(BID, zipped), post(b"/elsewhere", PLAIN),
                b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%b" % (BID, chunks),
                post(BID, zipped, b"Content-Encoding: br\r\n"),
            ]
        )  # fmt: skip
        wanted = [200, 204, 400, 200, 400, 404, 200, 415]
        for at in range(1, len(stream), 97):
            received = await Case(counters).ask(stream[:at], stream[at:])
            assert [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", received)] == wanted

    run(scenario())


def test_a_fault_of_ours_in_a_route_is_a_204_that_is_counted_and_logged(
    counters: Counters, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """H3: never a 5xx, and the connection goes on."""

    async def scenario() -> None:
        case = Case(counters)

        def broken(_: bytes) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patched:
            patched.setattr("bidder.server.decode_request", broken)
            assert await case.ask(post(BID, PLAIN)) == response(204)
        assert case.count("no_bids", "internal_error") == 1
        assert bids(await case.ask(post(BID, PLAIN)))

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["request_failed"]


def test_h11_the_version_of_a_malformed_request_is_in_the_log(
    counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    """H11: who sends what nobody can read is asked about it."""
    caplog.set_level(logging.DEBUG, "bidder.server")

    async def scenario() -> None:
        await Case(counters).ask(post(BID, b"{}", b"x-openrtb-version: 2.3\r\n"))

    run(scenario())
    (record,) = (one for one in caplog.records if one.getMessage() == "malformed_request")
    assert record.__dict__["openrtb_version"] == "2.3"
