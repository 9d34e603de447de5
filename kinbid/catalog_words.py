"""What is wrong with a table of a catalogue file, in words that a marketer can act on.

The decoder's own messages name a place and a type; these name the field as it is written in the
file, and what may stand there.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import inspect

from models.errors import UnknownNameError

__all__ = ["decoder_words", "written_name"]

_ENUM: Final = re.compile(r"Invalid enum value '(?P<value>.*)'")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_EXPECTED: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`")
_PLACE: Final = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<path>.*)`$")
_STEP: Final = re.compile(r"[^.\[\]]+|\[\.\.\.\]|\[\d+\]")
_TYPES: Final = {
    "array": "a list", "object": "a table { ... }", "str": "a text in quotes",
    "bool": "true or false",
    "int": "a whole number", "float": "a number", "null": "nothing",
}  # fmt: skip


def written_name(field: str) -> str:
    """A record's field as files write it: money has its unit in the record only."""
    return field.removesuffix("_micros")


def decoder_words(error: msgspec.ValidationError, wanted: type) -> str:
    """The decoder's complaint about a table, with the field's name and what would be right.

    Args:
        error: as raised while the table was read.
        wanted: the record's type.
    """
    text = str(error)
    place = _PLACE.search(text)
    path = place["path"] if place else ""
    shape = _shape_at(inspect.type_info(wanted), _STEP.findall(path))
    of = f" of {path}" if path else ""
    if found := _ENUM.search(text):
        names = _choices(shape, of_keys=bool(place and place["key"]))
        return f"{path}: {found['value']!r} is not one of {', '.join(sorted(names))}"
    if found := _UNKNOWN.search(text):
        names = [written_name(one.encode_name) for one in _fields(shape)]
        return str(UnknownNameError(f"field{of}", found["name"], names))
    if found := _MISSING.search(text):
        return f"{written_name(found['name'])}{of} is missing"
    if found := _EXPECTED.search(text):
        return f"{path}: write {_type_words(found['wanted'])}, not {_type_words(found['given'])}"
    return text


def _type_words(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | "))


def _bare(shape: inspect.Type) -> inspect.Type:
    """A type without its limits, and without "or None"."""
    if isinstance(shape, inspect.Metadata):
        return _bare(shape.type)
    if isinstance(shape, inspect.UnionType):
        others = [one for one in shape.types if not isinstance(one, inspect.NoneType)]
        return _bare(others[0])
    return shape


def _shape_at(shape: inspect.Type, steps: Sequence[str]) -> inspect.Type:
    shape = _bare(shape)
    for step in steps:
        if isinstance(shape, inspect.StructType):
            shape = next((f.type for f in shape.fields if f.encode_name == step), shape)
        elif isinstance(shape, inspect.DictType):
            shape = shape.value_type
        elif isinstance(shape, inspect.VarTupleType | inspect.ListType):
            shape = shape.item_type
        elif isinstance(shape, inspect.TupleType):
            shape = shape.item_types[0]
        shape = _bare(shape)
    return shape


def _fields(shape: inspect.Type) -> Sequence[inspect.Field]:
    return shape.fields if isinstance(shape, inspect.StructType) else ()


def _choices(shape: inspect.Type, *, of_keys: bool) -> list[str]:
    if of_keys and isinstance(shape, inspect.DictType):
        shape = _bare(shape.key_type)
    return [str(one) for one in shape.values] if isinstance(shape, inspect.LiteralType) else []
