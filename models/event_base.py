"""What all events share: their base, the channels, and how long a text may be.

Every text and every list of an event has a limit here, so that no record, however odd, makes a
facet grow without bound. A record beyond a limit is refused with the field's name; only a page's
path is taken as it is and cut where it is kept.
"""

import datetime as dt
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from models.errors import EventError
from models.identifiers import NODE_FORM, NodeId
from models.units import DAY_MS, AdvertiserId

__all__ = [
    "CHANNELS",
    "MAX_EVENT_ID",
    "MAX_IDS",
    "MAX_MONEY_MICROS",
    "MAX_TIME_MS",
    "Advertiser",
    "Airport",
    "Cabin",
    "Channel",
    "EventRecord",
    "Filters",
    "Ids",
    "Item",
    "Items",
    "Label",
    "Name",
    "Seat",
    "Text",
    "ToldRecord",
    "check_date",
    "check_key",
    "check_money",
    "check_node",
    "check_time",
    "not_ahead",
    "stamp_of",
]

Channel = Literal[
    "web", "app", "call", "email", "shop", "crm",
    "chat", "sms", "push", "terminal", "card", "social",
]  # fmt: skip
"""Where something happened: ``terminal`` is a shop's, ``card`` a swipe at a till or an ATM."""

CHANNELS: Final[tuple[Channel, ...]] = (
    "web", "app", "call", "email", "shop", "crm",
    "chat", "sms", "push", "terminal", "card", "social",
)  # fmt: skip

Ids: TypeAlias = tuple[NodeId, ...]

MAX_IDS: Final = 8
MAX_EVENT_ID: Final = 256
MAX_TIME_MS: Final = 10**13
"""The year 2286: a time above it is in other units."""
MAX_DRIFT_MS: Final = 60_000
MAX_AHEAD_MS: Final = DAY_MS
"""Clocks differ by seconds, and local times taken for UTC by up to 14 hours: more is a mistake."""
MAX_MONEY_MICROS: Final = 10**15
"""A thousand million: above it, sums would outgrow the 64 bits in which they are kept."""

Advertiser: TypeAlias = Annotated[AdvertiserId, Meta(max_length=64)]
Item: TypeAlias = Annotated[str, Meta(max_length=64)]
"""A product's id, or a trip ``ORIGIN-DESTINATION/DATE``."""
Items: TypeAlias = Annotated[tuple[Item, ...], Meta(max_length=200)]
Airport: TypeAlias = Annotated[str, Meta(max_length=8)]
Label: TypeAlias = Annotated[str, Meta(max_length=32)]
"""A short word that a producer chose: a sort order, a reason, a place."""
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[\w.:-]{1,32}$")]
"""A word that becomes part of a key: letters, digits, ``_ . : -``, at most 32."""
Text: TypeAlias = Annotated[str, Meta(max_length=64)]
Filters: TypeAlias = Annotated[tuple[Label, ...], Meta(max_length=8)]

Cabin = Literal["", "economy", "premium", "business", "first"]
Seat = Literal["", "window", "middle", "aisle"]


class EventRecord(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event has.

    Attributes:
        event_id: names the event with its producer, who gives it again if it sends it again.
        ids: 1 to 8 nodes; the first is the key.
        event_time_ms: when it happened, Unix milliseconds.
        channel: where it happened.
    """

    event_id: Annotated[str, Meta(max_length=MAX_EVENT_ID)]
    ids: Ids
    event_time_ms: int
    channel: Channel = "web"

    def check(self) -> None:
        """Raises EventError where a value cannot be used that its type allows."""


class ToldRecord(EventRecord, frozen=True, kw_only=True):
    """An event that may be told again: whole, under its id, and the newest telling stands.

    Attributes:
        told_ms: version of the telling, Unix ms; 0 means the event's own time.
    """

    told_ms: int = 0

    @property
    def version_ms(self) -> int:
        """When it was told, Unix ms: of two tellings the greater stands."""
        return self.told_ms or self.event_time_ms

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        if not 0 <= self.told_ms < MAX_TIME_MS:
            raise EventError(f"told_ms: {self.told_ms} is not a time in Unix milliseconds")


def check_node(field: str, node: str) -> None:
    """Raises EventError unless ``node`` is a hashed identifier."""
    if not NODE_FORM.fullmatch(node):
        raise EventError(f"{field}: an identifier is not a hashed node of 23 characters")


def check_key(key: bytes | None, node: str) -> None:
    """Raises EventError where a record is not under its identifier.

    Elsewhere than in the partition of its identifier, whose watermark it is, that means nothing.
    """
    if (key or b"") != node.encode():
        raise EventError(f"key: {key!r} is not the record's first identifier {node!r}")


def check_time(field: str, time_ms: int) -> None:
    """Raises EventError unless ``time_ms`` is a time in Unix milliseconds."""
    if not 0 < time_ms < MAX_TIME_MS:
        raise EventError(f"{field}: {time_ms} is not a time in Unix milliseconds")


def not_ahead(field: str, time_ms: int, recorded_ms: int) -> int:
    """A time, or that of its own Kafka record if it is more than clocks differ ahead of that.

    The newest word stands about consent, who is at a device or which cards are one: dated ahead by
    a clock that is fast, it would stand against later ones until then. Compared with the record's
    time, not the present, so a replay comes to the same.

    Args:
        field: holds the time.
        time_ms: Unix ms.
        recorded_ms: the Kafka record's timestamp, Unix ms.

    Raises:
        EventError: it is more than a day ahead, which is no clock's drift.
    """
    if time_ms - recorded_ms <= MAX_DRIFT_MS:
        return time_ms
    if time_ms - recorded_ms > MAX_AHEAD_MS:
        raise EventError(
            f"{field}: {time_ms} is {(time_ms - recorded_ms) / DAY_MS:,.1f} days ahead of the time "
            f"at which its record was written ({recorded_ms}); at most one day is taken: correct "
            "the producer's clock or its unit of time (Unix milliseconds) and send it again"
        )
    return recorded_ms


def stamp_of(time_ms: int, now_ms: int) -> int:
    """A timestamp for a record that is written now, so that its time is not taken for ahead of it.

    Args:
        time_ms: what the record says, Unix ms.
        now_ms: the present, Unix ms.
    """
    return max(now_ms, time_ms - MAX_DRIFT_MS)


def check_money(field: str, micros: int) -> None:
    """Raises EventError where sums of such amounts would outgrow 64 bits."""
    if abs(micros) > MAX_MONEY_MICROS:
        raise EventError(f"{field}: {micros} is more than {MAX_MONEY_MICROS}")


def check_date(field: str, date: str) -> None:
    """Raises EventError unless ``date`` is written ``YYYY-MM-DD``."""
    if not _is_date(date):
        raise EventError(f"{field}: {date!r} is not a date YYYY-MM-DD")


@lru_cache(maxsize=4096)
def _is_date(date: str) -> bool:
    try:
        return dt.date.fromisoformat(date).isoformat() == date
    except ValueError:
        return False
