"""A small HTTP/1.1 client: keep-alive connections, one request at a time on each.

The measuring side must cost less than what it measures, so there is no general client here: a
request is bytes made by the caller, and a response is a status and a body.
"""

import asyncio
import time
from collections import deque
from typing import Final, Literal, NamedTuple, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

__all__ = ["HttpClient", "HttpError", "Response", "get_request", "post_request"]

MAX_WAITING: Final = 10_000
"""Requests that wait for a connection; more means that the server has stopped answering."""


class HttpError(Exception):
    """A request without an answer.

    Attributes:
        kind: what went wrong, for counting.
    """

    def __init__(self, kind: Literal["connect", "closed", "timeout", "malformed", "busy"]) -> None:
        super().__init__(kind)
        self.kind = kind


class Response(NamedTuple):
    """A status, a body, and when its last byte was parsed (``perf_counter_ns``)."""

    status: int
    body: bytes
    received_ns: int


def post_request(path: str, body: bytes, *, host: str) -> bytes:
    """The bytes of a POST of JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"x-openrtb-version: 2.6\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get_request(url: str) -> tuple[str, bytes]:
    """The host of an address, and the bytes of a GET of it."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return parts.netloc, f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()


class Connection(asyncio.Protocol):
    """One connection; whoever takes it from the pool has it alone until the answer is there."""

    def __init__(self) -> None:
        # Per connection.
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.is_open = False
        # Per request.
        self._answer: asyncio.Future[Response] | None = None
        self._body: list[bytes] = []

    def request(self, payload: bytes, timeout_seconds: float) -> asyncio.Future[Response]:
        """Sends a request; the future ends with a `Response` or an `HttpError`.

        A timeout closes the connection, since the answer may still come.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response] = loop.create_future()
        if self._transport is None or not self.is_open:
            answer.set_exception(HttpError("closed"))
            return answer
        self._answer, self._body = answer, []
        timer = loop.call_later(timeout_seconds, self._fail, "timeout")
        answer.add_done_callback(lambda _: timer.cancel())
        self._transport.write(payload)
        return answer

    def close(self) -> None:
        """Closes the connection; a request in flight fails as ``closed``."""
        self._fail("closed")

    def _fail(self, kind: Literal["closed", "timeout", "malformed"]) -> None:
        self.is_open = False
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(HttpError(kind))
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        # uvloop's transports have the methods of asyncio's, but are none of its classes.
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """Called by the loop."""
        self._fail("closed")

    def data_received(self, data: bytes) -> None:
        """Called by the loop: bytes may begin and end anywhere."""
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._fail("malformed")

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Called by the parser when a response is whole."""
        answer, self._answer = self._answer, None
        keeps = self._parser.should_keep_alive()
        if answer is None:
            self._fail("malformed")  # nobody asked
            return
        if not answer.done():
            status = self._parser.get_status_code()
            answer.set_result(Response(status, b"".join(self._body), time.perf_counter_ns()))
        if not keeps:
            self._fail("closed")


class _Pool:
    """The connections to one server."""

    def __init__(self, host: str, limit: int) -> None:
        name, _, port = host.rpartition(":")
        self._address = (name.strip("[]"), int(port)) if name else (host, 80)
        self._limit = limit
        self._opened = 0
        self._idle: deque[Connection] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> Connection:
        """An idle connection, the longest idle one first, so that all are used in turn."""
        while True:
            while self._idle:
                connection = self._idle.popleft()
                if connection.is_open:
                    return connection
                self._opened -= 1
            if self._opened < self._limit:
                return await self._open()
            if len(self._waiting) >= MAX_WAITING:
                raise HttpError("busy")
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

    async def _open(self) -> Connection:
        self._opened += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, *self._address
            )
        except OSError as error:
            self._opened -= 1
            self._wake()
            raise HttpError("connect") from error
        return connection

    def give_back(self, connection: Connection) -> None:
        """Puts a connection back after its answer, or its failure."""
        if connection.is_open:
            self._idle.append(connection)
        else:
            self._opened -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def fill(self) -> None:
        """Opens all connections at once, so that the kernel spreads them over the workers."""
        missing = self._limit - self._opened
        opened = await asyncio.gather(
            *(self._open() for _ in range(missing)), return_exceptions=True
        )
        for connection in opened:
            if isinstance(connection, Connection):
                self.give_back(connection)
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class HttpClient:
    """Connections to any number of servers.

    Args:
        connections: at most so many to each server; further requests wait their turn.
        timeout_seconds: for an answer, once a request has been sent.
    """

    def __init__(self, *, connections: int = 32, timeout_seconds: float = 2.0) -> None:
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._pools: dict[str, _Pool] = {}

    def _pool(self, host: str) -> _Pool:
        if host not in self._pools:
            self._pools[host] = _Pool(host, self._connections)
        return self._pools[host]

    async def connect(self, host: str) -> None:
        """Opens all connections to ``HOST:PORT``.

        Raises:
            HttpError: nobody listens there.
        """
        await self._pool(host).fill()

    async def send(self, host: str, payload: bytes) -> Response:
        """Sends a request and waits for the answer.

        Raises:
            HttpError: there was none.
        """
        pool = self._pool(host)
        connection = await pool.take()
        try:
            return await connection.request(payload, self._timeout_seconds)
        except asyncio.CancelledError:
            connection.close()  # its answer may still come, and would be taken for the next one's
            raise
        finally:
            pool.give_back(connection)

    def close(self) -> None:
        """Closes every connection that is not in use."""
        for pool in self._pools.values():
            pool.close()
