"""Reading: whatever the cut, the same requests and the same refusals; never an exception."""

import gzip
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bidder.http_heads import MAX_HEADERS, Head, head_of
from bidder.http_reader import MAX_BODY_BYTES, MAX_HEAD_BYTES, RequestReader
from bidder.metrics import HTTP_REFUSALS
from tests.unit.bidder.support import thorough

Fields = tuple[tuple[bytes, bytes], ...]
Read = tuple[bytes, bytes, bytes, Fields] | tuple[int, str]
"""A request, or a refusal."""

STATUSES: Final = {"malformed": 400, "head": 400, "body": 413}


class Told:
    """A reader and all that it told."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.reader = RequestReader(self._take, lambda *why: self.reads.append(why))

    def _take(
        self, method: bytes, target: bytes, body: bytes, head: bytes | Head, index: int
    ) -> None:
        found = head_of(head, index) if isinstance(head, bytes) else head
        # An offer that is declined leaves its field out, whoever reads.
        fields = tuple((n.lower(), v) for n, v in found.fields if n.lower() != b"upgrade")
        self.reads.append((method, target, body, fields))

    def after(self, pieces: Sequence[bytes]) -> list[Read]:
        for piece in pieces:
            for at in range(0, len(piece), MAX_HEAD_BYTES):
                self.reader.feed(piece[at : at + MAX_HEAD_BYTES])
        return self.reads


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def post(body: bytes, *fields: bytes) -> bytes:
    head = b"".join(b"%b\r\n" % field for field in fields)
    return b"POST /bid HTTP/1.1\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), head, body)


def chunked(parts: Sequence[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts if part)
    head = b"POST /bid HTTP/1.1\r\ntransfer-encoding: Chunked\r\nX: y\r\n\r\n"
    return b"%b%b0\r\n%b\r\n" % (head, chunks, trailer)


bodies = st.binary(max_size=60) | st.sampled_from([b"\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"])
plain = st.builds(
    post,
    bodies,
    st.sampled_from(
        [
            b"Accept-Encoding: gzip, br", b"content-ENCODING: gzip", b"Expect: 100-continue",
            b"Connection: Upgrade\r\nUpgrade: h2c", b"x-openrtb-version: 2.5", b"X: \xff", b"Y:",
            b"Connection: keep-alive", b"x-openrtb-version: 9.9, 8", b"A: 1\r\nA: 2",
        ]
    ),
)  # fmt: skip
in_chunks = st.builds(
    chunked,
    st.lists(bodies, max_size=4),
    st.sampled_from([b"", b";name=value"]),
    st.sampled_from([b"", b"Content-Encoding: gzip\r\n"]),
)
others = st.sampled_from(
    [
        b"GET /notice/win?t=1 HTTP/1.1\r\nHost: b\r\n\r\n", b"\r\n", b"HEAD / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ]
)  # fmt: skip
last = st.sampled_from(
    [
        b"", b"POST / HTTP/1.1\r\nConnection: close\r\n\r\nmore", b"junk", b"\x16\x03\x01",
        b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", b"POST / HTTP/1.1\r\nContent-Le",
        b"GET / HTTP/1.0\r\n\r\n", b"CONNECT b:1 HTTP/1.1\r\n\r\n", b"GET /x HTTP/7.1\r\n\r\n",
    ]
)  # fmt: skip
mixes = st.builds(
    lambda many, end: b"".join(many) + end, st.lists(plain | in_chunks | others, max_size=6), last
)
places = st.lists(st.integers(0, 600), max_size=10)


@thorough
@given(mixes, places)
def test_any_cut_of_pipelined_requests_gives_the_same_requests_and_fields(
    stream: bytes, where: list[int]
) -> None:
    """H8 to H10: what a request is does not depend on how its bytes arrive."""
    whole = Told().after([stream])
    assert Told().after(cut(stream, where)) == whole
    assert Told().after([bytes([one]) for one in stream]) == whole


@thorough
@given(mixes, st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=4), places)
def test_any_junk_is_refused_once_or_read_and_never_an_exception(
    stream: bytes, changes: list[tuple[int, int]], where: list[int]
) -> None:
    """H3: 400, never a stack trace."""
    broken = bytearray(stream or b"?")
    for place, value in changes:
        broken[place % len(broken)] = value
    whole = Told().after([bytes(broken)])
    assert Told().after(cut(bytes(broken), where)) == whole
    refusals = [read for read in whole if len(read) == 2]
    assert refusals in ([], whole[-1:])
    assert all(STATUSES[str(why)] == status for status, why in refusals)


def large_head(size: int) -> bytes:
    """A head whose target, names and values are so many bytes, with three more a line."""
    return b"POST /bid HTTP/1.1\r\nX:%b\r\n\r\n" % (b"x" * (size - 4 - len(b"/bid")))


EDGES: Final = [
    large_head(MAX_HEAD_BYTES), large_head(MAX_HEAD_BYTES + 1),
    post(b"", *[b"A:"] * (MAX_HEADERS - 1)), post(b"", *[b"A:"] * MAX_HEADERS),
    post(b"x" * MAX_BODY_BYTES), post(b"x" * (MAX_BODY_BYTES + 1)),
    chunked([b"x" * 1000] * (MAX_BODY_BYTES // 1000)),
    chunked([b"x" * 1000] * (MAX_BODY_BYTES // 1000 + 1)),
    chunked([b"x"], trailer=b"A: %b\r\n" % (b"x" * (MAX_HEAD_BYTES - 100))),
    chunked([b"x"], trailer=b"A: %b\r\n" % (b"x" * MAX_HEAD_BYTES)),
]  # fmt: skip
VERDICTS: Final = [None, 400, None, 400, None, 413, None, 413, None, 400]


@pytest.mark.parametrize(("stream", "status"), [*zip(EDGES, VERDICTS, strict=True)])
@pytest.mark.parametrize("piece", [7, 1_000, MAX_HEAD_BYTES, 10**9])
def test_h14_each_limit_is_exact_and_the_same_for_every_cut(
    stream: bytes, status: int | None, piece: int
) -> None:
    """H14."""
    for before in (b"", post(b"before")):
        both = before + stream
        reads = Told().after([both[at : at + piece] for at in range(0, len(both), piece)])
        refused = [read[0] for read in reads if len(read) == 2]
        assert refused == ([] if status is None else [status])


def test_what_only_frames_a_body_has_an_end_too() -> None:
    """H14: chunks of one byte with long extensions."""
    piece = b"1;%b\r\nx\r\n" % (b"e" * 1_000)
    told = Told()
    told.after([b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"])
    reads = told.after([piece] * 2_000)
    assert reads == [(413, "body")]


@pytest.mark.parametrize("fields", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize("piece", [1, 10**9])
def test_h14_a_body_that_is_said_to_be_too_large_is_not_waited_for(
    fields: bytes, piece: int
) -> None:
    """H14: nor asked for with a 100."""
    for size, refusals in ((MAX_BODY_BYTES, []), (MAX_BODY_BYTES + 1, [(413, "body")])):
        head = b"POST / HTTP/1.1\r\n%bCONTENT-length: %d\r\n\r\n" % (fields, size)
        told = Told()
        reads = told.after([head[at : at + piece] for at in range(0, len(head), piece)])
        # Who sends byte by byte is told with the body's first.
        assert (reads or told.after([b"x"])) == refusals


def test_padding_in_a_head_has_an_end_too() -> None:
    """H14."""
    told = Told()
    told.after([b"POST / HTTP/1.1\r\nX:"])
    assert told.after([b" " * 1_000] * 100) == [(400, "head")]


AMBIGUOUS: Final = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"Content-Length: 1, 2\r\n\r\nab",
    b"Content-Length: +1\r\n\r\na",
    b"Content-Length: -1\r\n\r\na",
    b"Content-Length : 1\r\n\r\na",
    b"Content-Length: 99999999999999999999\r\n\r\na",
    b"X: a\r\n b\r\nContent-Length: 1\r\n\r\na",
    b"X: a\nContent-Length: 1\r\n\r\na",
    b"X: a\rContent-Length: 1\r\n\r\na",
    b"X: a\0b\r\n\r\n",
    b"Content-Length: 1\r\n\na",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"Transfer-Encoding: identity\r\n\r\na",
    b"Transfer-Encoding: xchunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("rest", AMBIGUOUS)
def test_what_two_readers_could_read_differently_is_refused(rest: bytes) -> None:
    """H3: request smuggling (RFC 9112 sections 5.2, 6.1, 6.3, 7.1, 11.2)."""
    stream = b"POST /bid HTTP/1.1\r\nHost: b\r\n" + rest
    for pieces in ([stream], [bytes([one]) for one in stream], cut(post(b"1") + stream, [60])):
        reads = Told().after(pieces)
        assert reads[-1] == (400, "malformed")
        assert [read[2] for read in reads[:-1] if len(read) == 4] in ([], [b"1"])


def test_chunks_are_not_believed_of_http_1_0() -> None:
    """RFC 9112 section 6.1: the framing of such a message is faulty."""
    head = b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert Told().after([head + b"1\r\na\r\n0\r\n\r\n"]) == [(400, "malformed")]


def test_a_trailer_is_no_header() -> None:
    stream = chunked([gzip.compress(b"{}")], trailer=b"Content-Encoding: gzip\r\n")
    for pieces in ([stream], cut(stream, [80])):
        (read,) = Told().after(pieces)
        assert len(read) == 4
        assert b"content-encoding" not in dict(read[3])


def test_many_alike_requests_in_parts_are_all_read() -> None:
    stream = post(b"x" * 1_300)
    assert len(Told().after(cut(stream, [700]) * 3_000)) == 3_000


def test_nothing_is_read_after_the_end() -> None:
    told = Told()
    told.after([b"POST /"])
    told.reader.end()
    assert told.after([b" HTTP/1.1\r\n\r\n"]) == []


def test_a_fault_of_whoever_takes_a_request_is_not_taken_for_the_clients() -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    reader = RequestReader(broken, broken)
    with pytest.raises(httptools.HttpParserCallbackError):
        reader.feed(post(b""))


def fields_of(stream: bytes, *, is_cut: bool) -> Iterator[Fields]:
    for read in Told().after(cut(stream, [len(stream) - 1] if is_cut else [])):
        assert len(read) == 4
        yield read[3]


@example([(b"a", b""), (b"A", b"1")])
@given(
    st.lists(st.tuples(st.from_regex(rb"\A[A-Za-z-]{1,20}\Z"), st.from_regex(rb"\A[!-~]{0,9}\Z")))
)
def test_fields_are_the_same_whether_kept_or_asked_for_later(
    fields: list[tuple[bytes, bytes]],
) -> None:
    named = [(n, v) for n, v in fields if n.lower() not in {b"upgrade", b"connection", b"expect"}]
    named = [(n, v) for n, v in named if n.lower() not in {b"content-length", b"transfer-encoding"}]
    stream = post(b"body", *(b"%b: %b" % field for field in named))
    (kept,), (asked,) = fields_of(stream, is_cut=True), fields_of(stream, is_cut=False)
    assert kept == asked == ((b"content-length", b"4"), *((n.lower(), v) for n, v in named))


def test_every_refusal_of_the_reader_has_a_metric() -> None:
    assert set(STATUSES) <= set(HTTP_REFUSALS)
