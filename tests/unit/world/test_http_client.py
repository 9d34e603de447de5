import asyncio
import socket
from collections.abc import Callable, Coroutine

import pytest
import uvloop

from benchmarks.world.http_client import (
    Connection,
    HttpClient,
    HttpError,
    get_request,
    post_request,
)
from tests.unit.world.stub_bidder import StubBidder

Run = Callable[[Coroutine[None, None, list[bytes]]], list[bytes]]

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"id":1}'
NO_BID = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.is_aborted = True


def connected() -> tuple[Connection, FakeTransport]:
    connection, transport = Connection(), FakeTransport()
    connection.connection_made(transport)
    return connection, transport


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_responses_may_be_cut_anywhere(size: int) -> None:
    async def ask() -> list[tuple[int, bytes]]:
        connection, transport = connected()
        answers = []
        for response in (OK, NO_BID, CHUNKED, OK):
            answer = connection.request(b"request", 5)
            for begin in range(0, len(response), size):
                connection.data_received(response[begin : begin + size])
            answers.append((await answer)[:2])
        assert transport.written == [b"request"] * 4
        connection.close()
        return answers

    expected = [(200, b'{"id":1}'), (204, b""), (200, b"abcde"), (200, b'{"id":1}')]
    assert asyncio.run(ask()) == expected


@pytest.mark.parametrize(
    ("garbage", "kind"), [(b"not http at all\r\n\r\n", "malformed"), (b"", "closed")]
)
def test_what_is_no_response_fails_the_request_and_closes(garbage: bytes, kind: str) -> None:
    async def ask() -> str:
        connection, transport = connected()
        answer = connection.request(b"request", 5)
        if garbage:
            connection.data_received(garbage)
        else:
            connection.connection_lost(None)
        with pytest.raises(HttpError) as caught:
            await answer
        assert transport.is_aborted
        assert not connection.is_open
        with pytest.raises(HttpError, match="closed"):
            await connection.request(b"again", 5)
        return caught.value.kind

    assert asyncio.run(ask()) == kind


def test_a_silent_server_is_a_timeout_and_the_connection_is_not_used_again() -> None:
    async def ask() -> None:
        connection, _ = connected()
        with pytest.raises(HttpError, match="timeout"):
            await connection.request(b"request", 0.01)
        assert not connection.is_open

    asyncio.run(ask())


def test_a_response_that_nobody_asked_for_closes_the_connection() -> None:
    async def hear() -> bool:
        connection, _ = connected()
        connection.data_received(OK)
        return connection.is_open

    assert asyncio.run(hear()) is False


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_requests_share_few_connections_and_each_gets_its_own_answer(run: Run) -> None:
    async def ask() -> list[bytes]:
        async with StubBidder(lambda path, body: (200, path.encode() + body)) as server:
            client = HttpClient(connections=3)
            await client.connect(server.host)
            answers = await asyncio.gather(
                *(
                    client.send(server.host, post_request(f"/{n}", b"%d" % n, host=server.host))
                    for n in range(50)
                )
            )
            client.close()
            return [answer.body for answer in answers]

    assert run(ask()) == [b"/%d%d" % (n, n) for n in range(50)]


def test_a_cancelled_request_does_not_hand_its_answer_to_the_next_one() -> None:
    async def ask() -> bytes:
        asked = asyncio.Event()

        def answer(path: str, _: bytes) -> tuple[int, bytes]:
            asked.set()
            return 200, path.encode()

        async with StubBidder(answer) as server:
            client = HttpClient(connections=1)
            first = asyncio.create_task(
                client.send(server.host, post_request("/1", b"", host=server.host))
            )
            await asked.wait()
            first.cancel()
            second = await client.send(server.host, post_request("/2", b"", host=server.host))
            client.close()
            return second.body

    assert asyncio.run(ask()) == b"/2"


def test_nobody_listening_is_said_so() -> None:
    async def ask() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{probe.getsockname()[1]}"
        client = HttpClient()
        with pytest.raises(HttpError, match="connect"):
            await client.send(host, b"")
        with pytest.raises(HttpError, match="connect"):
            await client.connect(host)

    asyncio.run(ask())


def test_a_notice_is_a_get_of_the_whole_address() -> None:
    host, payload = get_request("http://127.0.0.1:8080/notice/win?t=abc&p=1.5")
    assert host == "127.0.0.1:8080"
    assert payload.startswith(b"GET /notice/win?t=abc&p=1.5 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert get_request("http://h:1")[1].startswith(b"GET / HTTP/1.1")
