"""HTTP/1.1 framing: the same answers however the bytes are cut, in the order of the requests."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.connections import Connections, HttpLimits
from bidder.http1 import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_OPEN_CALLS,
    HttpCall,
    HttpConnection,
    response,
)
from bidder.http_answers import CONTINUE, refusal
from bidder.metrics import HTTP_REFUSALS, Counters, open_memory
from tests.unit.bidder.support import thorough


class FakeTransport(asyncio.Transport):
    """Keeps what is written.

    Attributes:
        closed: by close() or abort().
        ended: nothing can be written any more.
        paused: nothing is read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = self.ended = self.aborted = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        assert not self.ended
        self.ended = True

    def close(self) -> None:
        self.closed = self.ended = True

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def pause_reading(self) -> None:
        assert not self.closed, "uvloop raises"
        self.paused = True

    def resume_reading(self) -> None:
        assert not self.closed, "uvloop raises"
        self.paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The tests say when the buffer is full."""

    def is_closing(self) -> bool:
        return self.closed


LIMITS = HttpLimits()


def new_connections(limits: HttpLimits = LIMITS) -> Connections:
    """Those of a worker that has none yet."""
    with open_memory() as memory:
        return Connections(limits, Counters(memory.fileno()))


class Client:
    """A connection, what it was asked and what it answered."""

    def __init__(
        self, *, answers_at_once: bool = True, connections: Connections | None = None
    ) -> None:
        self.calls: list[HttpCall] = []
        self.transport = FakeTransport()
        self.answers_at_once = answers_at_once
        self.connections = new_connections() if connections is None else connections
        self.connection = HttpConnection(self._handle, self.connections)
        self.connection.connection_made(self.transport)

    def _handle(self, call: HttpCall) -> None:
        self.calls.append(call)
        if self.answers_at_once:
            call.respond(echo(call))

    def send(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.connection.data_received(piece)
        return self.received

    def is_paused(self) -> bool:
        return self.transport.paused

    def is_over(self) -> bool:
        """Nothing can be sent to the client any more."""
        return self.transport.ended

    @property
    def received(self) -> bytes:
        return b"".join(self.transport.written)


def echo(call: HttpCall) -> bytes:
    return response(200, b"%b %b %b" % (call.method, call.target, call.body))


def post(path: bytes, body: bytes = b"", extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path, extra, len(body), body,
    )  # fmt: skip


CHUNKED = (
    b"POST /chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
)
STREAM = (
    post(b"/one", b'{"id":1}')
    + b"GET /two?t=1&p=2 HTTP/1.1\r\nHost: b\r\n\r\n"
    + CHUNKED
    + post(b"/three", b"x" * 70)
    + post(b"/last", b"bye", b"Connection: close\r\n")
)


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@thorough
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_cut_of_the_bytes_gives_the_same_answers(places: list[int]) -> None:
    whole, pieces = Client(), Client()
    whole.send(STREAM)
    pieces.send(*cut(STREAM, places))
    assert pieces.received == whole.received
    assert pieces.transport.closed
    assert whole.received.count(b"HTTP/1.1 200 OK") == 5


def test_byte_by_byte_is_the_same_as_at_once() -> None:
    assert Client().send(*(bytes([one]) for one in STREAM)) == Client().send(STREAM)


BROKEN = [
    b"garbage\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
]


@thorough
@given(st.sampled_from(BROKEN), st.lists(st.integers(0, 60), max_size=6))
def test_garbage_is_answered_400_after_what_could_be_read_and_ends_the_connection(
    garbage: bytes, places: list[int]
) -> None:
    client = Client()
    received = client.send(*cut(post(b"/fine", b"1") + garbage, places))
    assert received == response(200, b"POST /fine 1") + refusal(400)
    assert client.transport.ended
    assert client.send(post(b"/more")) == received


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]])
def test_h10_pipelined_requests_are_answered_in_order_whoever_is_ready_first(
    order: list[int],
) -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/0"), post(b"/1") + post(b"/2"))
    for place in order:
        assert client.calls[place].respond(echo(client.calls[place]))
    assert client.received == b"".join(response(200, b"POST /%d " % n) for n in range(3))
    assert not client.transport.closed


def test_answers_that_become_ready_together_leave_in_one_write() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/0") + post(b"/1") + post(b"/2"))
    for place in (2, 1):
        client.calls[place].respond(response(204))
    assert client.transport.written == []
    client.calls[0].respond(response(204))
    assert len(client.transport.written) == 1


def test_h10_a_connection_stays_open_for_thousands_of_requests() -> None:
    client = Client()
    for n in range(5_000):
        client.send(post(b"/%d" % n))
    assert len(client.calls) == 5_000
    assert not client.transport.closed


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"/", b"", b"Connection: close\r\n"),
        b"GET / HTTP/1.0\r\n\r\n",
        # It would wait for the end: only "Connection: keep-alive" would tell it otherwise.
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
)
def test_connection_close_and_http_1_0_end_the_connection_after_the_answer(
    request_bytes: bytes,
) -> None:
    client = Client(answers_at_once=False)
    client.send(request_bytes + post(b"/ignored"))
    assert not client.transport.closed
    (call,) = client.calls
    assert call.respond(response(204))
    assert client.received == response(204)
    assert client.transport.closed


@pytest.mark.parametrize("piece", [10, 1_000, 5_000, 10**9])
def test_h14_an_oversize_head_is_400_however_it_comes(piece: int) -> None:
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * (2 * MAX_HEAD_BYTES) + b"\r\n\r\n"
    client = Client()
    client.send(*(head[at : at + piece] for at in range(0, len(head), piece)))
    assert client.received == refusal(400)
    assert client.transport.ended
    assert client.calls == []


@pytest.mark.parametrize("piece", [100, 5_000, 10**9])
def test_h14_a_large_body_is_not_taken_for_an_oversize_head(piece: int) -> None:
    stream = post(b"/a", b"x" * (3 * MAX_HEAD_BYTES)) + post(b"/b", b"x" * MAX_BODY_BYTES)
    client = Client()
    client.send(*(stream[at : at + piece] for at in range(0, len(stream), piece)))
    assert [len(call.body) for call in client.calls] == [3 * MAX_HEAD_BYTES, MAX_BODY_BYTES]


@pytest.mark.parametrize("piece", [5_000, 10**9])
def test_h14_an_oversize_body_is_413_and_is_not_kept(piece: int) -> None:
    stream = post(b"/fine") + post(b"/", b"x" * (MAX_BODY_BYTES + 1)) + post(b"/more")
    client = Client()
    client.send(*(stream[at : at + piece] for at in range(0, len(stream), piece)))
    assert client.received == response(200, b"POST /fine ") + refusal(413)
    assert client.transport.ended


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
OFFERS = post(b"/0", b"zero") + post(b"/1", b"one", OFFER) + post(b"/2", b"two", OFFER)


@given(st.lists(st.integers(0, len(OFFERS)), max_size=6))
def test_an_offer_to_change_the_protocol_is_declined_and_the_request_read_with_its_body(
    places: list[int],
) -> None:
    """H10: some HTTP clients offer HTTP/2 with every request."""
    client = Client()
    client.send(*cut(OFFERS + post(b"/3", b"three"), places))
    assert [call.body for call in client.calls] == [b"zero", b"one", b"two", b"three"]
    assert client.calls[1].header(b"http2-settings") == b"AA"
    assert not client.transport.ended


def test_connect_is_refused() -> None:
    client = Client()
    assert client.send(b"CONNECT example.com:443 HTTP/1.1\r\n\r\nxyz") == refusal(400)
    assert client.transport.ended


def test_a_second_answer_is_ignored() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/"))
    (call,) = client.calls
    assert call.respond(response(204))
    assert not call.respond(response(200, b"late"))
    assert client.received == response(204)


def test_an_answer_to_a_client_that_is_gone_says_so() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/0") + post(b"/1"))
    client.connection.connection_lost(None)
    assert [call.respond(response(204)) for call in client.calls] == [False, False]
    assert client.received == b""


def test_a_client_that_sends_no_more_still_gets_its_answer() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/"))
    assert client.connection.eof_received(), "asyncio closes the transport otherwise"
    assert client.calls[0].respond(response(204))
    assert client.received == response(204)
    assert client.transport.closed
    assert not Client().connection.eof_received()


@pytest.mark.parametrize("status", [204, 400, 404, 405, 408, 413, 415, 503])
def test_h2_h3_h11_a_response_without_body_is_bare_and_states_our_version(status: int) -> None:
    """H2, H3, H11."""
    head, _, rest = response(status).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert rest == b""
    assert (b"Content-Length: 0" in head) == (status != 204)
    assert b"x-openrtb-version: 2.6" in head.split(b"\r\n")
    assert refusal(status).replace(b"Connection: close\r\n", b"") == response(status)


def test_h2_h6_h11_a_response_with_body_is_json_and_states_our_version() -> None:
    head, _, rest = response(200, b'{"id":"1"}').partition(b"\r\n\r\n")
    assert rest == b'{"id":"1"}'
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert set(lines[1:]) == {
        b"Content-Type: application/json",
        b"x-openrtb-version: 2.6",
        b"Content-Length: 10",
    }


# -- bounds on what is open -------------------------------------------------------------------


@thorough
@given(
    st.lists(st.booleans(), min_size=1, max_size=4 * MAX_OPEN_CALLS),
    st.lists(st.integers(0, 8_000), max_size=5),
)
def test_no_more_than_so_many_requests_are_open_and_all_are_answered_in_order(
    at_once: list[bool], places: list[int]
) -> None:
    """H10: however many are pipelined; some are answered at once, some later."""
    client = Client(answers_at_once=False)
    started: list[HttpCall] = []

    def handle(call: HttpCall) -> None:
        assert sum(one.answer is None for one in started) < MAX_OPEN_CALLS
        started.append(call)
        if at_once[len(started) - 1]:
            call.respond(echo(call))

    client.connection._handler = handle
    stream = b"".join(post(b"/%d" % n) for n in range(len(at_once)))
    client.send(*cut(stream, [min(place, len(stream)) for place in places]))
    turn = 0
    while unanswered := [call for call in started if call.answer is None]:
        # The last one first: answers that cannot leave yet.
        unanswered[-1 if turn % 2 else 0].respond(echo(unanswered[-1 if turn % 2 else 0]))
        turn += 1
    assert client.received == b"".join(response(200, b"POST /%d " % n) for n in range(len(at_once)))
    assert not client.is_paused()


def test_a_client_that_pipelines_too_much_is_not_read_from_until_half_is_answered() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/") * (MAX_OPEN_CALLS - 1))
    assert not client.is_paused()
    client.send(post(b"/") * 3)
    assert client.is_paused()
    assert len(client.calls) == MAX_OPEN_CALLS
    for call in client.calls[: MAX_OPEN_CALLS // 2]:
        assert client.is_paused()
        call.respond(response(204))
    assert not client.is_paused()
    assert len(client.calls) == MAX_OPEN_CALLS + 2


def test_the_last_of_many_requests_may_ask_for_the_end() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/") * (MAX_OPEN_CALLS + 5) + post(b"/", b"", b"Connection: close\r\n"))
    client.answers_at_once = True
    for call in client.calls[::-1]:  # so that all leave at once
        call.respond(response(204))
    assert client.received.count(b"HTTP/1.1 ") == MAX_OPEN_CALLS + 6
    assert client.transport.closed


def test_a_refusal_waits_for_requests_that_wait_themselves() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/") * (MAX_OPEN_CALLS + 1) + b"junk")
    while unanswered := [call for call in client.calls if call.answer is None]:
        assert not client.is_over()
        unanswered[0].respond(response(204))
    assert client.received == response(204) * (MAX_OPEN_CALLS + 1) + refusal(400)
    assert client.is_over()


def test_the_last_requests_of_a_client_that_ended_are_answered_though_they_waited() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/") * (MAX_OPEN_CALLS + 1))
    assert client.connection.eof_received()
    while unanswered := [call for call in client.calls if call.answer is None]:
        unanswered[0].respond(response(204))
    assert client.received == response(204) * (MAX_OPEN_CALLS + 1)
    assert client.transport.closed


# -- expectations and header fields -----------------------------------------------------------

EXPECTING = post(b"/", b"body", b"expect: 100-Continue\r\n")


def test_who_waits_for_a_100_before_the_body_gets_one_once() -> None:
    client = Client()
    assert client.send(EXPECTING[:20], EXPECTING[20:-4]) == CONTINUE
    assert client.send(EXPECTING[-4:-2]) == CONTINUE
    assert client.send(EXPECTING[-2:]) == CONTINUE + echo(client.calls[0])


@pytest.mark.parametrize(
    "request_bytes",
    [
        EXPECTING[:-2],  # has begun to send the body
        EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0")[:-4],
        EXPECTING.replace(b"100-C", b"200-C")[:-4],
        post(b"/", b"body")[:-4],
    ],
)
def test_who_does_not_wait_for_a_100_gets_none(request_bytes: bytes) -> None:
    assert Client().send(request_bytes) == b""


def test_a_100_does_not_overtake_the_answer_to_an_earlier_request() -> None:
    client = Client(answers_at_once=False)
    client.send(post(b"/") + EXPECTING[:-4])
    client.calls[0].respond(response(204))
    client.send(EXPECTING[-4:])
    client.calls[1].respond(response(204))
    assert client.received == response(204) * 2


TALKATIVE = post(b"/", b"gzip?", b"Accept-Encoding: br\r\naccept-encoding: GZIP\r\n")


@pytest.mark.parametrize("before", [b"", post(b"/first", b"1"), CHUNKED])
@pytest.mark.parametrize("from_the_end", [0, 1, 20])
def test_a_header_can_be_asked_for_whichever_way_the_request_came(
    before: bytes, from_the_end: int
) -> None:
    client = Client()
    stream = before + TALKATIVE
    client.send(*cut(stream, [len(stream) - from_the_end]))
    client.send(post(b"/next"), TALKATIVE, post(b"/a") + TALKATIVE)
    for call in client.calls:
        is_talkative = call.body == b"gzip?"
        assert call.header(b"accept-encoding") == (b"br, GZIP" if is_talkative else b"")
        assert call.may_mention(b"GZIP") or not is_talkative
        assert call.header(b"unheard-of") == b""
    assert len(client.calls) == (5 if not before else 6)


def test_a_word_in_the_body_is_not_taken_for_a_header() -> None:
    client = Client()
    client.send(post(b"/", b"gzip"))
    assert not client.calls[0].may_mention(b"gzip")


def test_h11_h12_any_version_is_taken_and_can_be_asked_for() -> None:
    """H11, H12."""
    for version in (b"2.6", b"2.5", b"9.99", b"", b"two", b"2.6.1-\xff"):
        client = Client()
        client.send(post(b"/bid", b"{}", b"x-openrtb-version: %b\r\n" % version))
        assert client.calls[0].header(b"x-openrtb-version") == version
        assert b"200 OK" in client.received


def test_after_a_refusal_what_the_client_still_sends_is_thrown_away() -> None:
    """RFC 9112 section 9.6: a reset would take the answer away from it."""
    client = Client()
    client.send(b"junk\r\n\r\n")
    assert client.is_over()
    assert not client.transport.closed, "the kernel answers what comes now with a reset"
    for _ in range(100):
        client.send(b"x" * 100_000)
    assert client.received == refusal(400)
    assert not client.connection.eof_received(), "asyncio closes the transport"


def test_refusals_are_counted_by_their_reason() -> None:
    large = post(b"/", b"x" * (MAX_BODY_BYTES + 1))
    long = post(b"/", b"", b"X: %b\r\n" % (b"x" * MAX_HEAD_BYTES))
    for stream, reason in ((b"junk", "malformed"), (long, "head"), (large, "body")):
        with open_memory() as memory:
            counters = Counters(memory.fileno())
            Client(connections=Connections(LIMITS, counters)).send(stream)
            counts = {why: counters.value("bidder_http_refusals", why) for why in HTTP_REFUSALS}
        assert {why for why, count in counts.items() if count} == {reason}


def test_a_retiring_connection_says_so_with_its_next_answer_and_ends_with_it() -> None:
    """H10: nobody finds a connection closed under a request."""
    client = Client()
    client.connection.retire()
    before = client.transport.ended
    client.connection.data_received(post(b"/a", b"x"))
    (answer,) = client.transport.written
    assert answer.partition(b"\r\n")[2].startswith(b"Connection: close\r\n")
    assert (before, client.transport.ended) == (False, True), "a request may be on its way"
    assert not client.transport.closed, "a reset could overtake the answer"


def test_a_retiring_connection_answers_all_that_came_and_says_so_with_the_last() -> None:
    client = Client(answers_at_once=False)
    client.connection.data_received(post(b"/a", b"x") + post(b"/b", b"y"))
    client.connection.retire()
    first, second = client.calls
    first.respond(response(204))
    assert client.transport.written == [response(204)]
    assert not client.transport.ended
    second.respond(response(204))
    assert b"Connection: close" in client.transport.written[1]
    assert client.transport.ended


def test_answers_that_leave_together_on_a_retiring_connection_say_so_once() -> None:
    client = Client(answers_at_once=False)
    client.connection.data_received(post(b"/a", b"x") + post(b"/b", b"y"))
    client.connection.retire()
    for call in reversed(client.calls):
        call.respond(response(204))
    assert client.received.startswith(response(204))
    assert client.received.count(b"Connection: close") == 1


def test_a_refusal_on_a_retiring_connection_says_so_once_too() -> None:
    client = Client()
    client.connection.retire()
    client.connection.data_received(b"no request\r\n\r\n")
    assert client.received == refusal(400)


def test_open_connections_are_known_for_as_long_as_they_are_open() -> None:
    client = Client()
    assert list(client.connections) == [client.connection]
    client.connection.close()
    assert client.transport.closed, "nothing was to be answered"
    client.connection.connection_lost(None)
    assert list(client.connections) == []
