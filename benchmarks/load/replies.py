"""Answers as bytes: is one whole, what is its status, and is it a bid? No sockets here.

Heads repeat, so one that has been read is looked up from then on. All that is asked of a server is
HTTP/1.1 with a Content-Length or in chunks.
"""

from typing import Final, NamedTuple

import msgspec

__all__ = ["Reply", "ReplyError", "ReplyReader"]

BODYLESS: Final = frozenset({204, 304})
CHUNKED: Final = -1
MOST_HEADS: Final = 4096
CHECKED_OF: Final = 64
"""One answer in so many is decoded as JSON and compared with its request."""


class ReplyError(Exception):
    """What came is no answer to a bid request."""


class _Head(NamedTuple):
    """What a head says.

    Attributes:
        status: of the answer.
        body_bytes: the length of what follows, or ``CHUNKED``.
        keeps: the connection stays open.
    """

    status: int
    body_bytes: int
    keeps: bool


class Reply(NamedTuple):
    """One whole answer."""

    status: int
    is_bid: bool
    keeps: bool


class _Answer(msgspec.Struct):
    """What is checked of a bid response (OpenRTB 2.6 section 4.2.1): no bid needs no seat."""

    id: str
    seatbid: list[msgspec.Raw] = []


class ReplyReader:
    """Reads the answers of one run."""

    def __init__(self) -> None:
        self._heads: dict[bytes, _Head] = {}
        self._decode = msgspec.json.Decoder(_Answer).decode
        self._bids = 0

    def read(self, data: bytes, request_id: str) -> Reply | None:
        """The answer that ``data`` is; None while it is not whole.

        A status of 200 must have a bid response, since no bid is a 204 or an empty list of seats.

        Args:
            data: everything that came since the request was sent.
            request_id: of that request.

        Raises:
            ReplyError: what came is not HTTP, is longer than it says, or is no bid response.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self._heads.get(data[:end]) or self._read_head(data[:end])
        body = data[end + 4 :]
        if head.body_bytes == CHUNKED:
            whole = _joined(body)
            if whole is None:
                return None
            body = whole
        elif len(body) < head.body_bytes:
            return None
        elif len(body) > head.body_bytes:
            raise ReplyError("more bytes than the answer has")
        is_bid = head.status == 200 and self._is_bid(body, request_id)
        return Reply(head.status, is_bid, head.keeps)

    def _is_bid(self, body: bytes, request_id: str) -> bool:
        if not body.startswith(b"{") or not body.rstrip().endswith(b"}"):
            raise ReplyError("a 200 without an object")
        self._bids += 1
        if self._bids % CHECKED_OF == 1:
            self._check(body, request_id)
        return b'"bid"' in body

    def _check(self, body: bytes, request_id: str) -> None:
        try:
            answer = self._decode(body)
        except msgspec.MsgspecError as error:
            raise ReplyError(f"no bid response: {error}") from error
        if answer.id != request_id:
            raise ReplyError(f"answers request {answer.id!r} and not {request_id!r}")

    def _read_head(self, raw: bytes) -> _Head:
        lines = raw.decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ReplyError(f"not HTTP/1.1: {lines[0][:40]!r}")
        fields = {
            name.strip().lower(): value.strip().lower()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        keeps = fields.get("connection", "") != "close" and version != "HTTP/1.0"
        head = _Head(int(rest[:3]), _body_bytes(int(rest[:3]), fields), keeps)
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()
        self._heads[raw] = head
        return head


def _body_bytes(status: int, fields: dict[str, str]) -> int:
    if status in BODYLESS:
        return 0
    if fields.get("transfer-encoding") == "chunked":
        return CHUNKED
    length = fields.get("content-length", "")
    if not length.isdigit():
        raise ReplyError("neither a Content-Length nor chunks")
    return int(length)


def _joined(chunked: bytes) -> bytes | None:
    """The body of chunks (RFC 9112, 7.1); None while the last one is missing."""
    parts: list[bytes] = []
    at = 0
    while (line := chunked.find(b"\r\n", at)) >= 0:
        try:
            size = int(chunked[at:line].partition(b";")[0], 16)
        except ValueError as error:
            raise ReplyError("a chunk without a size") from error
        if size == 0:
            return b"".join(parts) if chunked.endswith(b"\r\n\r\n") else None
        parts.append(chunked[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
    return None
