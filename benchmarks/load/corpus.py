"""Bid requests, encoded before the clock runs: whole HTTP messages that only have to be written."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec

from models.errors import KinbidError

__all__ = ["Corpus", "CorpusError"]


class CorpusError(KinbidError):
    """A file of requests that cannot be sent; the text names the line."""


class Corpus(NamedTuple):
    """Requests in the order in which they are sent, again from the first after the last.

    Attributes:
        bodies: JSON.
        ids: the requests' ids.
    """

    bodies: list[bytes]
    ids: list[str]

    @classmethod
    def of(cls, requests: Iterable[dict[str, Any]]) -> Self:
        """Encodes requests."""
        made = cls([], [])
        for one in requests:
            made.bodies.append(msgspec.json.encode(one))
            made.ids.append(one["id"])
        return made

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file of bid requests, one a line: bare, or as ``{"request": ...}``.

        Raises:
            CorpusError: the file cannot be read, is empty, or a line is no bid request.
        """
        try:
            lines = [line for line in path.read_bytes().splitlines() if line.strip()]
        except OSError as error:
            raise CorpusError(f"{path}: cannot be read ({error.strerror})") from error
        if not lines:
            raise CorpusError(f"{path}: has no request")
        return cls.of(_request(path, number, line) for number, line in enumerate(lines, start=1))

    def write(self, path: Path) -> None:
        """Writes what :meth:`read` reads."""
        path.write_bytes(b"\n".join(self.bodies) + b"\n")

    @property
    def sha256(self) -> str:
        """Over all bodies in their order."""
        digest = hashlib.sha256()
        for body in self.bodies:
            digest.update(body + b"\n")
        return digest.hexdigest()

    @property
    def mean_bytes(self) -> float:
        """The mean size of a body."""
        return sum(map(len, self.bodies)) / len(self.bodies)

    def messages(self, url: str) -> list[bytes]:
        """The HTTP messages that post every body to ``url``."""
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Content-Type: application/json\r\nx-openrtb-version: 2.6\r\nContent-Length: "
        ).encode()
        return [b"%b%d\r\n\r\n%b" % (head, len(body), body) for body in self.bodies]


def _request(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except msgspec.MsgspecError as error:
        raise CorpusError(f"{path}: line {number}: not JSON: {error}") from error
    request = found.get("request", found) if isinstance(found, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("id"), str):
        raise CorpusError(f"{path}: line {number}: not a bid request with an id")
    return request
