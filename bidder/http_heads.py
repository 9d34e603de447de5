"""The header fields of a request, for those requests of which anybody asks for one.

Most requests are answered without: naming each field to Python costs as much as the rest of the
parsing (:mod:`bidder.http1` has the numbers). So a request that came whole in one read is parsed a
second time when somebody asks, and only a request that came in parts keeps its fields at once.
"""

import contextlib
from typing import Final

import httptools

__all__ = ["MAX_HEADERS", "Head", "Headers", "head_of"]

Headers = dict[bytes, bytes]
"""Values by name in lower case; of a repeated field all, with commas (RFC 9110 section 5.3)."""

MAX_HEADERS: Final = 256  # exchanges send about ten; Apache takes 100, node 2,000


class Head:
    """The fields of one head, as they come, and how much they are.

    Attributes:
        headers: what came so far.
        count: the fields, repetitions included.
        size_bytes: names and values, with the three bytes that each line has besides, at least.
    """

    __slots__ = ("count", "headers", "size_bytes")

    def __init__(self) -> None:
        self.headers: Headers = {}
        self.count = 0
        self.size_bytes = 0

    def add(self, name: bytes, value: bytes) -> None:
        """One more field."""
        self.count += 1
        self.size_bytes += len(name) + len(value) + 3
        name = name.lower()
        earlier = self.headers.get(name)
        self.headers[name] = value if earlier is None else b"%b, %b" % (earlier, value)


def head_of(piece: bytes, index: int) -> Head:
    """The head of the request that stands at ``index`` among those that begin in ``piece``.

    Args:
        piece: bytes from the beginning of a request on, which the parser has read before.
        index: 0 is the first.
    """
    reader = _HeadReader()
    parser = httptools.HttpRequestParser(reader)
    # An error or an offer stands behind the request that is asked for: that has been read before.
    with contextlib.suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(piece)
    return reader.heads[index]


class _HeadReader:
    """Parser callbacks that keep every head of a piece; a trailer behind a body is no head."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self._in_head = False

    def on_message_begin(self) -> None:
        self.heads.append(Head())
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self.heads[-1].add(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
