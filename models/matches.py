"""Cookie matches: which of our cookies an exchange's user id was seen with, and until when.

A match is no link between persons: an exchange's user id means something at that exchange only,
changes hands when cookies are cleared, and is forgotten after some weeks (OpenRTB 2.6, appendix C).
So it stands beside persons, and leads a bid request to our cookie while it is believed.
"""

from typing import Final

import msgspec

from models.commands import Steps
from models.errors import EventError
from models.event_base import check_key, check_node, check_time, not_ahead
from models.forest import erased_in
from models.identifiers import Namespace, NodeId, namespace_of
from models.keys import Keys
from models.units import DAY_MS

__all__ = [
    "LONGEST_MATCH_DAYS",
    "Match",
    "encode_match",
    "find_match",
    "keep_match",
    "read_match",
]

LONGEST_MATCH_DAYS: Final = 60


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One cookie sync.

    Attributes:
        node: the exchange's user id, scoped to the exchange; the key.
        cookie: our cookie.
        matched_ms: when the browser was seen with both, Unix ms.
        expires_ms: from then on it is not believed, Unix ms.
    """

    node: NodeId
    cookie: NodeId
    matched_ms: int
    expires_ms: int


encode_match: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Match).decode


def read_match(key: bytes | None, value: bytes | None, recorded_ms: int) -> Match:
    """Reads a match as it stands in Kafka.

    Args:
        key: its record's.
        value: its record's.
        recorded_ms: its record's timestamp, Unix ms.

    Raises:
        EventError: not a match, not under its user id, of other kinds of identifiers, or for longer
            than any match is believed.
    """
    try:
        match = _decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(f"not a match: {error}") from error
    for field, node, wanted in (
        ("node", match.node, Namespace.EXCHANGE_USER),
        ("cookie", match.cookie, Namespace.COOKIE),
    ):
        check_node(field, node)
        if namespace_of(node) is not wanted:
            raise EventError(f"{field}: {node!r} is no identifier of kind {wanted.name.lower()}")
    check_key(key, match.node)
    check_time("matched_ms", match.matched_ms)
    matched_ms = not_ahead("matched_ms", match.matched_ms, recorded_ms)
    if not matched_ms < match.expires_ms <= matched_ms + LONGEST_MATCH_DAYS * DAY_MS:
        wanted_days = f"at most {LONGEST_MATCH_DAYS} days after matched_ms"
        raise EventError(f"expires_ms: {match.expires_ms} is not {wanted_days}")
    return msgspec.structs.replace(match, matched_ms=matched_ms)


def keep_match(keys: Keys, match: Match, now_ms: int) -> Steps[None]:
    """Writes a match where bidders look; the newest of a user id stands, as records of it rise.

    What was told up to an erasure of either identifier is not written, also when it is read again.

    Args:
        keys: the owner's key names.
        match: what to write.
        now_ms: the present, Unix ms: what has expired by then is not written.
    """
    if match.expires_ms <= now_ms:
        return
    entries = yield [("GET", keys.parent(one)) for one in (match.node, match.cookie)]
    if match.matched_ms > max(map(erased_in, entries)):
        yield [("SET", keys.match(match.node), match.cookie, "PXAT", match.expires_ms)]


def find_match(keys: Keys, node: NodeId) -> Steps[NodeId | None]:
    """Our cookie behind an exchange's user id; None where there is none that is believed."""
    (found,) = yield [("GET", keys.match(node))]
    return None if found is None else NodeId(found.decode())
