"""Creative templates: markup with named slots, parsed once, filled with escaped values.

``{route}`` is a slot; ``{{`` and ``}}`` stand for the braces themselves.
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

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([a-z_]*)\}|[{}]")


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
        if token[0] in {"{{", "}}"}:
            literal += token[0][0]
        elif token[1]:
            if token[1] not in known:
                raise UnknownNameError(f"slot in {field}", token[1], known)
            parts.append((literal, token[1]))
            literal = ""
        else:
            raise InvalidFieldError(field, token[0], "a slot; write {{ or }} for a brace")
    return (*parts, (literal + text[position:], None))
