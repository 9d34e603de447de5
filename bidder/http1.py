"""HTTP/1.1 on one connection: requests in, answers out in their order. No routes, no meaning.

Callbacks are synchronous; an answer may come at once or from a later callback. Pipelined requests
are answered in the order in which they came.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import httptools

__all__ = ["Handler", "HttpCall", "HttpConnection", "response"]

MAX_HEAD_BYTES: Final = 16 * 1024  # node and Apache draw the line at 8 to 16 KiB too
BID_PREFIX: Final = b"/openrtb2/"
MAX_BODY_BYTES: Final = 512 * 1024  # the largest public sample request is below 20 kB

_REASONS: Final = {
    200: b"OK", 204: b"No Content", 400: b"Bad Request", 404: b"Not Found",
    405: b"Method Not Allowed", 413: b"Content Too Large", 503: b"Service Unavailable",
}  # fmt: skip
_EMPTY: Final = {
    status: b"HTTP/1.1 %d %b\r\nContent-Length: 0\r\n\r\n" % (status, reason)
    for status, reason in _REASONS.items()
    if status != 204
} | {204: b"HTTP/1.1 204 No Content\r\n\r\n"}
_JSON_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"x-openrtb-version: 2.6\r\nContent-Length: %d\r\n\r\n%b"
)


def response(status: int, body: bytes | None = None) -> bytes:
    """A whole response: JSON with a body, bare without."""
    return _EMPTY[status] if body is None else _JSON_HEAD % (len(body), body)


class HttpCall:
    """One request on a connection, and the place of its answer."""

    __slots__ = ("_connection", "answer", "body", "headers", "method", "target")

    def __init__(self, connection: "HttpConnection", method: bytes, target: bytes) -> None:
        self._connection = connection
        self.method = method
        self.target = target
        self.body = b""
        self.headers: dict[bytes, bytes] = {}
        self.answer: bytes | None = None

    def header(self, name: bytes) -> bytes:
        """The value of a header field, its name in small letters; of bid requests none is kept."""
        return self.headers.get(name, b"")

    @property
    def peer(self) -> str:
        """The address that the connection came from; empty where nobody knows."""
        return self._connection.peer

    def respond(self, answer: bytes) -> bool:
        """Answers; returns False where it has been answered already or nobody is there."""
        if self.answer is not None:
            return False
        self.answer = answer
        return self._connection.flush()


Handler = Callable[[HttpCall], None]


class HttpConnection(asyncio.Protocol):
    """One client's connection.

    Args:
        handler: is given each whole request and answers it, now or later.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._open: deque[HttpCall] = deque()
        self._closing = False
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._in_body = False
        self._headers: dict[bytes, bytes] = {}

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers the transport."""
        self._transport = transport  # type: ignore[assignment]  # a stream transport by contract

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forgets what nobody waits for any more."""
        self._transport = None
        self._open.clear()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; what it cannot read ends the connection with a 400."""
        if len(data) <= MAX_HEAD_BYTES:
            self._feed(data)
            return
        # In pieces: whether a head is too long must not depend on how its bytes were cut.
        for start in range(0, len(data), MAX_HEAD_BYTES):
            self._feed(data[start : start + MAX_HEAD_BYTES])

    def _feed(self, data: bytes) -> None:
        if self._closing:
            return
        if not self._in_body:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end()  # no other protocol here; the request is answered and the connection ends
        except httptools.HttpParserError:
            self._refuse(400)
        if not self._in_body and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(400)

    def eof_received(self) -> bool:
        """The client will send no more; what is in flight is still answered."""
        self._closing = True
        return bool(self._open)

    # -- httptools' callbacks --------------------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; bid requests have none that we need."""
        if self._target.startswith(BID_PREFIX):
            return
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is over."""
        self._in_body = True

    def on_body(self, chunk: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(chunk)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(413)
        elif not self._closing:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """A whole request."""
        if self._closing:
            return
        exchange = HttpCall(self, self._parser.get_method(), self._target)
        exchange.headers = self._headers
        exchange.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._begin()
        self._closing = not self._parser.should_keep_alive()
        self._open.append(exchange)
        self._handler(exchange)

    @property
    def peer(self) -> str:
        """The client's address."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return str(name[0]) if isinstance(name, tuple) else ""

    # -- answers ---------------------------------------------------------------------------

    def flush(self) -> bool:
        """Writes the answers that are next in order; returns whether a client is there."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        ready: list[bytes] = []
        while self._open and (answer := self._open[0].answer) is not None:
            self._open.popleft()
            ready.append(answer)
        if ready:
            transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if self._closing and not self._open:
            transport.close()
        return True

    def _end(self) -> None:
        """Takes no more requests; closes once those that came are answered."""
        self._closing = True
        self.flush()

    def _refuse(self, status: int) -> None:
        """Answers what cannot be read, after all that could, and closes."""
        if self._closing:
            return
        self._closing = True
        refused = HttpCall(self, b"", b"")
        self._open.append(refused)
        refused.respond(response(status))
