"""Whole HTTP answers as bytes: what can be written before a request comes stands here ready.

Every answer states the version that we speak (OpenRTB 2.6 section 2.5). A no-bid and a refusal
are bare (section 2.1).
"""

from typing import Final

__all__ = ["CONTINUE", "gzipped_json", "method_refused", "refusal", "response"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS: Final = {
    200: b"OK", 204: b"No Content", 400: b"Bad Request", 404: b"Not Found",
    405: b"Method Not Allowed", 408: b"Request Timeout", 413: b"Content Too Large",
    415: b"Unsupported Media Type", 503: b"Service Unavailable",
}  # fmt: skip
_VERSION: Final = b"x-openrtb-version: 2.6\r\n"
_MORE: Final = {
    405: b"Allow: POST\r\n",  # RFC 9110 section 15.5.6: must say what is allowed
    415: b"Accept-Encoding: gzip\r\n",  # section 12.5.3: says that the coding was the fault
}


def _bare(status: int, more: bytes = b"") -> bytes:
    # RFC 9110 section 8.6: no Content-Length with a 204.
    length = b"" if status == 204 else b"Content-Length: 0\r\n"
    return b"HTTP/1.1 %d %b\r\n%b%b%b\r\n" % (status, _REASONS[status], _VERSION, more, length)


_EMPTY: Final = {status: _bare(status, _MORE.get(status, b"")) for status in _REASONS}
_LAST: Final = {
    status: _bare(status, b"%bConnection: close\r\n" % _MORE.get(status, b""))
    for status in _REASONS
}
_JSON_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    b"x-openrtb-version: 2.6\r\nContent-Length: %d\r\n\r\n%b"
)
_GZIP_HEAD: Final = _JSON_HEAD.replace(
    b"Content-Length", b"Content-Encoding: gzip\r\nContent-Length"
)


def response(status: int, body: bytes | None = None) -> bytes:
    """A whole response: JSON with a body, bare without."""
    return _EMPTY[status] if body is None else _JSON_HEAD % (len(body), body)


def gzipped_json(body: bytes) -> bytes:
    """A whole response whose body is JSON that has been gzipped."""
    return _GZIP_HEAD % (len(body), body)


def refusal(status: int) -> bytes:
    """A bare response after which we close the connection, and say so (RFC 9112 section 9.6)."""
    return _LAST[status]


def method_refused(allowed: bytes) -> bytes:
    """A 405 of a path that takes other methods than POST alone."""
    return _bare(405, b"Allow: %b\r\n" % allowed)
