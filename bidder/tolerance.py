"""Bodies that deviate from the specification in types only, as some do every day.

A value of another type is taken as what it plainly means (``"1"``, ``1.0`` and true are 1, an id
17 is "17", one string is a list of one); what means nothing is dropped, as if it were absent.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

__all__ = ["tolerant_decoder"]

T = TypeVar("T")


def tolerant_decoder(wanted: type[T]) -> Callable[[bytes], T]:
    """A decoder of JSON into ``wanted`` that drops what it cannot read.

    The decoder raises a MsgspecError where the body is no JSON, or has not what is required.
    """
    shape = inspect.type_info(wanted)

    def decode(body: bytes) -> T:
        return msgspec.convert(_mended(shape, msgspec.json.decode(body)), wanted)

    return decode


def _mended(shape: inspect.Type, value: object) -> object:
    """The value as ``shape`` wants it, or None."""
    match shape:
        case inspect.UnionType():  # of a type and None, in all that we read
            (only,) = (one for one in shape.types if not isinstance(one, inspect.NoneType))
            return _mended(only, value)
        case inspect.StructType():
            return _mended_struct(shape, value)
        case inspect.ListType():
            entries = value if isinstance(value, list) else [value]
            mended = [_mended(shape.item_type, entry) for entry in entries]
            return [entry for entry in mended if entry is not None]
        case inspect.AnyType():
            return value
        case inspect.RawType():
            return msgspec.Raw(msgspec.json.encode(value))
        case inspect.StrType():
            return _text(value)
        case inspect.IntType():
            return _number(int, value)
        case _:
            return _number(float, value)


def _mended_struct(shape: inspect.StructType, value: object) -> dict[str, Any] | None:
    """None too where a required field is missing, so a broken entry leaves its list."""
    if not isinstance(value, dict):
        return None
    fields = shape.fields
    mended = {f.name: _mended(f.type, value[f.name]) for f in fields if f.name in value}
    if any(f.required and mended.get(f.name) is None for f in fields):
        return None
    return mended


def _text(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _number(kind: type[int] | type[float], value: object) -> object:
    plain = int(value) if isinstance(value, bool) else value
    try:
        return msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError:
        return None
