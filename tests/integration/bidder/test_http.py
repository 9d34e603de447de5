"""A real worker over real sockets: what tests in memory cannot see of HTTP."""

import asyncio
import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, Final

import msgspec
import pytest

from bidder.content_coding import MAX_INFLATED_BYTES
from bidder.http1 import MAX_OPEN_CALLS
from kinbid.engines import EmbeddedKafka, RedisEngine
from tests.integration.bidder.test_worker import (
    NORTH,
    Bidder,
    bid_request,
    publish,
    settings_of,
    start_bidder,
)

pytestmark = pytest.mark.integration

RECEIVE_SECONDS: Final = 1
IDLE_SECONDS: Final = 4
TURN_SECONDS: Final = 20  # the wheel's two, and the rest for a busy machine
CONNECTIONS: Final = 40
SLOTS: Final = [{"id": f"slot-{n}", "banner": {"w": 300, "h": 250}, "secure": 0} for n in range(4)]
NO_BID: Final = bid_request(cur=["EUR"])


@pytest.fixture(scope="module")
def bidder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bidder]:
    """One worker that has little patience."""
    folder = tmp_path_factory.mktemp("http")
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedKafka.start(folder / "kafka"))
        store = stack.enter_context(RedisEngine.start(folder / "redis"))
        settings = msgspec.structs.replace(
            settings_of(broker, store),
            bidder_workers=1,
            bidder_receive_seconds=RECEIVE_SECONDS,
            bidder_idle_seconds=IDLE_SECONDS,
            bidder_connections=CONNECTIONS,
        )
        asyncio.run(publish(settings))
        running = start_bidder(settings, folder)
        stack.enter_context(running.child)
        yield running


@pytest.fixture
def line(bidder: Bidder) -> Iterator[socket.socket]:
    """One connection."""
    with connect(bidder) as connected:
        yield connected


def connect(bidder: Bidder) -> socket.socket:
    return socket.create_connection((str(bidder.host), bidder.port), timeout=30)


def post(body: bytes, fields: bytes = b"", path: bytes = NORTH.encode()) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: b\r\n%bContent-Length: %d\r\n\r\n%b" % (
        path, fields, len(body), body,
    )  # fmt: skip


def answers(line: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """The next answers on a connection, each in its turn."""
    stream = line.makefile("rb")
    found = []
    for _ in range(count):
        status = int(stream.readline().split(b" ")[1])
        fields = dict[bytes, bytes]()
        while (field := stream.readline().rstrip()) != b"":
            name, _, value = field.partition(b": ")
            fields[name.lower()] = value
        body = stream.read(int(fields.get(b"content-length", b"0")))
        coding = fields.get(b"content-encoding")
        found.append((status, gzip.decompress(body) if coding == b"gzip" else body))
    return found


def statuses(line: socket.socket, count: int) -> list[int]:
    return [status for status, _ in answers(line, count)]


def seconds_until_closed(line: socket.socket) -> float:
    """How long until the other end closes; what it says before that is thrown away."""
    started = time.monotonic()
    while True:
        try:
            if not line.recv(65_536):
                break
        except ConnectionResetError:
            break
    return time.monotonic() - started


def test_h10_one_connection_serves_thousands_of_requests_one_after_the_other(
    bidder: Bidder,
) -> None:
    """H2, H5, H10."""
    before = bidder.metric("bidder_connections_cut_total")
    with closing(http.client.HTTPConnection(str(bidder.host), bidder.port, timeout=30)) as client:
        client.connect()
        connected = client.sock
        for number in range(3_000):
            client.request("POST", NORTH, NO_BID if number % 3 else bid_request())
            response = client.getresponse()
            assert response.status == (204 if number % 3 else 200)
            response.read()
            assert client.sock is connected
    assert bidder.metric("bidder_connections_cut_total") == before


def test_h10_hundreds_of_pipelined_requests_are_answered_in_order(line: socket.socket) -> None:
    """H5, H10: far more at once than may be open."""
    # The last ones wait behind all others: with less time they would rightly get a 204 (H15).
    requests = (bid_request(id=f"request-{n}", tmax=5_000) for n in range(20 * MAX_OPEN_CALLS))
    stream = b"".join(map(post, requests))
    line.settimeout(60)
    line.sendall(stream)
    bodies = [body for _, body in answers(line, 20 * MAX_OPEN_CALLS)]
    assert [json.loads(b)["id"] for b in bodies] == [f"request-{n}" for n in range(len(bodies))]


def test_h8_h9_gzip_goes_both_ways(bidder: Bidder, line: socket.socket) -> None:
    """H8, H9."""
    fields = b"Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n"
    plain = bid_request(imp=SLOTS)
    line.sendall(post(plain) + post(gzip.compress(plain), fields))
    bids: list[list[dict[str, Any]]] = [
        json.loads(body)["seatbid"][0]["bid"] for _, body in answers(line, 2)
    ]
    assert [bid["impid"] for bid in bids[0]] == [bid["impid"] for bid in bids[1]]
    assert len(bids[0]) == len(SLOTS)
    assert bidder.metric("bidder_inflated_requests_total") == 1
    assert bidder.metric("bidder_gzip_answers_total") == 1


def test_h14_bombs_are_refused_without_memory_and_the_connection_goes_on(bidder: Bidder) -> None:
    """H14: twenty of 100 MB."""
    bomb = post(gzip.compress(b"{" + b" " * (100 << 20)), b"Content-Encoding: gzip\r\n")
    before_kb = peak_kb(bidder)
    with connect(bidder) as line:
        for _ in range(20):
            line.sendall(bomb)
        assert statuses(line, 20) == [413] * 20
        line.sendall(post(NO_BID))
        assert statuses(line, 1) == [204]
    assert peak_kb(bidder) - before_kb < 20 * 1024


def peak_kb(bidder: Bidder) -> int:
    """The most memory that the worker ever had."""
    (pid,) = bidder.pids
    with open(f"/proc/{pid}/status") as status:
        return next(int(one.split()[1]) for one in status if one.startswith("VmHWM"))


def test_h1_h3_h4_statuses_leave_the_connection_open(line: socket.socket) -> None:
    """H1, H3, H4."""
    line.sendall(
        b"GET %b HTTP/1.1\r\n\r\n" % NORTH.encode()
        + post(b"{}")
        + post(NO_BID, path=b"/openrtb2/nowhere/bid")
        + post(NO_BID, b"Content-Encoding: br\r\n")
        + post(b"\x1f\x8b", b"Content-Encoding: br\r\n")
        + post(NO_BID)
    )
    assert statuses(line, 6) == [405, 400, 404, 204, 415, 204]


def test_h3_what_is_no_http_is_answered_400_after_what_was(line: socket.socket) -> None:
    """H3."""
    line.sendall(
        post(NO_BID) + b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    )
    assert statuses(line, 2) == [204, 400]
    assert line.recv(1) == b""


def test_h14_who_sends_too_large_a_body_reads_its_413(line: socket.socket) -> None:
    """H14: a connection that is closed while the client writes is reset, and the answer lost."""
    line.sendall(post(b"{" * (2 * MAX_INFLATED_BYTES)))
    assert statuses(line, 1) == [413]
    assert line.recv(1) == b""


@pytest.mark.parametrize("is_in_body", [True, False])
def test_a_request_that_trickles_is_cut_and_others_are_served_meanwhile(
    bidder: Bidder, *, is_in_body: bool
) -> None:
    before = bidder.metric("bidder_connections_cut_total", "slow_request")
    request = post(NO_BID)
    start = len(request) - 50 if is_in_body else 5
    with connect(bidder) as slow, connect(bidder) as quick:
        slow.sendall(request[:start])
        slow.setblocking(False)
        started, received = time.monotonic(), b""
        for byte in range(start, len(request) - 1):
            quick.sendall(post(NO_BID))
            assert statuses(quick, 1) == [204]
            try:
                received = slow.recv(1_000)
                break
            except BlockingIOError:
                slow.sendall(request[byte : byte + 1])
            time.sleep(0.1)
        lasted = time.monotonic() - started
    assert received.startswith(b"HTTP/1.1 408 ")
    assert RECEIVE_SECONDS * 0.7 <= lasted < RECEIVE_SECONDS + TURN_SECONDS
    assert bidder.metric("bidder_connections_cut_total", "slow_request") == before + 1


def test_a_client_that_does_not_read_is_cut_and_costs_little_memory(bidder: Bidder) -> None:
    before = bidder.metric("bidder_connections_cut_total", "slow_reader")
    before_kb = peak_kb(bidder)
    request = post(bid_request(imp=SLOTS))
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.settimeout(RECEIVE_SECONDS + TURN_SECONDS)
        line.connect((str(bidder.host), bidder.port))
        with pytest.raises(ConnectionError):
            line.sendall(request * 40_000)  # more than all buffers on the way hold
    assert bidder.metric("bidder_connections_cut_total", "slow_reader") == before + 1
    assert peak_kb(bidder) - before_kb < 20 * 1024


def test_h10_an_idle_connection_ends_after_its_time(bidder: Bidder, line: socket.socket) -> None:
    """H10."""
    line.sendall(post(NO_BID))
    assert statuses(line, 1) == [204]
    lasted = seconds_until_closed(line)
    assert IDLE_SECONDS * 0.9 <= lasted < IDLE_SECONDS + TURN_SECONDS
    assert bidder.metric("bidder_connections_cut_total", "idle") >= 1


def test_connections_beyond_the_limit_are_closed_and_the_others_served(bidder: Bidder) -> None:
    before = bidder.metric("bidder_connections_cut_total", "too_many")
    with ExitStack() as stack:
        lines = [stack.enter_context(connect(bidder)) for _ in range(CONNECTIONS + 5)]
        for line in lines[-5:]:
            assert seconds_until_closed(line) < 5
        for line in lines[: CONNECTIONS // 2]:
            line.sendall(post(NO_BID))
            assert statuses(line, 1) == [204]
        assert bidder.metric("bidder_open_connections") == CONNECTIONS
    assert bidder.metric("bidder_connections_cut_total", "too_many") == before + 5


def test_a_client_that_closes_its_half_still_gets_its_answers(line: socket.socket) -> None:
    line.sendall(post(bid_request()) + post(NO_BID))
    line.shutdown(socket.SHUT_WR)
    assert statuses(line, 2) == [200, 204]
    assert line.recv(1) == b""


def test_a_client_that_waits_for_a_100_gets_it(line: socket.socket) -> None:
    request = post(NO_BID, b"Expect: 100-continue\r\n")
    line.sendall(request[: -len(NO_BID)])
    assert line.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.sendall(NO_BID)
    assert statuses(line, 1) == [204]


def test_chunks_and_any_cut_reach_the_same_answer(line: socket.socket) -> None:
    """H10."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = b"POST %b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" % NORTH.encode()
    stream = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(NO_BID), NO_BID) + post(NO_BID)
    for at in range(0, len(stream), 40):
        line.sendall(stream[at : at + 40])
        time.sleep(0.002)
    assert statuses(line, 2) == [204, 204]


def test_h17_health_is_another_port(bidder: Bidder) -> None:
    """H17."""
    assert bidder.ask("GET", "/healthz")[0] == 404
    assert bidder.admin_get("/healthz")[0] == 200
    assert "Traceback" not in bidder.child.output()
