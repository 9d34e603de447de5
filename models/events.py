"""The records that flow through Kafka: what a person did, and what became of our bids.

Producers normalise and hash identifiers (:mod:`models.identifiers`); the first of ``ids`` is the
Kafka key, so one identifier's events stay in order with one worker. Every further id of an event
is evidence that it belongs to the same person.
"""

import datetime as dt
import re
from typing import Final, Literal, TypeAlias

import msgspec

from models.errors import EventError
from models.identifiers import NodeId
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId

__all__ = [
    "Billing",
    "Call",
    "CartAdd",
    "CrmCard",
    "DeviceType",
    "Event",
    "FlightSearch",
    "MissedReason",
    "NumberLease",
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

_NODE: Final = re.compile(r"[cepkixu][A-Za-z0-9_-]{22}")


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


MissedReason = Literal["", "lines_full", "no_answer", "closed", "hung_up", "unknown"]
"""Why nobody took a call: no free line, nobody picked up, out of hours, the caller gave up."""

DeviceType = Literal["unknown", "desktop", "phone", "tablet"]

MAX_SCORE: Final = 100
MAX_CALL_SECONDS: Final = 86_400

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_NAME: Final = re.compile(r"[\w.:+-]{1,64}", re.ASCII)


class NumberLease(_Record, frozen=True, kw_only=True, tag="number_lease"):
    """A number of the pool is shown to a web session; ``ids`` begin with the session's cookie.

    A lease that is renewed is told again under its ``lease_id``: the latest expiry stands. Its
    ``event_time_ms`` is when the number was first shown.

    Attributes:
        lease_id: unique, chosen by whoever leases; see :mod:`models.number_pool`.
        number: E.164. It is the advertiser's own, hence no personal data.
        expires_ms: from then on it is not shown any more, Unix ms.
        campaign, keyword: what brought the session; empty for one that came by itself.
        device_type: the session's.
    """

    advertiser: AdvertiserId
    lease_id: str
    number: str
    expires_ms: int
    campaign: str = ""
    keyword: str = ""
    device_type: DeviceType = "unknown"

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        _check_name("lease_id", self.lease_id)
        _check_number("number", self.number)
        _check_time("expires_ms", self.expires_ms)
        if self.expires_ms <= self.event_time_ms:
            raise EventError(
                f"expires_ms: {self.expires_ms} is not after event_time_ms ({self.event_time_ms})"
            )
        for field in ("campaign", "keyword"):
            if len(getattr(self, field)) > 128:
                raise EventError(f"{field}: longer than 128 characters")


class Call(_Record, frozen=True, kw_only=True, tag="call"):
    """A phone call; ``ids`` begin with the customer's number.

    A call may be told again when its tag or score is known: whole, under its ``call_id``, with the
    same ``event_time_ms``, which is its start, and a later ``told_ms``. The latest telling stands.

    Attributes:
        call_id: the telephony's own, unique with the advertiser; a call counts once.
        called_number: the number that was dialled, E.164; empty where it is not known.
        told_ms: version of the telling, Unix ms; 0 means the start.
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
    advertiser: AdvertiserId
    call_id: str
    called_number: str = ""
    told_ms: int = 0
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
        _check_name("call_id", self.call_id)
        if self.called_number:
            _check_number("called_number", self.called_number)
        if not 0 <= self.duration_seconds <= MAX_CALL_SECONDS:
            raise EventError(f"duration_seconds: {self.duration_seconds} is not from 0 to a day")
        if not 0 <= self.told_ms < MAX_TIME_MS:
            raise EventError(f"told_ms: {self.told_ms} is not a time in Unix milliseconds")
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


Event: TypeAlias = (
    PageView | ProductView | FlightSearch | CartAdd | SignIn | CrmCard | Order | Call | NumberLease
)  # fmt: skip


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
    elif isinstance(event, Call | NumberLease):
        event.check()
    return event


def _check_node(field: str, node: str) -> None:
    if not _NODE.fullmatch(node):
        raise EventError(f"{field}: an identifier is not a hashed node of 23 characters")


def _check_phone(field: str, node: str) -> None:
    _check_node(field, node)
    if node[0] != "p":
        raise EventError(f"{field}: {node} is not the node of a phone number")


def _check_number(field: str, number: str) -> None:
    if not _E164.fullmatch(number):
        raise EventError(f"{field}: {number!r} is not a number in E.164, such as +12127365000")


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise EventError(f"{field}: {name!r} is not 1 to 64 letters, digits or any of _ . : + -")


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
