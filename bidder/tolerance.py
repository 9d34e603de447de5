"""Bodies that deviate from the specification in types, as some do every day.

A value of another type is taken as what it plainly means (``"1"``, ``1.0`` and true are 1, an id
17 is "17", one string is a list of one); what means nothing is dropped, as if it were absent. Three
exceptions: an object without a field that it must have is dropped whole, and so is one whose limit
(:data:`LIMIT`) cannot be read, since a block or a floor that is not understood must not pass for
none; and in place of what may forbid (:func:`unreadable_is`) stands what does. The readers are
compiled from the types once; each deviation is told by the field's path.
"""

from collections.abc import Callable
from math import isfinite
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import inspect

__all__ = ["LIMIT", "OnDeviation", "TolerantReader", "UnreadableError", "unreadable_is"]

T = TypeVar("T")

OnDeviation: TypeAlias = Callable[[str], None]
"""Told the path of a field, such as ``imp.banner.w``, whose value had another type."""

_Read: TypeAlias = Callable[[Any, OnDeviation], Any]
"""The value as it is wanted, or None."""

_IS_LIMIT: Final = "is_limit"
LIMIT: Final = msgspec.Meta(extra={_IS_LIMIT: True})
"""Marks a field that narrows what may be bid: unreadable, it takes its object along."""

_STAND_IN: Final = "stand_in"


def unreadable_is(stand_in: object) -> msgspec.Meta:
    """Marks a field in whose place another value stands where it was sent and cannot be read."""
    return msgspec.Meta(extra={_STAND_IN: stand_in})


_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})


class UnreadableError(Exception):
    """The body lacks a required field, or has a limit that cannot be read."""


class TolerantReader(Generic[T]):
    """Reads JSON into a Struct type.

    Args:
        wanted: the type.
    """

    def __init__(self, wanted: type[T]) -> None:
        shape = inspect.type_info(wanted)
        self._read = _reader(shape, "", is_limit=False)
        self._required = ", ".join(f.name for f in _fields(shape) if f.required)

    def __call__(self, body: bytes, on_deviation: OnDeviation) -> T:
        """Reads one body.

        Raises:
            msgspec.MsgspecError: no JSON.
            UnreadableError: what it must have is not there.
        """
        found: T | None = self._read(msgspec.json.decode(body), on_deviation)
        if found is None:
            wanted = f"no object with {self._required}, or a limit in it cannot be read"
            raise UnreadableError(wanted)
        return found


def _fields(shape: inspect.Type) -> tuple[inspect.Field, ...]:
    return shape.fields if isinstance(shape, inspect.StructType) else ()


def _reader(shape: inspect.Type, path: str, *, is_limit: bool) -> _Read:
    match shape:
        case inspect.Metadata():
            return _reader(shape.type, path, is_limit=is_limit)
        case inspect.UnionType():  # of a type and None, in all that we read
            (only,) = (one for one in shape.types if not isinstance(one, inspect.NoneType))
            return _reader(only, path, is_limit=is_limit)
        case inspect.StructType():
            return _struct(shape, path)
        case inspect.ListType():
            return _list(_reader(shape.item_type, path, is_limit=False), path, is_limit=is_limit)
        case inspect.VarTupleType():
            read = _list(_reader(shape.item_type, path, is_limit=False), path, is_limit=is_limit)
            return lambda value, tell: (
                None if (found := read(value, tell)) is None else tuple(found)
            )
        case inspect.AnyType():
            return lambda value, _: value
        case inspect.RawType():
            return lambda value, _: msgspec.Raw(msgspec.json.encode(value))
        case _:
            return _SCALARS[type(shape)](path)


def _struct(shape: inspect.StructType, path: str) -> _Read:
    make: Callable[..., object] = shape.cls
    fields = [
        (
            f.name, f.encode_name, _reader(f.type, inner, is_limit=_is_limit(f)), _is_limit(f),
            _extra(f).get(_STAND_IN),
        )
        for f, inner in ((f, f"{path}.{f.encode_name}".lstrip(".")) for f in shape.fields)
    ]  # fmt: skip
    required = frozenset(f.name for f in shape.fields if f.required)

    def read(value: object, tell: OnDeviation) -> object | None:
        if not isinstance(value, dict):
            _tell_of(path, tell)
            return None
        found: dict[str, object] = {}
        for name, wire_name, read_field, is_limit, stand_in in fields:
            given = value.get(wire_name)
            if given is None:
                continue
            one = read_field(given, tell)
            if one is None and not _means_nothing(given):
                if is_limit:
                    return None
                one = stand_in
            if one is not None:
                found[name] = one
        if not required <= found.keys():
            _tell_of(path, tell)
            return None
        return make(**found)

    return read


def _tell_of(path: str, tell: OnDeviation) -> None:
    if path:  # of the whole body it is no deviation: such a body is refused
        tell(path)


def _is_limit(field: inspect.Field) -> bool:
    return bool(_extra(field).get(_IS_LIMIT))


def _extra(field: inspect.Field) -> dict[str, Any]:
    shape = field.type
    return (shape.extra or {}) if isinstance(shape, inspect.Metadata) else {}


def _means_nothing(value: object) -> bool:
    """Whether a value says no more than an absent one: some exchanges write "" for unknown."""
    if isinstance(value, list):  # not further down: a body may nest as deep as it likes
        return all(entry in _NOTHING for entry in value)
    return value in _NOTHING


def _list(read_entry: _Read, path: str, *, is_limit: bool) -> _Read:
    """One value is a list of one; what cannot be read leaves the list, or, of a limit, ends it."""

    def read(value: object, tell: OnDeviation) -> list[object] | None:
        if not isinstance(value, list):
            if _means_nothing(value):
                return None
            tell(path)
            value = [value]
        found: list[object] = []
        for entry in value:
            one = None if entry is None else read_entry(entry, tell)
            if one is not None:
                found.append(one)
            elif entry is None:
                tell(path)
            elif is_limit and not _means_nothing(entry):
                return None
        return found

    return read


def _text(path: str) -> _Read:
    def read(value: object, tell: OnDeviation) -> str | None:
        if isinstance(value, str):
            return value
        tell(path)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return str(value) if is_number else None

    return read


def _whole(path: str) -> _Read:
    def read(value: object, tell: OnDeviation) -> int | None:
        if type(value) is int:
            return value
        tell(path)
        return _converted(value, int)

    return read


def _amount(path: str) -> _Read:
    def read(value: object, tell: OnDeviation) -> float | None:
        if type(value) is float or type(value) is int:
            return _converted(value, float)
        tell(path)
        amount = _converted(value, float)
        return amount if amount is not None and isfinite(amount) else None

    return read


_SCALARS: Final[dict[type[inspect.Type], Callable[[str], _Read]]] = {
    inspect.StrType: _text,
    inspect.IntType: _whole,
    inspect.FloatType: _amount,
}
"""A type that stands neither here nor above is a KeyError at import."""


def _converted(value: object, kind: type[T]) -> T | None:
    plain = int(value) if isinstance(value, bool) else value
    try:
        return msgspec.convert(plain, kind, strict=False)
    except msgspec.ValidationError:
        return None
