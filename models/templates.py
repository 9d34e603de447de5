"""Creative templates: markup with named slots, parsed once, filled with escaped values.

``{route}`` is a slot; ``{{`` and ``}}`` stand for the braces themselves. ``${AUCTION_PRICE}`` and
the like are macros that the exchange expands (OpenRTB 2.6 section 4.4): they stay as they are.
"""

import re
from typing import Final, Literal, TypeAlias

from models.errors import InvalidFieldError, UnknownNameError

__all__ = ["SLOTS", "Goal", "Part", "parse_template"]

Goal: TypeAlias = Literal["flight", "product", "contextual"]

Part: TypeAlias = tuple[str, str | None]
"""Literal text, then the slot that follows it; None at the end."""

_COMMON: Final = frozenset({"click_url", "width", "height", "advertiser"})
SLOTS: Final[dict[Goal, frozenset[str]]] = {
    "flight": _COMMON
    | {"trip", "route", "origin", "destination", "depart_date", "fare", "seats_left"},
    "product": _COMMON | {"item", "title", "price", "group"},
    "contextual": _COMMON,
}
ALL_SLOTS: Final = frozenset().union(*SLOTS.values())

_TOKEN: Final = re.compile(
    r"(?P<macro>\$\{[A-Z][A-Z0-9_]*(?::[A-Za-z0-9_-]+)?\})|\{\{|\}\}|\{(?P<slot>[a-z_]*)\}|[{}]"
)


def parse_template(text: str, field: str, known: frozenset[str] = ALL_SLOTS) -> tuple[Part, ...]:
    """Splits a template into literal text and slots.

    Args:
        text: the template.
        field: the name that an error shows.
        known: the slots that may be used.

    Raises:
        UnknownNameError: a slot that does not exist, with the nearest one.
        InvalidFieldError: a brace that begins or ends nothing.
    """
    parts: list[Part] = []
    literal, position = "", 0
    for token in _TOKEN.finditer(text):
        literal += text[position : token.start()]
        position = token.end()
        if token["macro"]:
            literal += token[0]
        elif token[0] in {"{{", "}}"}:
            literal += token[0][0]
        elif token["slot"]:
            if token["slot"] not in known:
                raise UnknownNameError(f"slot in {field}", token["slot"], known)
            parts.append((literal, token["slot"]))
            literal = ""
        else:
            raise InvalidFieldError(field, token[0], "a slot; write {{ or }} for a brace")
    return (*parts, (literal + text[position:], None))
