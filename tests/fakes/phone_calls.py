"""Calls, leases and tags for tests: plain ones, told in minutes from one beginning."""

from typing import Final

from models.calls import Lease, ToldCall
from models.catalog_records import CallTag, Department
from models.events import Call, NumberLease
from models.identifiers import NodeId
from models.units import AdvertiserId

__all__ = [
    "AIR",
    "DEPARTMENTS",
    "MINUTE_MS",
    "NUMBER",
    "START_MS",
    "TAGS",
    "a_call",
    "a_lease",
    "a_told_call",
    "a_told_lease",
    "at_ms",
    "cookie",
    "phone",
]

AIR: Final = AdvertiserId("airline")
NUMBER: Final = "+12127365000"
START_MS: Final = 1_767_225_600_000
MINUTE_MS: Final = 60_000

TAGS: Final = {
    tag.id: tag
    for tag in (
        CallTag(
            id="call_back", is_conversion=False, counts_value=False, opens_callback=True,
            pauses_ads_hours=24, automatic_for=("lines_full",),
        ),
        CallTag(id="not_a_customer", is_conversion=False, counts_value=False),
        CallTag(id="repeat", is_repeat=True),
    )
}  # fmt: skip
"""The three that kinbid ships."""

DEPARTMENTS: Final = {
    one.id: one
    for one in (Department(id="sales", is_sales=True), Department(id="service", is_sales=False))
}


def phone(letter: str) -> NodeId:
    """A phone number's node."""
    return NodeId("p" + letter * 22)


def cookie(letter: str) -> NodeId:
    """A browser's node."""
    return NodeId("k" + letter * 22)


def at_ms(minute: float) -> int:
    """Unix ms of a minute after the beginning."""
    return START_MS + round(minute * MINUTE_MS)


def a_call(call_id: str = "call", minute: float = 0, caller: str = "a", **more: object) -> Call:
    """An answered call to the pool's number."""
    fields = {"called_number": NUMBER, "duration_seconds": 60, "advertiser": AIR} | more
    return Call(
        event_id=call_id, ids=(phone(caller),), event_time_ms=at_ms(minute), call_id=call_id,
        **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


def a_lease(
    lease_id: str = "lease", start: float = 0, end: float = 30, session: str = "a", **more: object
) -> NumberLease:
    """The pool's number shown to a session, from minute ``start`` to before minute ``end``."""
    fields = {"number": NUMBER, "advertiser": AIR} | more
    return NumberLease(
        event_id=lease_id, ids=(cookie(session),), event_time_ms=at_ms(start),
        expires_ms=at_ms(end), lease_id=lease_id,
        **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


def a_told_call(call_id: str = "call", minute: float = 0, **more: object) -> ToldCall:
    """The same call as a facet keeps it."""
    fields = {"told_ms": 0, "advertiser": AIR, "number": NUMBER} | more
    return ToldCall(call_id=call_id, time_ms=at_ms(minute), **fields)  # type: ignore[arg-type]


def a_told_lease(
    lease_id: str = "lease", start: float = 0, end: float = 30, session: str = "a", **more: object
) -> Lease:
    """The same lease as a facet keeps it."""
    fields = {"number": NUMBER} | more
    return Lease(
        lease_id=lease_id, start_ms=at_ms(start), expires_ms=at_ms(end), session=cookie(session),
        **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip
