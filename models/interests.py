"""What a person wants and where they stand with us, worked out from their facet."""

import msgspec

from models.deeds import OWN_PAGES
from models.event_base import Cabin
from models.facets import Facet
from models.looks import bought_s, cart_states, looks
from models.person_events import ACTIONS, Action
from models.shop_events import STAGES, Stage
from models.touches import (
    CABIN_OF,
    CHANNEL_OF,
    DAY_DIGITS,
    LETTER_OF,
    SEARCH_HEAD,
    STEP_LETTERS,
)
from models.units import SECOND_MS, date_of

__all__ = [
    "CartItem",
    "ContactCount",
    "DealStage",
    "Interest",
    "Step",
    "TripSearch",
    "approach_count",
    "booking_steps",
    "cart_items",
    "contacts",
    "deal_stage",
    "interests",
    "trip_searches",
    "visited_ms",
]


class TripSearch(msgspec.Struct, frozen=True, gc=False):
    """A trip that was searched, with what was asked for the last time.

    Attributes:
        advertiser: on whose pages.
        trip: ``ORIGIN-DESTINATION/DATE``.
        seen_ms: the latest search, Unix ms, whole seconds.
        cabin, adults, children: empty cabin: any.
        sort, filters: as the site calls them; filters joined by commas.
    """

    advertiser: str
    trip: str
    seen_ms: int
    cabin: Cabin = ""
    adults: int = 1
    children: int = 0
    sort: str = ""
    filters: str = ""


class Interest(msgspec.Struct, frozen=True, gc=False):
    """A product that was looked at or put into the cart; ``seen_ms`` is the latest time."""

    advertiser: str
    item: str
    seen_ms: int
    is_in_cart: bool


class CartItem(msgspec.Struct, frozen=True, gc=False):
    """An item that was put into the cart.

    ``is_open``: neither taken out nor ordered since.
    """

    advertiser: str
    item: str
    added_ms: int
    is_open: bool


class Step(msgspec.Struct, frozen=True, gc=False):
    """How far the booking of an item has come; ``is_open``: the item was not ordered since."""

    advertiser: str
    item: str
    step: int
    reached_ms: int
    is_open: bool


def trip_searches(facet: Facet) -> list[TripSearch]:
    """Each trip once, as it was searched last; newest last."""
    found: dict[tuple[str, str], tuple[int, TripSearch]] = {}
    for seen_s, key in _by_time(facet, "s"):
        text = key[1 : 1 + SEARCH_HEAD]
        place, _, criteria = key[1 + SEARCH_HEAD :].partition(";")
        advertiser, _, route = place.partition("/")
        trip = f"{route}/{date_of(int(text[:DAY_DIGITS], 16))}"
        sort, _, filters = criteria.partition(";")
        search = TripSearch(
            advertiser, trip, seen_s * SECOND_MS, CABIN_OF[text[-3]], int(text[-2]),
            int(text[-1]), sort, filters,
        )  # fmt: skip
        found[advertiser, trip] = (seen_s, search)
    return [one for _, one in sorted(found.values(), key=lambda e: (e[0], e[1].trip))]


def interests(facet: Facet) -> list[Interest]:
    """Products looked at or put into the cart, the strongest interest last."""
    views, carts = (facet.touches.get(kind, {}) for kind in "vc")
    found = []
    wanted = looks(views, carts, facet.purchases)
    for (_, seen_s, is_in_cart), name in sorted(zip(wanted.values(), wanted, strict=True)):
        advertiser, _, item = name.partition("/")
        found.append(Interest(advertiser, item, seen_s * SECOND_MS, is_in_cart))
    return found


def cart_items(facet: Facet) -> list[CartItem]:
    """Items that were ever put into the cart, newest last."""
    found = []
    for name, (added_s, is_open) in cart_states(
        facet.touches.get("c", {}), facet.purchases
    ).items():
        advertiser, _, item = name.partition("/")
        found.append(CartItem(advertiser, item, added_s * SECOND_MS, is_open))
    return sorted(found, key=lambda one: (one.added_ms, one.item))


def booking_steps(facet: Facet) -> list[Step]:
    """The furthest step of each item's latest booking second, newest last."""
    found: dict[str, tuple[int, int]] = {}
    for seen_s, key in _by_time(facet, "b"):
        reached = (seen_s, STEP_LETTERS.index(key[1]))
        found[key[2:]] = max(reached, found.get(key[2:], reached))
    steps = []
    for key, (seen_s, step) in sorted(found.items(), key=lambda entry: (entry[1], entry[0])):
        advertiser, _, item = key.partition("/")
        is_open = seen_s > bought_s(facet.purchases, advertiser, item)
        steps.append(Step(advertiser, item, step, seen_s * SECOND_MS, is_open))
    return steps


def visited_ms(facet: Facet) -> int:
    """When the person was last on web or app, Unix ms, whole seconds; 0: never."""
    return max(facet.channels.get(LETTER_OF[one], 0) for one in OWN_PAGES) * SECOND_MS


def _by_time(facet: Facet, letter: str) -> list[tuple[int, str]]:
    touches = facet.touches.get(letter, {})
    return sorted(zip(touches.values(), touches, strict=True))


class DealStage(msgspec.Struct, frozen=True, gc=False):
    """How far the deal of an advertiser that moved last has come."""

    order: str
    stage: Stage
    reached_ms: int


def deal_stage(facet: Facet, advertiser: str) -> DealStage | None:
    """The deal of ``advertiser`` that moved last; None without one.

    ``order`` is the order's short name (:func:`models.purchases.short_name`).
    """
    mine = [
        (place, key.partition("/")[2])
        for key, place in facet.deals.items()
        if key.partition("/")[0] == advertiser
    ]
    if not mine:
        return None
    (reached_s, stage), order = max(mine)
    return DealStage(order, STAGES[stage], reached_s * SECOND_MS)


class ContactCount(msgspec.Struct, frozen=True, gc=False):
    """Messages of one channel with one fate: how many, and the latest (Unix ms)."""

    channel: str
    action: Action
    count: int
    latest_ms: int


def contacts(facet: Facet, since_ms: int = 0) -> list[ContactCount]:
    """Every kind of message that there was from a time on, newest last.

    Args:
        facet: the person's.
        since_ms: Unix ms; a message counts in its whole second. Of a kind with more than
            ``KEPT_CONTACTS`` since then, so many are counted.
    """
    found = []
    for kind, told in facet.contacts.items():
        times_s = [told_s for told_s in told.values() if told_s >= since_ms // SECOND_MS]
        if times_s:
            channel, action = CHANNEL_OF[kind[0]], ACTIONS[int(kind[1:])]
            found.append(ContactCount(channel, action, len(times_s), max(times_s) * SECOND_MS))
    return sorted(found, key=lambda one: (one.latest_ms, one.channel, one.action))


def approach_count(facet: Facet, since_ms: int) -> int:
    """How often we turned to the person from a time on: messages sent, on any channel, and calls.

    ``since_ms`` as for :func:`contacts`; of calls, from whichever side, the newest 16 are known.
    """
    sent = sum(one.count for one in contacts(facet, since_ms) if one.action == "sent")
    return sent + sum(one.is_outbound and one.time_ms >= since_ms for one in facet.phone.calls)
