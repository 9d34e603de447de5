"""A stand-in for the bidder: an HTTP server in the test's own event loop."""

import asyncio
from collections.abc import Callable
from typing import cast

from httptools import HttpRequestParser

Handler = Callable[[str, bytes], tuple[int, bytes]]
"""From path and body to status and body."""


class _Session(asyncio.Protocol):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._parser = HttpRequestParser(self)
        self._transport: asyncio.WriteTransport | None = None
        self._path, self._body = "", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._body = url.decode(), b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self._transport is not None
        status, body = self._handler(self._path, self._body)
        length = b"" if status == 204 else b"Content-Length: %d\r\n" % len(body)
        self._transport.write(b"HTTP/1.1 %d X\r\n%b\r\n%b" % (status, length, body))


class StubBidder:
    """Serves ``handler`` on a free loopback port within ``async with``."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self.host = ""

    async def __aenter__(self) -> "StubBidder":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self._handler), "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
