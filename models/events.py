"""The records that flow through Kafka: what a person did, and what became of our bids.

Producers normalise and hash identifiers (:mod:`models.identifiers`); the first of ``ids`` is the
Kafka key, so one identifier's events stay in order with one worker. Every further id of an event
is evidence that it belongs to the same person.
"""

import datetime as dt
from typing import Final, Literal, TypeAlias

import msgspec

from models.errors import EventError
from models.identifiers import NODE_FORM, NodeId
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId

__all__ = [
    "Billing",
    "Call",
    "CartAdd",
    "CrmCard",
    "Event",
    "FlightSearch",
    "Order",
    "Outcome",
    "PageView",
    "ProductView",
    "SignIn",
    "Win",
    "decode_event",
    "decode_outcome",
    "encode",
]

Channel = Literal["web", "app", "call", "email", "shop", "crm"]

Ids: TypeAlias = tuple[NodeId, ...]

MAX_IDS: Final = 8
MAX_TIME_MS: Final = 10**13
"""The year 2286: a time above it is in other units."""
MAX_MONEY_MICROS: Final = 10**15
"""A thousand million: above it, sums would outgrow the 64 bits in which they are kept."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event has.

    Attributes:
        event_id: unique, chosen by the producer.
        ids: 1 to 8 nodes; the first is the key.
        event_time_ms: when it happened, Unix milliseconds.
        channel: where it happened.
    """

    event_id: str
    ids: Ids
    event_time_ms: int
    channel: Channel = "web"


class PageView(_Record, frozen=True, kw_only=True, tag="page_view"):
    """A page or screen was seen; ``page`` is its path, without a query."""

    advertiser: AdvertiserId
    page: str


class ProductView(_Record, frozen=True, kw_only=True, tag="product_view"):
    """A product's page was seen."""

    advertiser: AdvertiserId
    item: str


class FlightSearch(_Record, frozen=True, kw_only=True, tag="flight_search"):
    """A flight was searched. ``depart_date`` is the local date, ``YYYY-MM-DD``."""

    advertiser: AdvertiserId
    origin: str
    destination: str
    depart_date: str


class CartAdd(_Record, frozen=True, kw_only=True, tag="cart_add"):
    """An item went into the cart."""

    advertiser: AdvertiserId
    item: str


class SignIn(_Record, frozen=True, kw_only=True, tag="sign_in"):
    """Somebody signed in: ``ids`` are the device, then the account's e-mail, phone or CRM id."""

    advertiser: AdvertiserId


class CrmCard(_Record, frozen=True, kw_only=True, tag="crm_card"):
    """The CRM's card: ``ids`` are the CRM id, then its e-mails and phones."""

    channel: Channel = "crm"
    city: str = ""
    tier: str = ""


class Order(_Record, frozen=True, kw_only=True, tag="order"):
    """A paid order, online or not.

    Attributes:
        order_id: the shop's own; an order counts once.
        revenue_micros: what the customer paid, in the owner's currency.
        margin_micros: what is left of it for the advertiser.
        items: the products bought; ``ORIGIN-DESTINATION/DATE`` for a flight.
    """

    advertiser: AdvertiserId
    order_id: str
    revenue_micros: int
    margin_micros: int
    items: tuple[str, ...] = ()


class Call(_Record, frozen=True, kw_only=True, tag="call"):
    """A phone call; ``ids`` begin with the caller's number."""

    channel: Channel = "call"
    advertiser: AdvertiserId
    duration_seconds: int
    missed: bool = False


Event: TypeAlias = PageView | ProductView | FlightSearch | CartAdd | SignIn | CrmCard | Order | Call


class _Outcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every notice has: ``node`` is the identifier that decided the bid, and the key.

    ``clearing_cpm_micros`` is the price that was notified, for a thousand impressions.
    """

    node: NodeId
    nonce: str
    campaign: CampaignId
    creative: CreativeId
    exchange: ExchangeId
    clearing_cpm_micros: int
    notice_time_ms: int
    personal: bool


class Win(_Outcome, frozen=True, kw_only=True, tag="win"):
    """The auction was won. Not an impression: it moves no cap and no spend."""


class Billing(_Outcome, frozen=True, kw_only=True, tag="billing"):
    """The impression was billed: spend and caps move here, once per ``nonce``."""


Outcome: TypeAlias = Win | Billing

encode: Final = msgspec.json.Encoder().encode
_event_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_outcome_decoder: Final[msgspec.json.Decoder[Outcome]] = msgspec.json.Decoder(Outcome)


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
        _check_node("ids", node)
    _check_time("event_time_ms", event.event_time_ms)
    if isinstance(event, FlightSearch):
        _check_date(event.depart_date)
    elif isinstance(event, Order):
        _check_money("revenue_micros", event.revenue_micros)
        _check_money("margin_micros", event.margin_micros)
    return event


def _check_node(field: str, node: str) -> None:
    if not NODE_FORM.fullmatch(node):
        raise EventError(f"{field}: an identifier is not a hashed node of 23 characters")


def _check_time(field: str, time_ms: int) -> None:
    if not 0 < time_ms < MAX_TIME_MS:
        raise EventError(f"{field}: {time_ms} is not a time in Unix milliseconds")


def _check_money(field: str, micros: int) -> None:
    if abs(micros) > MAX_MONEY_MICROS:
        raise EventError(f"{field}: {micros} is more than {MAX_MONEY_MICROS}")


def _check_date(depart_date: str) -> None:
    try:
        is_plain = dt.date.fromisoformat(depart_date).isoformat() == depart_date
    except ValueError:
        is_plain = False
    if not is_plain:
        raise EventError(f"depart_date: {depart_date!r} is not a date YYYY-MM-DD")


def decode_outcome(payload: bytes) -> Outcome:
    """Reads a notice's record.

    Raises:
        EventError: not an outcome; the text names the field.
    """
    try:
        outcome = _outcome_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(f"not an outcome: {error}") from error
    if outcome.node:
        _check_node("node", outcome.node)
    _check_time("notice_time_ms", outcome.notice_time_ms)
    if not 0 <= outcome.clearing_cpm_micros <= MAX_MONEY_MICROS:
        raise EventError(f"clearing_cpm_micros: {outcome.clearing_cpm_micros} is not a price")
    return outcome
