"""Where the fuzzer starts: public sample requests, and every way to send one over HTTP."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.fuzz.targets import http_input

__all__ = ["DICTIONARY", "FOUND", "seeds"]

FOUND: Final = Path(__file__).parent / "found"
SAMPLES: Final = Path(__file__).parents[1] / "golden" / "openrtb_requests" / "requests.jsonl"

HEAD: Final = b"POST /openrtb2/north/bid HTTP/1.1\r\nHost: b\r\n"
BODY: Final = b'{"id":"1","imp":[{"id":"1"}]}'

DICTIONARY: Final = (
    "POST ", "GET ", "HEAD ", "CONNECT ", "PRI * HTTP/2.0", " HTTP/1.1", " HTTP/1.0", "\r\n",
    "\r\n\r\n", "\n", "\r", "Content-Length: ", "Content-Length: 5\r\n", "0\r\n\r\n", "chunked",
    "Transfer-Encoding: chunked\r\n", "Content-Encoding: gzip\r\n", "Accept-Encoding: gzip\r\n",
    "Expect: 100-continue\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n",
    "Connection: Upgrade\r\nUpgrade: h2c\r\n", "1;a=b\r\n", "ffffffffffffffff\r\n", "\0", ": ",
)  # fmt: skip
"""What libFuzzer puts in places of its choice."""


def seeds(target: str) -> Iterator[bytes]:
    """The inputs to start from."""
    if target == "openrtb":
        for line in SAMPLES.read_text().splitlines():
            yield json.dumps(json.loads(line)["request"]).encode()
        return
    for stream in _streams():
        yield http_input(stream)
        yield http_input(stream, 1, len(stream) // 3, len(stream) - 1)


def _streams() -> Iterator[bytes]:
    zipped = gzip.compress(BODY, mtime=0)
    plain = _sent(BODY)
    chunks = b"%bTransfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x;x=y\r\n%b\r\n0\r\nT: 1\r\n\r\n" % (
        HEAD, BODY[:5], len(BODY) - 5, BODY[5:],
    )  # fmt: skip
    yield plain
    yield plain * 3
    yield _sent(zipped, b"Content-Encoding: gzip\r\nAccept-Encoding: gzip\r\n")
    yield chunks + plain
    yield _sent(BODY, b"Expect: 100-continue\r\nX-OpenRTB-Version: 2.5\r\n") + chunks
    yield _sent(BODY, b"Connection: Upgrade\r\nUpgrade: h2c\r\n") + plain
    yield _sent(BODY * 60, b"Accept-Encoding: br, gzip;q=0.5\r\n")
    yield plain + _sent(BODY, b"Connection: close\r\n") + plain
    yield b"GET /notice/win?t=1&p=2 HTTP/1.1\r\n\r\nHEAD / HTTP/1.0\r\n\r\n"
    yield _sent(BODY, b"Content-Encoding: br\r\n") + b"\r\n\r\n" + plain + b"junk"


def _sent(body: bytes, fields: bytes = b"") -> bytes:
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (HEAD, fields, len(body), body)
