"""The records that flow through Kafka: what a person did; :mod:`models.outcomes` has our bids.

Producers normalise and hash identifiers (:mod:`models.identifiers`); the first of ``ids`` is the
Kafka key, so one identifier's events stay in order with one worker. Every further id of an event
is evidence that it belongs to the same person.
"""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from models.call_events import Call, DeviceType, MissedReason, NumberLease
from models.errors import EventError
from models.event_base import (
    MAX_IDS,
    Advertiser,
    Airport,
    Cabin,
    Channel,
    EventRecord,
    Filters,
    Item,
    Items,
    Label,
    Name,
    Seat,
    Text,
    ToldRecord,
    check_date,
    check_key,
    check_money,
    check_node,
    check_time,
    not_ahead,
)
from models.identifiers import is_device, is_visitor, namespace_of
from models.outcomes import Billing, Outcome, Win, decode_outcome, read_outcome
from models.person_events import (
    AccountErased,
    CardContact,
    CarriedConsent,
    Consent,
    Contact,
    CrmMerge,
    CrmSplit,
    FormAnswers,
    Gender,
    LoyaltyStatus,
    Registration,
    TraitTold,
)
from models.shop_events import (
    BookingStep,
    CartRemove,
    CouponUsed,
    OrderStatus,
    PriceWatch,
    ProductSearch,
    Refund,
    Refusal,
)

__all__ = [
    "AccountErased",
    "Billing",
    "BookingStep",
    "Call",
    "CardContact",
    "CarriedConsent",
    "CartAdd",
    "CartRemove",
    "Consent",
    "Contact",
    "CouponUsed",
    "CrmCard",
    "CrmMerge",
    "CrmSplit",
    "DeviceType",
    "Event",
    "FlightSearch",
    "FormAnswers",
    "LoyaltyStatus",
    "MissedReason",
    "NumberLease",
    "Order",
    "OrderStatus",
    "Outcome",
    "PageView",
    "PriceWatch",
    "ProductSearch",
    "ProductView",
    "Refund",
    "Refusal",
    "Registration",
    "SignIn",
    "TraitTold",
    "Win",
    "decode_event",
    "decode_outcome",
    "encode",
    "read_event",
    "read_outcome",
]

FIRST_DATE: Final = "1970-01-01"
LAST_DATE: Final = "2148-12-31"

Count: TypeAlias = Annotated[int, Meta(ge=0, le=9)]
"""Passengers of one search: a booking system takes nine."""


class PageView(EventRecord, frozen=True, kw_only=True, tag="page_view"):
    """A page or screen was seen; ``page`` is its path, without a query."""

    advertiser: Advertiser
    page: Annotated[str, Meta(max_length=2048)]


class ProductView(EventRecord, frozen=True, kw_only=True, tag="product_view"):
    """A product's page was seen."""

    advertiser: Advertiser
    item: Item


class FlightSearch(EventRecord, frozen=True, kw_only=True, tag="flight_search"):
    """A flight was searched.

    Attributes:
        depart_date: the local date, ``YYYY-MM-DD``.
        cabin, adults, children: what was asked for.
        sort, filters: how the results were looked at, in the site's words.
    """

    advertiser: Advertiser
    origin: Airport
    destination: Airport
    depart_date: str
    cabin: Cabin = ""
    adults: Count = 1
    children: Count = 0
    sort: Label = ""
    filters: Filters = ()

    def check(self) -> None:
        """Raises EventError where the date is none on which one can fly."""
        check_date("depart_date", self.depart_date)
        if not FIRST_DATE <= self.depart_date <= LAST_DATE:
            wanted = f"a date from {FIRST_DATE} to {LAST_DATE}"
            raise EventError(f"depart_date: {self.depart_date!r} is not {wanted}")


class CartAdd(EventRecord, frozen=True, kw_only=True, tag="cart_add"):
    """An item went into the cart."""

    advertiser: Advertiser
    item: Item


class SignIn(EventRecord, frozen=True, kw_only=True, tag="sign_in"):
    """Somebody signed in: ``ids`` are the device, then the account's e-mail, phone or CRM id.

    The account may have several, which are one person's whatever becomes of the device; so may the
    device, behind its first, which is the one under which it is kept who signed in there. A session
    comes first only where no device is known. A sign-in whose account has no node names the device
    alone.
    """

    advertiser: Advertiser

    def check(self) -> None:
        """Raises EventError unless the device comes first."""
        first, *others = self.ids
        if is_device(first) or (is_visitor(first) and not any(map(is_device, others))):
            return
        named = ", ".join(namespace_of(node).name.lower() for node in self.ids)
        raise EventError(
            f"ids: a sign_in of ({named}); first comes the device that somebody signed in on, or "
            "the session where no device is known, then the account"
        )


class CrmCard(EventRecord, frozen=True, kw_only=True, tag="crm_card"):
    """The CRM's card: ``ids`` are the CRM id, then its e-mails and phones.

    What is empty here is not known; a later card without it takes nothing back.

    Attributes:
        tier: the grade in which the CRM itself puts the customer, such as a level of service; of
            a loyalty programme :class:`LoyaltyStatus` tells.
        birthday: ``YYYY-MM-DD``.
        sizes: kind to size, such as ``shoe`` to ``41``.
        miles: to spend, as the CRM has them, of no programme by name; None: not known.
        deal_stage: of the customer's present deal, in the CRM's words.
    """

    channel: Channel = "crm"
    city: Text = ""
    tier: Label = ""
    birthday: str = ""
    gender: Gender = ""
    sizes: Annotated[dict[Name, Label], Meta(max_length=8)] = msgspec.field(default_factory=dict)
    miles: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    deal_stage: Label = ""

    def check(self) -> None:
        """Raises EventError where the birthday is not a date."""
        if self.birthday:
            check_date("birthday", self.birthday)


class Order(ToldRecord, frozen=True, kw_only=True, tag="order"):
    """A paid order, online or not.

    What was wrong of it is told again: whole, under its ``order_id``, with the same
    ``event_time_ms``, which is when it was ordered, and a later ``told_ms``.

    Attributes:
        order_id: the shop's own; an order counts once, in its newest telling.
        revenue_micros: what the customer paid, in the owner's currency.
        margin_micros: what is left of it for the advertiser.
        items: the products bought; ``ORIGIN-DESTINATION/DATE`` for a flight. A telling without
            an item that an earlier one had takes it not away: a refund or a refusal does.
        groups: the product groups that they belong to.
        cabin, seat: of a flight.
    """

    advertiser: Advertiser
    order_id: Annotated[str, Meta(max_length=64)]
    revenue_micros: int
    margin_micros: int
    items: Items = ()
    groups: Annotated[tuple[Label, ...], Meta(max_length=32)] = ()
    cabin: Cabin = ""
    seat: Seat = ""

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        super().check()
        check_money("revenue_micros", self.revenue_micros)
        check_money("margin_micros", self.margin_micros)


Event: TypeAlias = (
    PageView | ProductView | FlightSearch | CartAdd | SignIn | CrmCard | Order | Call
    | ProductSearch | CartRemove | BookingStep | Refund | Refusal | OrderStatus | CouponUsed
    | PriceWatch | Contact | CardContact | Registration | FormAnswers | LoyaltyStatus | Consent
    | TraitTold | NumberLease | CrmMerge | CrmSplit | AccountErased | CarriedConsent
)  # fmt: skip

encode: Final = msgspec.json.Encoder().encode
_event_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_replace: Final = msgspec.structs.replace


def decode_event(payload: bytes) -> Event:
    """Reads an event.

    Raises:
        EventError: not an event; the text names the field.
    """
    try:
        event = _event_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(f"not an event: {error}") from error
    if not 1 <= len(event.ids) <= MAX_IDS:
        raise EventError(f"ids: {len(event.ids)} identifiers; an event has 1 to {MAX_IDS}")
    for node in event.ids:
        check_node("ids", node)
    check_time("event_time_ms", event.event_time_ms)
    event.check()
    return event


def read_event(key: bytes | None, value: bytes | None, recorded_ms: int) -> Event:
    """Reads an event as it stands in Kafka.

    Args:
        key: its record's.
        value: its record's.
        recorded_ms: its record's timestamp, Unix ms.

    Raises:
        EventError: not an event, not under its first identifier, or dated ahead of its record.
    """
    event = decode_event(value or b"")
    check_key(key, event.ids[0])
    time_ms = not_ahead("event_time_ms", event.event_time_ms, recorded_ms)
    if isinstance(event, ToldRecord):
        told_ms = not_ahead("told_ms", event.told_ms, recorded_ms)
        return _replace(event, event_time_ms=time_ms, told_ms=told_ms)
    return event if time_ms == event.event_time_ms else _replace(event, event_time_ms=time_ms)
