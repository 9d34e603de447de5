"""Touches: what a person did and on which channel, each distinct touch at its newest time.

A facet keeps them as kind, then key, then Unix seconds. The key is one letter for the channel
and a text that says what was touched; whatever tells two touches apart (a cart's addition from
its removal, one booking step from another) stands in the text, so the newest time is all that a
touch needs and the newest of each kind are kept exactly (:mod:`models.newest`).

All kinds and channels sorted by time are the person's one timeline.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from models.event_base import CHANNELS, Cabin, Channel
from models.events import (
    AccountErased,
    BookingStep,
    Call,
    CardContact,
    CarriedConsent,
    CartAdd,
    CartRemove,
    Consent,
    Contact,
    CouponUsed,
    CrmCard,
    CrmMerge,
    CrmSplit,
    Event,
    FlightSearch,
    FormAnswers,
    LoyaltyStatus,
    NumberLease,
    Order,
    OrderStatus,
    PageView,
    PriceWatch,
    ProductSearch,
    ProductView,
    Refund,
    Refusal,
    Registration,
    SignIn,
    TraitTold,
)
from models.newest import join_newest
from models.units import DAY_MS, SECOND_MS, date_of, epoch_day

__all__ = [
    "CABIN_OF",
    "CHANNEL_OF",
    "DAY_DIGITS",
    "KINDS",
    "LETTER_OF",
    "SEARCH_HEAD",
    "STEP_LETTERS",
    "Kind",
    "Touch",
    "Touches",
    "join_touches",
    "kind_of",
    "timeline",
]

Touches = dict[str, dict[str, int]]
"""Kind's letter to key to newest time, Unix seconds."""

LETTER_OF: Final[dict[Channel, str]] = dict(zip(CHANNELS, "walesmhtuido", strict=True))
CHANNEL_OF: Final[dict[str, Channel]] = {letter: name for name, letter in LETTER_OF.items()}

DAY_LETTERS: Final = "0123456789abcdefghijklmnopqrstuv"
STEP_LETTERS: Final = "-123456789abcdefghijk"
CABIN_LETTERS: Final[dict[Cabin, str]] = {
    "": "-",
    "economy": "e",
    "premium": "p",
    "business": "b",
    "first": "f",
}
CABIN_OF: Final[dict[str, Cabin]] = {letter: cabin for cabin, letter in CABIN_LETTERS.items()}
PAGE_LENGTH: Final = 64
CRITERIA_LENGTH: Final = 64
"""Longer pages and lists of filters are cut where they are kept."""
DAY_DIGITS: Final = 4
SEARCH_HEAD: Final = DAY_DIGITS + 3
"""Characters of a search's text before its advertiser: day in hex, cabin, adults, children."""


class Kind(NamedTuple):
    """A kind of touch.

    Attributes:
        letter: its own.
        name: its event's tag.
        kept: how many touches are.
        text: what tells one from another.
        is_counted: its records are counted, since no part of a facet knows more of it than
            touches: browsing.
    """

    letter: str
    name: str
    kept: int
    text: Callable[[Any], str]
    is_counted: bool = False


class Touch(msgspec.Struct, frozen=True, order=True, gc=False):
    """One entry of a timeline.

    Attributes:
        time_ms: the newest time, Unix ms, cut to whole seconds.
        channel, kind: where and what, in words.
        key: what was touched, ``ADVERTISER/...``.
    """

    time_ms: int
    channel: str
    kind: str
    key: str


def _item(event: ProductView) -> str:
    day = DAY_LETTERS[event.event_time_ms // DAY_MS % 32]
    return f"{day}{event.advertiser}/{event.item}"


def _trip(event: FlightSearch) -> str:
    day = f"{epoch_day(event.depart_date):0{DAY_DIGITS}x}"
    head = f"{day}{CABIN_LETTERS[event.cabin]}{event.adults}{event.children}"
    trip = f"{head}{event.advertiser}/{event.origin}-{event.destination}"
    if event.sort or event.filters:
        return f"{trip};{event.sort};{','.join(event.filters)[:CRITERIA_LENGTH]}"
    return trip


def _listing(event: ProductSearch) -> str:
    criteria = f"{event.group};{event.sort};{','.join(event.filters)[:CRITERIA_LENGTH]}"
    return f"{event.advertiser}/{event.query};{criteria}"


_KINDS: Final[dict[type[Event], Kind | None]] = {
    PageView: Kind(
        "p", "page_view", 4, lambda e: f"{e.advertiser}/{e.page[:PAGE_LENGTH]}", is_counted=True
    ),
    ProductView: Kind("v", "product_view", 24, _item, is_counted=True),
    FlightSearch: Kind("s", "flight_search", 12, _trip, is_counted=True),
    ProductSearch: Kind("q", "product_search", 4, _listing, is_counted=True),
    CartAdd: Kind("c", "cart", 16, lambda e: f"+{e.advertiser}/{e.item}", is_counted=True),
    CartRemove: Kind("c", "cart", 16, lambda e: f"-{e.advertiser}/{e.item}", is_counted=True),
    BookingStep: Kind(
        "b",
        "booking_step",
        8,
        lambda e: f"{STEP_LETTERS[e.step]}{e.advertiser}/{e.item}",
        is_counted=True,
    ),
    SignIn: Kind("i", "sign_in", 2, lambda e: f"{e.advertiser}/"),
    Order: Kind("o", "order", 4, lambda e: f"{e.advertiser}/{e.order_id}"),
    Refund: Kind("r", "refund", 2, lambda e: f"{e.advertiser}/{e.order_id}"),
    Refusal: Kind("x", "refusal", 2, lambda e: f"{e.advertiser}/{e.order_id}"),
    OrderStatus: Kind("d", "order_status", 4, lambda e: f"{e.advertiser}/{e.order_id};{e.stage}"),
    CouponUsed: Kind("u", "coupon_used", 2, lambda e: f"{e.advertiser}/{e.coupon}"),
    PriceWatch: Kind("w", "price_watch", 4, lambda e: f"{e.advertiser}/{e.item}", is_counted=True),
    Call: Kind("l", "call", 4, lambda e: f"{e.advertiser}/{'missed' if e.missed else ''}"),
    NumberLease: Kind("h", "number_lease", 1, lambda e: f"{e.advertiser}/"),
    Contact: Kind("m", "contact", 8, lambda e: f"{e.advertiser}/{e.action};{e.topic}"),
    CardContact: Kind("t", "card_contact", 4, lambda e: f"{e.advertiser}/{e.place}"),
    Registration: Kind("g", "registration", 2, lambda e: f"{e.advertiser}/"),
    FormAnswers: Kind("f", "form_answers", 4, lambda e: f"{e.advertiser}/{e.form}"),
    LoyaltyStatus: Kind("y", "loyalty_status", 2, lambda e: f"{e.advertiser}/"),
    CrmCard: Kind("k", "crm_card", 1, lambda _: ""),
    Consent: Kind("a", "consent", 1, lambda _: ""),
    TraitTold: Kind("n", "trait", 1, lambda _: ""),
    CrmMerge: None,
    CrmSplit: None,
    AccountErased: None,
    CarriedConsent: None,
}

KINDS: Final = {kind.letter: kind for kind in _KINDS.values() if kind is not None}

kind_of: Final = _KINDS.__getitem__
"""The kind of touch that events of a class are; None: nothing that a person did."""


def join_touches(a: Touches, b: Touches) -> Touches:
    """The newest touches of both."""
    if not a or not b:
        return a or b
    joined = dict(a)
    for letter, entries in b.items():
        known = joined.get(letter)
        joined[letter] = (
            join_newest(known, entries, KINDS[letter].kept) if known is not None else entries
        )
    return joined


def timeline(touches: Mapping[str, Mapping[str, int]], newest: int = 32) -> list[Touch]:
    """The newest touches over all kinds and channels, oldest first.

    Of each kind only its newest distinct touches are known, so a burst of one kind never pushes
    another one out; the same thing touched again on the same channel stands at its newest time.
    """
    found = [
        Touch(seen_s * SECOND_MS, CHANNEL_OF[key[0]], KINDS[letter].name, _shown(letter, key))
        for letter, entries in touches.items()
        for key, seen_s in entries.items()
    ]
    return sorted(found)[-newest:]


def _shown(letter: str, key: str) -> str:
    text = key[1:]
    if letter == "v":
        return text[1:]
    if letter == "s":
        trip, mark, criteria = text[SEARCH_HEAD:].partition(";")
        return f"{trip}/{date_of(int(text[:DAY_DIGITS], 16))}{mark}{criteria}"
    return text
