"""Events of phone calls: a number is shown to a web session, and somebody calls."""

import re
from typing import Annotated, Final, Literal

from msgspec import Meta

from models.errors import EventError
from models.event_base import (
    Advertiser,
    Channel,
    EventRecord,
    ToldRecord,
    check_node,
    check_time,
)
from models.identifiers import NodeId, is_phone
from models.units import DAY_MS

__all__ = ["MAX_LEASE_MS", "Call", "DeviceType", "MissedReason", "NumberLease"]

MissedReason = Literal["", "lines_full", "no_answer", "closed", "hung_up", "unknown"]
"""Why nobody took a call: no free line, nobody picked up, out of hours, the caller gave up."""

DeviceType = Literal["unknown", "desktop", "phone", "tablet"]

MAX_SCORE: Final = 100
MAX_CALL_SECONDS: Final = 86_400
MAX_LEASE_MS: Final = DAY_MS
"""Whoever else sees the number until a lease ends makes its calls nobody's, so a mistaken end must
not be far off; and what is told of a number is kept for twice as long."""

_E164: Final = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_NAME: Final = re.compile(r"[\w.:+-]{1,64}", re.ASCII)


class NumberLease(EventRecord, frozen=True, kw_only=True, tag="number_lease"):
    """A number of the pool is shown to a web session; ``ids`` begin with the session's cookie.

    A lease that is renewed is told again under its ``lease_id``: the latest expiry stands. Its
    ``event_time_ms`` is when the number was first shown. A number that a session sees for longer
    than a day is leased to it anew.

    Attributes:
        lease_id: unique, chosen by whoever leases; see :mod:`models.number_pool`.
        number: E.164. It is the advertiser's own, hence no personal data.
        expires_ms: from then on it is not shown any more, Unix ms; at most a day after the event.
        campaign, keyword: what brought the session; empty for one that came by itself.
        device_type: the session's.
    """

    advertiser: Advertiser
    lease_id: str
    number: str
    expires_ms: int
    campaign: Annotated[str, Meta(max_length=128)] = ""
    keyword: Annotated[str, Meta(max_length=128)] = ""
    device_type: DeviceType = "unknown"

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        _check_name("lease_id", self.lease_id)
        _check_number("number", self.number)
        check_time("expires_ms", self.expires_ms)
        if self.expires_ms <= self.event_time_ms:
            raise EventError(
                f"expires_ms: {self.expires_ms} is not after event_time_ms ({self.event_time_ms})"
            )
        if self.expires_ms - self.event_time_ms > MAX_LEASE_MS:
            raise EventError(
                f"expires_ms: {self.expires_ms} is more than a day after event_time_ms "
                f"({self.event_time_ms}); begin another lease, with its own lease_id"
            )


class Call(ToldRecord, frozen=True, kw_only=True, tag="call"):
    """A phone call; ``ids`` begin with the customer's number.

    A call may be told again when its tag or score is known: whole, under its ``call_id``, with the
    same ``event_time_ms``, which is its start, and a later ``told_ms``. The latest telling stands.

    Attributes:
        call_id: the telephony's own, unique with the advertiser; a call counts once.
        called_number: the number that was dialled, E.164; empty where it is not known.
        duration_seconds: of the talk.
        missed: nobody took it.
        missed_reason: why.
        is_outbound: we called the customer.
        tag: the operator's judgement, a ``CallTag`` of the catalogue.
        score: how good it was, 0 to 100; None: not judged.
        department: where the menu led, a ``Department`` of the catalogue.
        form_phone: the number on the form of the same deal, where it is another one.
        repeat_of: the number of the earlier call that this one repeats, where it is another one.
    """

    channel: Channel = "call"
    advertiser: Advertiser
    call_id: str
    called_number: str = ""
    duration_seconds: int
    missed: bool = False
    missed_reason: MissedReason = ""
    is_outbound: bool = False
    tag: str = ""
    score: int | None = None
    department: str = ""
    form_phone: NodeId | None = None
    repeat_of: NodeId | None = None

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        super().check()
        _check_name("call_id", self.call_id)
        if self.called_number:
            _check_number("called_number", self.called_number)
        if not 0 <= self.duration_seconds <= MAX_CALL_SECONDS:
            raise EventError(f"duration_seconds: {self.duration_seconds} is not from 0 to a day")
        if self.missed_reason and not self.missed:
            raise EventError(f"missed_reason: {self.missed_reason!r}, but missed is false")
        if self.score is not None and not 0 <= self.score <= MAX_SCORE:
            raise EventError(f"score: {self.score} is not from 0 to {MAX_SCORE}")
        for field in ("tag", "department"):
            if value := getattr(self, field):
                _check_name(field, value)
        for field in ("form_phone", "repeat_of"):
            if (node := getattr(self, field)) is not None:
                _check_phone(field, node)


def _check_phone(field: str, node: NodeId) -> None:
    check_node(field, node)
    if not is_phone(node):
        raise EventError(f"{field}: {node} is not the node of a phone number")


def _check_number(field: str, number: str) -> None:
    if not _E164.fullmatch(number):
        raise EventError(f"{field}: {number!r} is not a number in E.164, such as +12127365000")


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise EventError(f"{field}: {name!r} is not 1 to 64 letters, digits or any of _ . : + -")
