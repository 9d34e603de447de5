"""What Redis keeps of one pool number: its leases, who dialled it, which links that made. Pure.

Every field is a fact that never changes, under a name that says which: a renewed lease is a
further field. Only a link's confidence is written anew, and decides nothing here. So writers need
no lock and no order, and whoever writes and then reads sees all that was written before.

Fields: ``l:LEASE@EXPIRES_MS`` a lease as it was told, ``c:CALL`` a call's start and caller,
``j:SESSION@CALL`` the call's caller was linked to that session, perhaps wrongly, ``x:SESSION@CALL``
that was found wrong.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from models.call_join import GRACE_MS, Outcome, join_call
from models.calls import Lease, join_leases, lease_of
from models.events import Call, NumberLease
from models.identifiers import NodeId
from models.units import DAY_MS

__all__ = [
    "BOOK_SECONDS",
    "MOST_CALLS",
    "MOST_LEASES",
    "Dialled",
    "NumberBook",
    "entry_of",
    "fields_about",
    "link_mark",
    "read_book",
    "wrong_mark",
]

KEPT_MS: Final = 2 * DAY_MS
"""A call or lease that is told of so much later than others of its number is not joined."""
BOOK_SECONDS: Final = KEPT_MS // 1000
MOST_LEASES: Final = 256
MOST_CALLS: Final = 256


class Dialled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Who dialled the number, and when, Unix ms."""

    time_ms: int
    caller: NodeId


class NumberBook(msgspec.Struct, frozen=True):
    """One number's book.

    Attributes:
        leases: by id.
        calls: by id.
        grace_ms: how long after a lease its number may still be dialled.
        linked: call id to the sessions that its caller was ever linked to for it, each with the
            confidence of that, percent.
        wrong_ms: call id and session to when that link was first found wrong, Unix ms.
        stale: fields that say nothing more about any call that may still be joined.
    """

    leases: dict[str, Lease]
    calls: dict[str, Dialled]
    linked: dict[str, dict[NodeId, int]]
    wrong_ms: dict[tuple[str, NodeId], int]
    stale: tuple[bytes, ...]
    grace_ms: int

    def outcome(self, call_id: str) -> Outcome:
        """The call's lease, as far as is known now."""
        return join_call(self.calls[call_id].time_ms, self.leases.values(), self.grace_ms)

    def calls_within(self, lease_ids: Iterable[str]) -> set[str]:
        """The calls that any of these leases could have made."""
        leases = [self.leases[one] for one in lease_ids if one in self.leases]
        return {
            call_id
            for call_id, call in self.calls.items()
            if any(one.start_ms <= call.time_ms < one.expires_ms + self.grace_ms for one in leases)
        }


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_lease: Final = msgspec.msgpack.Decoder(Lease).decode
_decode_dialled: Final = msgspec.msgpack.Decoder(Dialled).decode


def entry_of(event: Call | NumberLease) -> tuple[bytes, bytes]:
    """The field and value that an event adds."""
    if isinstance(event, NumberLease):
        return f"l:{event.lease_id}@{event.expires_ms}".encode(), _encode(lease_of(event))
    dialled = Dialled(event.event_time_ms, event.ids[0])
    return f"c:{event.call_id}".encode(), _encode(dialled)


def link_mark(session: NodeId, call_id: str) -> bytes:
    """The field that says: this call's caller is about to be linked to that session."""
    return f"j:{session}@{call_id}".encode()


def wrong_mark(session: NodeId, call_id: str) -> bytes:
    """The field that says since when: this call's caller should not be linked to that session."""
    return f"x:{session}@{call_id}".encode()


def fields_about(fields: dict[bytes, bytes], nodes: Collection[NodeId]) -> Iterator[bytes]:
    """The fields of a number's hash that name one of ``nodes``."""
    for name, value in fields.items():
        if (
            (name[:2] == b"l:" and _decode_lease(value).session in nodes)
            or (name[:2] == b"c:" and _decode_dialled(value).caller in nodes)
            or (name[:2] in _MARKS and name[2:].decode().partition("@")[0] in nodes)
        ):
            yield name


_MARKS: Final = (b"j:", b"x:")


def read_book(fields: dict[bytes, bytes], now_ms: int, grace_ms: int = GRACE_MS) -> NumberBook:
    """Reads a number's hash.

    What is older than a horizon is left out: leases that end before it cannot matter to calls
    after it, so cutting both there changes no join of a call that stays.

    Args:
        fields: the hash.
        grace_ms: how long after a lease its number may still be dialled.
        now_ms: the present; a time beyond it is some clock's mistake, and moves no horizon.
    """
    told = {name: _decode_lease(value) for name, value in fields.items() if name[:2] == b"l:"}
    calls = {
        name[2:].decode(): _decode_dialled(value)
        for name, value in fields.items()
        if name[:2] == b"c:"
    }
    leases = join_leases(told.values())
    ends_ms = [lease.expires_ms + grace_ms for lease in leases.values()]
    horizon_ms = _horizon_ms(ends_ms, [call.time_ms for call in calls.values()], now_ms)
    kept_leases = {n: one for n, one in leases.items() if one.expires_ms + grace_ms > horizon_ms}
    kept_calls = {name: one for name, one in calls.items() if one.time_ms >= horizon_ms}
    linked: defaultdict[str, dict[NodeId, int]] = defaultdict(dict)
    wrong_ms: dict[tuple[str, NodeId], int] = {}
    last_told = {
        one.lease_id: one.start_ms
        for one in told.values()
        if one.expires_ms == leases[one.lease_id].expires_ms
    }
    stale = [
        name
        for name, one in told.items()
        if one.lease_id not in kept_leases
        or (
            one.expires_ms < leases[one.lease_id].expires_ms
            and one.start_ms >= last_told[one.lease_id]
        )
    ]
    stale += [f"c:{name}".encode() for name in calls.keys() - kept_calls.keys()]
    for name, value in fields.items():
        if name[:2] in _MARKS:
            session, _, call_id = name[2:].decode().partition("@")
            if call_id not in kept_calls:
                stale.append(name)
            elif name[:2] == b"j:":
                linked[call_id][NodeId(session)] = int(value)
            else:
                wrong_ms[call_id, NodeId(session)] = int(value)
    return NumberBook(
        kept_leases, kept_calls, dict(linked), wrong_ms, tuple(sorted(stale)), grace_ms
    )


def _horizon_ms(ends_ms: Iterable[int], starts_ms: Iterable[int], now_ms: int) -> int:
    ends, starts = sorted(ends_ms, reverse=True), sorted(starts_ms, reverse=True)
    newest = max((time_ms for time_ms in (*ends, *starts) if time_ms <= now_ms), default=0)
    horizon_ms = newest - KEPT_MS
    if len(ends) > MOST_LEASES:
        horizon_ms = max(horizon_ms, ends[MOST_LEASES])
    if len(starts) > MOST_CALLS:
        horizon_ms = max(horizon_ms, starts[MOST_CALLS] + 1)
    return horizon_ms
