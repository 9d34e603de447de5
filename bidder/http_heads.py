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
    """The fields of one head.

    Attributes:
        fields: names and values, as they came.
    """

    __slots__ = ("_headers", "fields")

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self._headers: Headers | None = None

    @property
    def headers(self) -> Headers:
        """The fields by name; what comes later is not in it."""
        if self._headers is None:
            found: Headers = {}
            for name, value in self.fields:
                key = name.lower()
                found[key] = b"%b, %b" % (found[key], value) if key in found else value
            self._headers = found
        return self._headers

    def size_bytes(self) -> int:
        """Names and values, with the three bytes that each line has besides, at least."""
        return sum(len(name) + len(value) + 3 for name, value in self.fields)


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
            self.heads[-1].fields.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
