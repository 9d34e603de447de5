"""Where slots may stand in a banner: only where escaping keeps a value from becoming code.

Values are escaped as HTML text. That does not help in a script, in an unquoted attribute, in an
event handler, or where a value would begin an address (``javascript:``).
"""

import re
from html.parser import HTMLParser
from typing import Final

from models.errors import InvalidFieldError
from models.templates import parse_template

__all__ = ["check_slots_are_safe"]

_MARK: Final = re.compile(r"\ue000([a-z_]*)\ue001")
_TAG_NAME: Final = re.compile(r"</?\ue000([a-z_]*)\ue001")
_UNQUOTED: Final = re.compile(r"=\s*[^\s\"'>]*\ue000")
ADDRESSES: Final = frozenset(
    {"href", "src", "action", "formaction", "data", "poster", "srcset", "background", "xlink:href"}
)
NUMBERS: Final = frozenset({"width", "height"})
"""Slots that are whole numbers of ours, which may stand in a style."""
RAW_ELEMENTS: Final = frozenset({"script", "style", "iframe", "noscript", "template", "xmp"})


def check_slots_are_safe(html: str, field: str) -> None:
    """Checks a banner's template.

    Raises:
        InvalidFieldError: a slot stands where its value could run or reach out.
        UnknownNameError: a slot that does not exist.
    """
    text = "".join(
        literal + (f"\ue000{slot}\ue001" if slot else "")
        for literal, slot in parse_template(html, field)
    )
    if "\ue000" not in text:
        return
    begun = _TAG_NAME.search(text)
    if begun is not None:
        raise InvalidFieldError(
            f"{field}: slot in", "<{" + begun[1] + "}", "outside of a tag's name"
        )
    reader = _Reader(field)
    reader.feed(text)
    reader.close()


class _Reader(HTMLParser):
    def __init__(self, field: str) -> None:
        super().__init__(convert_charrefs=False)
        self._field = field
        self._raw: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in RAW_ELEMENTS:
            self._raw = tag
        written = self.get_starttag_text() or ""
        if "\ue000" not in written:
            return
        if _UNQUOTED.search(_without_quoted(written)):
            self._refuse(written, "in quotes: an unquoted attribute ends at a space")
        if "\ue000" in tag:
            self._refuse(tag, "outside of a tag's name")
        for name, value in attrs:
            self._check_attribute(name, value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._raw = None

    def handle_endtag(self, tag: str) -> None:
        if tag == self._raw:
            self._raw = None

    def handle_data(self, data: str) -> None:
        if self._raw is not None and "\ue000" in data:
            self._refuse(data, f"outside of <{self._raw}>: escaping does not help there")

    def _check_attribute(self, name: str, value: str) -> None:
        if "\ue000" in name:
            self._refuse(name, "outside of an attribute's name")
        slots = _MARK.findall(value)
        if not slots:
            return
        if name.startswith("on") or name == "srcdoc":
            self._refuse(value, f"outside of {name}: its value is run as code")
        if name == "style" and not NUMBERS.issuperset(slots):
            self._refuse(value, "outside of style; only {width} and {height} may stand there")
        if name in ADDRESSES and value.lstrip().startswith("\ue000") and slots[0] != "click_url":
            self._refuse(value, f"after https:// in {name}; only {{click_url}} may begin it")

    def _refuse(self, text: str, wanted: str) -> None:
        shown = _MARK.sub(r"{\1}", text)
        raise InvalidFieldError(f"{self._field}: slot in", shown[:120], wanted)


def _without_quoted(tag: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'", '""', tag)
