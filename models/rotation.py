"""Kafka's records after the pepper was rotated: every node in them hashed once more.

Which fields hold nodes is read off the types of records, so a new kind of event is rotated too.
What else a record says, fields that this version does not know included, stays as it is.
"""

import functools
import types
import typing
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from models.erasure_records import ErasureRecord, decode_erasure
from models.events import Event, Outcome, read_event, read_outcome
from models.evidence import pair_of
from models.identifiers import NodeId
from models.link_records import (
    LinkRecord,
    decode_evidence_record,
    decode_quarantine,
    decode_told,
    decode_verdict,
    pair_key,
    pair_named,
    told_pair,
)
from models.matches import Match, read_match
from models.topics import Topic, Topics

__all__ = ["ROTATED", "Rehash", "Rotate", "rotate_event"]

Rehash: TypeAlias = Callable[[NodeId], NodeId]
"""The node that a stored one becomes, see :func:`models.identifiers.rehash`."""

Record: TypeAlias = tuple[bytes | None, bytes | None]
"""A key and a value."""

Rotate: TypeAlias = Callable[[bytes | None, bytes | None, int, Rehash], Record]
"""Turns a key and a value, of a record with this timestamp (Unix ms), into those of the new owner;
raises EventError for what is no record of its topic."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def rotate_event(
    key: bytes | None, value: bytes | None, recorded_ms: int, rehash: Rehash
) -> Record:
    """A record of the events topic.

    Raises:
        EventError: as :func:`models.events.read_event`.
    """
    event = read_event(key, value, recorded_ms)
    return rehash(event.ids[0]).encode(), _rotated(event, value or b"", rehash)


def _rotate_outcome(
    key: bytes | None, value: bytes | None, recorded_ms: int, rehash: Rehash
) -> Record:
    outcome = read_outcome(key, value, recorded_ms)
    if not outcome.node:
        return key, value  # shown for its context, to nobody
    return rehash(outcome.node).encode(), _rotated(outcome, value or b"", rehash)


def _rotate_match(
    key: bytes | None, value: bytes | None, recorded_ms: int, again: Rehash
) -> Record:
    match = read_match(key, value, recorded_ms)
    return again(match.node).encode(), _rotated(match, value or b"", again)


def _rotate_erasure(key: bytes | None, value: bytes | None, _: int, rehash: Rehash) -> Record:
    erasure = decode_erasure(key, value or b"")
    return rehash(erasure.node).encode(), _rotated(erasure, value or b"", rehash)


def _link_record(decode: Callable[[bytes | None, bytes], LinkRecord]) -> Rotate:
    def rotate(key: bytes | None, value: bytes | None, _: int, rehash: Rehash) -> Record:
        a, b = pair_of(*map(rehash, pair_named(key)))
        if value is None:
            return pair_key(a, b), None
        decode(key, value)
        return pair_key(a, b), _encode({**_decode(value), "a": a, "b": b})

    return rotate


def _rotate_told(key: bytes | None, value: bytes | None, _: int, rehash: Rehash) -> Record:
    a, b = pair_of(*map(rehash, told_pair(key)))
    turned = pair_key(a, b) + b"|" + (key or b"").rpartition(b"|")[2]
    if value is None:
        return turned, None
    decode_told(key, value)
    return turned, _encode({**_decode(value), "a": a, "b": b})


def _as_it_is(key: bytes | None, value: bytes | None, _: int, __: Rehash) -> Record:
    return key, value


ROTATED: Final[dict[Topic, Rotate]] = {
    # The shield comes first: whoever uses a copy that broke off brings nobody back.
    Topics.ERASURES: _rotate_erasure,
    Topics.CATALOG: _as_it_is,
    Topics.OFFERS: _as_it_is,
    Topics.VERDICTS: _link_record(decode_verdict),
    Topics.QUARANTINE: _link_record(decode_quarantine),
    Topics.LINK_HISTORY: _rotate_told,
    Topics.EVIDENCE: _link_record(decode_evidence_record),
    Topics.OUTCOMES: _rotate_outcome,
    Topics.MATCHES: _rotate_match,
    Topics.EVENTS: rotate_event,
}
"""The topics that an owner's persons and ads follow from. Inventory has gone into offers, and dead
letters are what could not be read."""


def _rotated(
    record: Event | Outcome | Match | ErasureRecord, value: bytes, rehash: Rehash
) -> bytes:
    fields = _decode(value)
    for name in _node_fields(type(record)):
        if held := fields.get(name):
            is_one = isinstance(held, str)
            fields[name] = rehash(NodeId(held)) if is_one else [rehash(one) for one in held]
    return _encode(fields)


@functools.cache
def _node_fields(record: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields that hold a node, perhaps none, or a tuple of them."""
    return tuple(name for name, hint in typing.get_type_hints(record).items() if _is_node(hint))


def _is_node(hint: object) -> bool:
    if hint is NodeId:
        return True
    is_either = typing.get_origin(hint) in {types.UnionType, typing.Union, tuple}
    return is_either and any(_is_node(one) for one in typing.get_args(hint))
