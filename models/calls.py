"""Calls and number leases as a facet keeps them: the newest, each in its latest telling.

Both are bounded unions by id, so folding and merging are idempotent and order-free: of one id the
latest telling stands, and of all ids the newest by time. That is exact as long as every telling
of a call has the same start, which :class:`models.events.Call` asks for.

A call-back that we owe must outlive any number of calls that nobody takes. Which calls ask for one
is the catalogue's to say, by tag or by why they were missed, and which close one, by department; so
the newest telling of each such kind is kept, too. That is a maximum by kind over tellings, which
never change, so it is as order-free as the rest. It may keep a telling that was told anew since:
the latest that is known of a call counts.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from models.events import Call, DeviceType, MissedReason, NumberLease
from models.identifiers import NodeId

__all__ = [
    "KEPT_CALLS",
    "KEPT_KINDS",
    "KEPT_LEASES",
    "CallHistory",
    "Lease",
    "ToldCall",
    "fold_phone",
    "join_leases",
    "lease_of",
    "merge_calls",
    "told_call",
]

KEPT_CALLS: Final = 16
"""Counts of a person's calls are exact up to so many."""
KEPT_LEASES: Final = 4
KEPT_KINDS: Final = 16
"""Kinds of calls whose newest telling is kept: tags are few, and those of old are done with."""

T = TypeVar("T", "ToldCall", "Lease")


class ToldCall(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A call in its latest telling.

    Attributes:
        call_id: the telephony's own, unique with its advertiser.
        time_ms: its start.
        told_ms: version; of one call the highest stands.
        advertiser: who was called, or calls.
        number: which was dialled, E.164; empty where not known.
        duration_seconds: of the talk.
        missed_reason: empty for a call that was taken.
        is_outbound: we called the customer.
        tag, department: as in the catalogue; empty where not told.
        score: 0 to 100; None: not judged.
    """

    call_id: str
    time_ms: int
    told_ms: int
    advertiser: str
    number: str = ""
    duration_seconds: int = 0
    missed_reason: MissedReason = ""
    is_outbound: bool = False
    tag: str = ""
    department: str = ""
    score: int | None = None

    @property
    def is_answered(self) -> bool:
        """Whether somebody took it."""
        return not self.missed_reason

    @property
    def kind(self) -> tuple[str, str, str, str]:
        """All that the catalogue tells one call from another by."""
        return self.advertiser, self.tag, self.missed_reason, self.department


class Lease(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A pool number shown to a web session from ``start_ms`` until before ``expires_ms``."""

    lease_id: str
    start_ms: int
    expires_ms: int
    number: str
    session: NodeId
    campaign: str = ""
    keyword: str = ""
    device_type: DeviceType = "unknown"


class CallHistory(msgspec.Struct, frozen=True, array_like=True):
    """The newest calls and number leases, each ordered by time, then id.

    Attributes:
        calls: the newest, each in its latest telling.
        leases: the newest.
        last_of_kind: the newest telling of each kind of call that is not among ``calls``.
    """

    calls: tuple[ToldCall, ...] = ()
    leases: tuple[Lease, ...] = ()
    last_of_kind: tuple[ToldCall, ...] = ()

    @property
    def known_calls(self) -> tuple[ToldCall, ...]:
        """Every call of which anything is kept, in its latest telling that is; oldest first."""
        if not self.last_of_kind:
            return self.calls
        known = _latest_tellings((*self.calls, *self.last_of_kind))
        return tuple(sorted(known.values(), key=_call_order))


def told_call(event: Call) -> ToldCall:
    """The call as the event tells of it."""
    return ToldCall(
        call_id=event.call_id,
        time_ms=event.event_time_ms,
        told_ms=event.version_ms,
        advertiser=event.advertiser,
        number=event.called_number,
        duration_seconds=event.duration_seconds,
        missed_reason=(event.missed_reason or "unknown") if event.missed else "",
        is_outbound=event.is_outbound,
        tag=event.tag,
        department=event.department,
        score=event.score,
    )


def lease_of(event: NumberLease) -> Lease:
    """The lease as the event tells of it."""
    return Lease(
        lease_id=event.lease_id,
        start_ms=event.event_time_ms,
        expires_ms=event.expires_ms,
        number=event.number,
        session=event.ids[0],
        campaign=event.campaign,
        keyword=event.keyword,
        device_type=event.device_type,
    )


def fold_phone(history: CallHistory, event: Call | NumberLease) -> CallHistory:
    """The history after one more telling of a call or a lease."""
    if isinstance(event, Call):
        return merge_calls(history, CallHistory(calls=(told_call(event),)))
    return merge_calls(history, CallHistory(leases=(lease_of(event),)))


def merge_calls(a: CallHistory, b: CallHistory) -> CallHistory:
    """Both histories as one."""
    if not b.calls and not b.leases:
        return a
    if not a.calls and not a.leases:
        return b
    tellings = (*a.calls, *a.last_of_kind, *b.calls, *b.last_of_kind)
    calls = sorted(_latest_tellings(tellings).values(), key=_call_order)[-KEPT_CALLS:]
    last = sorted(_last_of_kind(tellings).values(), key=_telling_order)[-KEPT_KINDS:]
    leases = join_leases((*a.leases, *b.leases)).values()
    return CallHistory(
        tuple(calls),
        tuple(sorted(leases, key=_lease_order)[-KEPT_LEASES:]),
        tuple(telling for telling in last if telling not in calls),
    )


def _latest_tellings(tellings: Iterable[ToldCall]) -> dict[tuple[str, str], ToldCall]:
    latest: dict[tuple[str, str], ToldCall] = {}
    for call in tellings:
        name = call.advertiser, call.call_id
        known = latest.get(name)
        latest[name] = call if known is None else max(known, call, key=_telling)
    return latest


def _last_of_kind(tellings: Iterable[ToldCall]) -> dict[tuple[str, str, str, str], ToldCall]:
    last: dict[tuple[str, str, str, str], ToldCall] = {}
    for call in tellings:
        known = last.get(call.kind)
        last[call.kind] = call if known is None else max(known, call, key=_telling_order)
    return last


def join_leases(told: Iterable[Lease]) -> dict[str, Lease]:
    """Leases by id; one that was told several times lasts from its first start to its last end."""
    leases: dict[str, Lease] = {}
    for lease in told:
        known = leases.get(lease.lease_id)
        leases[lease.lease_id] = lease if known is None else _widened(known, lease)
    return leases


def _widened(a: Lease, b: Lease) -> Lease:
    latest = max(a, b, key=lambda one: (one.expires_ms, msgspec.structs.astuple(one)))
    return msgspec.structs.replace(latest, start_ms=min(a.start_ms, b.start_ms))


def _telling(call: ToldCall) -> tuple[int, bytes]:
    # Two tellings of one version differ by somebody's mistake: any order will do, but the same.
    return call.told_ms, msgspec.msgpack.encode(call)


def _call_order(call: ToldCall) -> tuple[int, str, str]:
    return call.time_ms, call.call_id, call.advertiser


def _telling_order(call: ToldCall) -> tuple[int, str, str, int, bytes]:
    return *_call_order(call), *_telling(call)


def _lease_order(lease: Lease) -> tuple[int, str]:
    return lease.start_ms, lease.lease_id
