"""Markup with values in it: each escaped for the place where it stands, and holes for our URLs.

A template gives a list of pieces: text, and holes for what differs from bid to bid (the addresses
of our notices). The pieces around the holes are JSON-encoded once and kept.
"""

import enum
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final, Protocol, TypeAlias
from urllib.parse import quote

import msgspec

from models.templates import Part

__all__ = [
    "Filled", "Hole", "Links", "Piece", "Template", "Values", "cdata", "click", "filled",
    "html_text", "json_text", "text_of", "url_of", "xml_text",
]  # fmt: skip

Values: TypeAlias = Mapping[str, str]
Target: TypeAlias = Callable[[str], str]
"""What stands behind the click prefix, for a landing page."""

_json: Final = msgspec.json.Encoder().encode
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document may hold, escaped or not (section 2.2)."""


class Hole(enum.IntEnum):
    """A place that is filled for each bid; the number is its index in :meth:`Links.texts`."""

    IMPRESSION = 0
    CLICK = 1
    IMPRESSION_HTML = 2
    CLICK_HTML = 3
    NONCE = 4


Piece: TypeAlias = str | Hole


class Template(Protocol):
    """An ad's markup before the values are in it."""

    def pieces(self, values: Values, landing: str, target: Target) -> Sequence[Piece]:
        """The markup.

        Args:
            values: of the slots, as they came.
            landing: the landing page, its values percent-encoded.
            target: what stands behind the click prefix for a landing page.
        """


class Links(msgspec.Struct, frozen=True, gc=False):
    """The addresses of one bid, made of what a URL may hold, so that only ``&`` needs an escape.

    Attributes:
        impression_url: our pixel.
        click_prefix: what stands before the landing page; empty where clicks go straight to it.
        nonce: names the bid.
    """

    impression_url: str
    click_prefix: str
    nonce: str

    def texts(self) -> tuple[bytes, bytes, bytes, bytes, bytes]:
        """What goes into each hole."""
        impression, click_prefix = self.impression_url.encode(), self.click_prefix.encode()
        return (
            impression,
            click_prefix,
            impression.replace(b"&", b"&amp;"),
            click_prefix.replace(b"&", b"&amp;"),
            self.nonce.encode(),
        )


class Filled(msgspec.Struct, frozen=True):
    """Markup with its values, as the inside of a JSON string; a hole after each part but the last.

    Attributes:
        parts: what stands between the holes.
        holes: one less than parts.
    """

    parts: tuple[bytes, ...]
    holes: tuple[int, ...]

    def with_links(self, links: Links) -> bytes:
        """The whole."""
        parts = self.parts
        if not self.holes:
            return parts[0]
        texts = links.texts()
        whole = [parts[0]]
        for hole, part in zip(self.holes, parts[1:], strict=True):
            whole.append(texts[hole])
            whole.append(part)
        return b"".join(whole)


def filled(pieces: Sequence[Piece]) -> Filled:
    """Encodes markup: its text as the inside of a JSON string."""
    parts: list[bytes] = []
    holes: list[int] = []
    text: list[str] = []
    for piece in pieces:
        if isinstance(piece, Hole):
            parts.append(_json("".join(text))[1:-1])
            holes.append(int(piece))
            text.clear()
        else:
            text.append(piece)
    parts.append(_json("".join(text))[1:-1])
    return Filled(tuple(parts), tuple(holes))


def text_of(template: Sequence[Part], values: Values) -> str:
    """A text with its values as they came."""
    return "".join(literal + (values.get(slot, "") if slot else "") for literal, slot in template)


def url_of(template: Sequence[Part], values: Values) -> str:
    """An address with its values percent-encoded."""
    return "".join(
        literal + (quote(values.get(slot, ""), safe="") if slot else "")
        for literal, slot in template
    )


def click(landing: str, target: Target) -> Iterator[Piece]:
    """The address that a click opens, unescaped."""
    yield Hole.CLICK
    yield target(landing)


def html_text(value: str) -> str:
    """A value as HTML text; in somebody's data no exchange finds a macro to expand (C3)."""
    return escape(value).replace("{", "&#123;")


def xml_text(value: str) -> str:
    """A value as XML text."""
    return html_text(_NO_XML.sub("\ufffd", value))


def json_text(value: str) -> str:
    """A value as the inside of a JSON string, without a brace that could begin a macro."""
    return _json(value)[1:-1].decode().replace("{", "\\u007b")


def cdata(*pieces: Piece) -> Iterator[Piece]:
    """Addresses as an XML CDATA section."""
    yield "<![CDATA["
    for piece in pieces:
        if isinstance(piece, Hole):
            yield piece
        else:
            yield _NO_XML.sub("\ufffd", piece).replace("]]>", "]]]]><![CDATA[>")
    yield "]]>"
