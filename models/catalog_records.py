"""What marketers, revenue managers and shops publish: the records of the compacted topics.

A record's key is ``kind/id``, an offer's names its advertiser too; a tombstone withdraws it. Money
is in micros of the owner's currency, caps are impressions per person and window.
"""

import re
from typing import Final, TypeAlias, cast

import msgspec

from models.caps import MAX_CAP
from models.errors import EventError, InvalidFieldError, KinbidError
from models.events import MissedReason
from models.templates import Goal, parse_template
from models.units import MICROS, AdvertiserId, CampaignId, CreativeId, ExchangeId, SegmentId

__all__ = [
    "Advertiser",
    "CallTag",
    "Campaign",
    "CatalogRecord",
    "Creative",
    "Department",
    "Exchange",
    "Flight",
    "LineState",
    "Offer",
    "Product",
    "Segment",
    "decode_record",
    "encode_record",
    "record_key",
]

_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
MAX_WINDOW_SECONDS: Final = 30 * 86_400
MAX_PAUSE_HOURS: Final = 30 * 24
_PATH_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
"""What needs no escape in a URL (RFC 3986, 2.3)."""
_EVENT_NAME: Final = re.compile(r"[\w.:+-]{1,64}", re.ASCII)
"""What a call's ``tag`` and ``department`` may be (:mod:`models.events`)."""


class _Record(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """What every record has."""

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""


class Advertiser(_Record, frozen=True, kw_only=True, tag="advertiser"):
    """A brand of the data owner.

    Attributes:
        domain: what ``adomain`` says: bare, without scheme, path or ``www.``.
        iab_categories: of its ads, IAB Content Taxonomy 1.0.
        third_party_data: whether what third parties say about a person may be used for it; False:
            the owner's own data alone.
    """

    id: AdvertiserId
    name: str
    domain: str
    iab_categories: tuple[str, ...] = ()
    third_party_data: bool = True

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not _DOMAIN.fullmatch(self.domain) or self.domain.startswith("www."):
            wanted = "a bare domain in lower case, such as air.example"
            raise InvalidFieldError(f"advertiser {self.id}: domain", self.domain, wanted)


class Exchange(_Record, frozen=True, kw_only=True, tag="exchange"):
    """An ad exchange that may send bid requests to ``/openrtb2/{id}/bid``.

    Attributes:
        id: its name in the path; its user ids are known by it too.
        default_tmax_ms: the time limit where a request names none.
        network_margin_ms: what of it the network takes, both ways.
        reservation_seconds: how long a bid holds its place under a cap: above the 99.9th
            percentile of this exchange's billing delay.
        median_price_cpm_micros: where half of its auctions are won; scale of the bid shading.
    """

    id: ExchangeId
    default_tmax_ms: int = 120
    network_margin_ms: int = 20
    reservation_seconds: int = 10
    median_price_cpm_micros: int = 2_000_000

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not _PATH_SEGMENT.fullmatch(self.id):
            wanted = "1 to 64 of A-Z a-z 0-9 . _ ~ -, since it stands in the URL of bid requests"
            raise InvalidFieldError("exchange: id", self.id, wanted)
        _positive("exchange", self.id, "default_tmax_ms", self.default_tmax_ms)
        _positive("exchange", self.id, "reservation_seconds", self.reservation_seconds)
        if not 0 <= self.network_margin_ms < self.default_tmax_ms:
            where = f"exchange {self.id}: network_margin_ms"
            wanted = f"from 0 to below default_tmax_ms ({self.default_tmax_ms})"
            raise InvalidFieldError(where, self.network_margin_ms, wanted)
        _positive("exchange", self.id, "median_price_cpm_micros", self.median_price_cpm_micros)


class Segment(_Record, frozen=True, kw_only=True, tag="segment"):
    """A group of persons and the whole policy for them.

    Attributes:
        id: ``ADVERTISER/NAME``.
        advertiser: whose orders the rule counts.
        min_orders, max_orders: the rule; both inclusive, ``max_orders`` None is no limit.
        target_cpa_micros: what a conversion may cost.
        cap_impressions, cap_window_seconds: the frequency cap per person and campaign.
        creative_set: which of a campaign's creatives they see.
        mean_value_micros: mean yearly value of its customers; a customer's own, over this mean,
            moves the bid.
    """

    id: SegmentId
    advertiser: AdvertiserId
    min_orders: int = 0
    max_orders: int | None = None
    target_cpa_micros: int
    cap_impressions: int
    cap_window_seconds: int
    creative_set: str
    mean_value_micros: int = 100 * MICROS

    def contains(self, order_count: int) -> bool:
        """Whether somebody with so many orders belongs to it."""
        return order_count >= self.min_orders and (
            self.max_orders is None or order_count <= self.max_orders
        )

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"segment {self.id}: "
        if not self.id.startswith(f"{self.advertiser}/"):
            raise InvalidFieldError("segment id", self.id, f"of the form {self.advertiser}/NAME")
        if self.target_cpa_micros < 0:
            raise InvalidFieldError(where + "target_cpa_micros", self.target_cpa_micros, ">= 0")
        if not 1 <= self.cap_impressions <= MAX_CAP:
            wanted = f"from 1 to {MAX_CAP}"
            raise InvalidFieldError(where + "cap_impressions", self.cap_impressions, wanted)
        if not 1 <= self.cap_window_seconds <= MAX_WINDOW_SECONDS:
            wanted = f"from 1 to {MAX_WINDOW_SECONDS} (30 days)"
            raise InvalidFieldError(where + "cap_window_seconds", self.cap_window_seconds, wanted)
        _positive("segment", self.id, "mean_value_micros", self.mean_value_micros)


class Campaign(_Record, frozen=True, kw_only=True, tag="campaign"):
    """What an advertiser runs.

    Attributes:
        goal: ``flight`` sells a searched route, ``product`` an item looked at; ``contextual``
            knows no person and pays ``contextual_cpm_micros``.
        segments: for whom; empty for a contextual campaign.
        uncapped_contextual: may be shown where there is no person to count for.
        is_active: False pauses it.
        call_driven: it is there to make people call, so it bids less while the lines are full.
    """

    id: CampaignId
    advertiser: AdvertiserId
    goal: Goal
    segments: tuple[SegmentId, ...] = ()
    contextual_cpm_micros: int = 0
    uncapped_contextual: bool = False
    is_active: bool = True
    call_driven: bool = False

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"campaign {self.id}: "
        contextual = self.goal == "contextual"
        if contextual != (not self.segments):
            wanted = "empty for a contextual campaign, and not empty for any other"
            raise InvalidFieldError(where + "segments", self.segments, wanted)
        if contextual != self.uncapped_contextual:
            wanted = "true for a contextual campaign, and false for any other"
            raise InvalidFieldError(where + "uncapped_contextual", self.uncapped_contextual, wanted)
        if self.contextual_cpm_micros < 0:
            raise InvalidFieldError(
                where + "contextual_cpm_micros", self.contextual_cpm_micros, ">= 0"
            )


class Creative(_Record, frozen=True, kw_only=True, tag="creative"):
    """A banner with slots such as ``{route}``, which the bidder fills and escapes.

    :mod:`models.templates` lists the slots of each goal.

    Attributes:
        creative_set: shown to segments that name this set; ``any`` to all.
        sizes: (width, height) pairs in which it renders.
        click_url: the landing page, https; slots allowed.
        is_private: shows what others at a shared device should not see; withheld where it is not
            certain enough who is there.
    """

    id: CreativeId
    campaign: CampaignId
    creative_set: str = "any"
    sizes: tuple[tuple[int, int], ...]
    html: str
    click_url: str
    is_private: bool = False

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"creative {self.id}: "
        if not self.sizes or any(min(size) <= 0 for size in self.sizes):
            raise InvalidFieldError(
                where + "sizes", self.sizes, "a list of [width, height], both above 0"
            )
        if not self.click_url.startswith("https://"):
            raise InvalidFieldError(where + "click_url", self.click_url, "an https address")
        if "http://" in self.html.lower():
            raise InvalidFieldError(where + "html", "http://", "allowed in markup: write https://")
        parse_template(self.html, where + "html")
        parse_template(self.click_url, where + "click_url")
        if len(self.id) > 64:
            raise InvalidFieldError(where + "id", self.id, "at most 64 characters (crid)")


class Flight(_Record, frozen=True, kw_only=True, tag="flight"):
    """A departure and what is left to sell.

    Attributes:
        id: ``CARRIER+NUMBER/DATE``, unique.
        origin, destination: IATA airport codes.
        depart_date: local date of departure, ``YYYY-MM-DD``.
        depart_ms: departure, Unix ms.
        seats_total, seats_left: capacity, and what can still be sold; 0 is sold out.
        fare_micros: today's fare.
        updated_ms: version; an older update never replaces a newer one.
    """

    id: str
    advertiser: AdvertiserId
    origin: str
    destination: str
    depart_date: str
    depart_ms: int
    seats_total: int
    seats_left: int
    fare_micros: int
    updated_ms: int

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"flight {self.id}: "
        if not 0 <= self.seats_left <= self.seats_total:
            wanted = f"from 0 to seats_total ({self.seats_total})"
            raise InvalidFieldError(where + "seats_left", self.seats_left, wanted)
        _positive("flight", self.id, "fare_micros", self.fare_micros)


class Product(_Record, frozen=True, kw_only=True, tag="product"):
    """An item of a shop's feed.

    Attributes:
        price_micros, margin_micros: today's price, and the shop's margin in it.
        stock: pieces left; 0 is never advertised.
        accessories: items that go with it.
        updated_ms: version; an older update never replaces a newer one.
    """

    id: str
    advertiser: AdvertiserId
    title: str
    group: str
    price_micros: int
    margin_micros: int
    stock: int
    accessories: tuple[str, ...] = ()
    updated_ms: int

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        _positive("product", self.id, "price_micros", self.price_micros)
        if self.stock < 0:
            raise InvalidFieldError(f"product {self.id}: stock", self.stock, ">= 0")


class CallTag(_Record, frozen=True, kw_only=True, tag="call_tag"):
    """What an operator's judgement of a call means.

    Attributes:
        id: what the telephony or the CRM writes as a call's ``tag``.
        name: what people read.
        is_conversion: such a call counts as one.
        counts_value: such a call adds value.
        is_repeat: it repeats an earlier call, and counts only where none before it has counted.
        opens_callback: we owe the customer a call, until an answered one follows.
        pauses_ads_hours: so long they get no ads of the advertiser, or until the call-back is done.
        automatic_for: given by itself to calls that were missed for such a reason, beside the
            operator's tag; not where that opens a call-back, or is neither conversion nor value
            nor pause.
    """

    id: str
    name: str = ""
    is_conversion: bool = True
    counts_value: bool = True
    is_repeat: bool = False
    opens_callback: bool = False
    pauses_ads_hours: int = 0
    automatic_for: tuple[MissedReason, ...] = ()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"call_tag {self.id}: "
        _nameable("call_tag", self.id)
        if not 0 <= self.pauses_ads_hours <= MAX_PAUSE_HOURS:
            wanted = f"from 0 to {MAX_PAUSE_HOURS} (30 days)"
            raise InvalidFieldError(where + "pauses_ads_hours", self.pauses_ads_hours, wanted)
        if "" in self.automatic_for:
            wanted = "a list of reasons for which calls are missed"
            raise InvalidFieldError(where + "automatic_for", self.automatic_for, wanted)


class Department(_Record, frozen=True, kw_only=True, tag="department"):
    """Where a phone menu leads.

    Attributes:
        id: what the telephony writes as a call's ``department``.
        is_sales: its calls can be conversions; False for service, complaints, suppliers.
    """

    id: str
    name: str = ""
    is_sales: bool

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        _nameable("department", self.id)


class LineState(_Record, frozen=True, kw_only=True, tag="line_state"):
    """How an advertiser's phone lines have been doing, by the minute; streams works it out.

    Attributes:
        minutes: (minute since 1970, inbound calls, of them lost to full lines), oldest first.
        updated_ms: version: the newest call's time.
    """

    advertiser: AdvertiserId
    minutes: tuple[tuple[int, int, int], ...]
    updated_ms: int

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        for minute, calls, lost in self.minutes:
            if not 0 <= lost <= calls:
                where = f"line_state {self.advertiser}: minutes: lost in {minute}"
                raise InvalidFieldError(
                    where, lost, f"from 0 to the calls of that minute ({calls})"
                )


CatalogRecord: TypeAlias = (
    Advertiser | Exchange | Segment | Campaign | Creative | CallTag | Department
)  # fmt: skip
"""Records of the catalogue topic: written by marketers, few."""

Offer: TypeAlias = Flight | Product
"""Records of the inventory and offers topics: what can be sold now, many."""

_decoder: Final[msgspec.json.Decoder[CatalogRecord | Offer | LineState]] = msgspec.json.Decoder(
    CatalogRecord | Offer | LineState
)
encode_record: Final = msgspec.json.Encoder().encode


def decode_record(payload: bytes) -> CatalogRecord | Offer | LineState:
    """Reads and checks a record of any kind.

    Raises:
        EventError: not a record, or a value that cannot be used; the text names the field.
    """
    try:
        record = _decoder.decode(payload)
        record.check()
    except (msgspec.MsgspecError, UnicodeDecodeError, KinbidError) as error:
        raise EventError(str(error)) from error
    return record


def record_key(record: CatalogRecord | Offer | LineState) -> str:
    """The record's Kafka key: ``kind/id``, for offers ``kind/advertiser/id``."""
    kind = cast("str", record.__struct_config__.tag)
    if isinstance(record, Flight | Product):
        return f"{kind}/{record.advertiser}/{record.id}"
    if isinstance(record, LineState):
        return f"{kind}/{record.advertiser}"
    return f"{kind}/{record.id}"


def _nameable(kind: str, name: str) -> None:
    if not _EVENT_NAME.fullmatch(name):
        raise InvalidFieldError(f"{kind} id", name, "1 to 64 letters, digits or any of _ . : + -")


def _positive(kind: str, name: str, field: str, value: int) -> None:
    if value <= 0:
        raise InvalidFieldError(f"{kind} {name}: {field}", value, "above 0")
