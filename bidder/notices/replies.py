"""HTTP responses to browsers: a picture of one pixel, and a way on."""

import base64
from typing import Final

from bidder.http1 import response

__all__ = ["NO_CONTENT", "PIXEL", "pixel", "redirect"]

GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
"""One transparent pixel: the smallest picture that every browser shows."""

NO_CONTENT: Final = response(204)
_NOT_KEPT: Final = b"Cache-Control: no-store, must-revalidate\r\nExpires: 0\r\n"


def pixel(cookie: str = "") -> bytes:
    """The picture, which nobody may keep; with a ``Set-Cookie`` if there is one."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
        _NOT_KEPT,
        _set_cookie(cookie),
        len(GIF),
        GIF,
    )


def redirect(location: str, cookie: str = "") -> bytes:
    """302 to an address in ASCII."""
    return (
        b"HTTP/1.1 302 Found\r\nLocation: %b\r\n%b%bReferrer-Policy: no-referrer\r\n"
        b"Content-Length: 0\r\n\r\n"
    ) % (location.encode("ascii"), _NOT_KEPT, _set_cookie(cookie))


def _set_cookie(cookie: str) -> bytes:
    return b"Set-Cookie: %b\r\n" % cookie.encode("ascii") if cookie else b""


PIXEL: Final = pixel()
