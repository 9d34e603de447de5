"""The header of a bid view: what the bidder needs of a person, worked out when streams write.

It is made for every person of every batch, so a header is not made from facets but from
:class:`Shown`, the part of a facet that shows in it, and keys are read in place instead of by
:mod:`models.interests`, with which a test compares them: 0.6 of the CPU of publishing.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from models.approaches import Approaches, approaches_of
from models.calls import CallHistory, ToldCall, merge_calls
from models.consents import KEPT_CONSENTS, Consents, is_withdrawn
from models.contacts import Contacts, join_contacts
from models.dealings import (
    KEPT_PRODUCTS,
    KEPT_SEARCHES,
    BuyerStats,
    Dealings,
    Known,
    dealings_of,
)
from models.facets import KEPT_SIGN_INS, Facet
from models.identifiers import NodeId
from models.looks import looks
from models.newest import join_newest
from models.packing import unpack
from models.purchases import Purchases, Totals, join_shops, owned_items, totals
from models.touches import DAY_DIGITS, KINDS, SEARCH_HEAD
from models.traits import Traits, join_traits, tiers
from models.units import DAY_S, SECOND_MS, date_of

__all__ = [
    "Header",
    "Shown",
    "decode_header",
    "decode_shown",
    "encode_header",
    "header_from",
    "header_of",
    "is_seen_alike",
    "merge_shown",
]


NOTHING: Final = msgspec.Raw()
NO_DEALINGS: Final = Dealings()


class Header(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ``h`` field of a bid view.

    Attributes:
        dealings: per advertiser.
        shared: devices on which several CRM persons signed in.
        sign_ins: accounts and their latest sign-in (Unix ms) on a shared device, newest first.
        personal_ok: False where the person's newest word on personal ads is a withdrawal.
        calls: phone calls, for what their tags do to ads: the newest, and the last of each kind.
        approaches: messages sent and calls made, per advertiser.
    """

    dealings: dict[str, Dealings] = {}
    shared: tuple[NodeId, ...] = ()
    sign_ins: tuple[tuple[NodeId, int], ...] = ()
    personal_ok: bool = True
    calls: tuple[ToldCall, ...] = ()
    approaches: dict[str, Approaches] = {}

    def dealings_with(self, advertiser: str) -> Dealings:
        """The dealings with one advertiser, perhaps none."""
        return self.dealings.get(advertiser, NO_DEALINGS)


class ShownTouches(msgspec.Struct, frozen=True):
    """The touches that show in a header, by kind as in ``Facet.touches``.

    Attributes:
        s: flight searches.
        v: product views.
        c: carts.
        m: messages.
    """

    s: dict[str, int] = {}
    v: dict[str, int] = {}
    c: dict[str, int] = {}
    m: dict[str, int] = {}


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """A facet as far as it shows in a header; the rest is passed over in decoding.

    Fields stand as in :class:`models.facets.Facet`; those of type ``Raw`` do not show.
    """

    watermark: int = -1
    channels: msgspec.Raw = NOTHING
    counts: msgspec.Raw = NOTHING
    touches: ShownTouches = ShownTouches()
    half_hours: msgspec.Raw = NOTHING
    sign_ins: dict[NodeId, int] = {}
    purchases: dict[str, Purchases] = {}
    deals: msgspec.Raw = NOTHING
    contacts: Contacts = {}
    traits: Traits = {}
    third_party: msgspec.Raw = NOTHING
    answers: msgspec.Raw = NOTHING
    consents: Consents = {}
    phone: CallHistory = CallHistory()


_encode: Final = msgspec.msgpack.Encoder().encode
decode_header: Final = msgspec.msgpack.Decoder(Header).decode
_decode_shown: Final = msgspec.msgpack.Decoder(Shown).decode


def decode_shown(packed: bytes) -> Shown:
    """Reads of a packed facet what shows."""
    watermark, encoded = unpack(packed)
    return _decode_shown(encoded) if encoded else Shown(watermark)


SHOWN_KINDS: Final = ShownTouches.__struct_fields__
MOST_SEARCHES, MOST_VIEWS, MOST_CARTS, MOST_MESSAGES = (KINDS[kind].kept for kind in SHOWN_KINDS)


def encode_header(header: Header) -> bytes:
    """The header's bytes, without trailing fields at their defaults: 15 bytes of a bid view."""
    dealings = {name: one.filled() for name, one in header.dealings.items()}
    odd = header.shared, header.sign_ins, header.personal_ok, header.calls
    if header.approaches:
        return _encode((dealings, *odd, header.approaches))
    if header.shared or header.sign_ins or header.calls or not header.personal_ok:
        return _encode((dealings, *odd))
    return _encode((dealings,))


def is_seen_alike(before: Facet, after: Facet) -> bool:
    """Whether one identifier's facet makes the same header before and after, whoever it joins.

    Compares what shows by identity: folding an event shares what it leaves.
    """
    new, old = after.touches, before.touches
    for kind in SHOWN_KINDS:  # a loop, since this runs for every event
        if new.get(kind) is not old.get(kind):
            return False
    return (
        after.purchases is before.purchases
        and after.sign_ins is before.sign_ins
        and after.traits is before.traits
        and after.consents is before.consents
        and after.contacts is before.contacts
        and after.phone is before.phone
    )


def header_of(facet: Facet, shared: tuple[NodeId, ...]) -> Header:
    """The header of a person's merged facet."""
    touches = {kind: facet.touches.get(kind, {}) for kind in SHOWN_KINDS}
    shown = Shown(
        touches=ShownTouches(**touches),
        sign_ins=facet.sign_ins,
        purchases=facet.purchases,
        contacts=facet.contacts,
        traits=facet.traits,
        consents=facet.consents,
        phone=facet.phone,
    )
    return header_from(shown, shared)


def merge_shown(parts: Iterable[Shown]) -> Shown:
    """As :func:`models.facets.merge`, of what shows."""
    merged: Shown | None = None
    for part in parts:
        merged = part if merged is None else _merge_two(merged, part)
    return Shown() if merged is None else merged


def _merge_two(a: Shown, b: Shown) -> Shown:
    x, y = a.touches, b.touches
    touches = ShownTouches(
        join_newest(x.s, y.s, MOST_SEARCHES),
        join_newest(x.v, y.v, MOST_VIEWS),
        join_newest(x.c, y.c, MOST_CARTS),
        join_newest(x.m, y.m, MOST_MESSAGES),
    )
    return Shown(
        a.watermark + b.watermark + 1,
        touches=touches,
        sign_ins=join_newest(a.sign_ins, b.sign_ins, KEPT_SIGN_INS),
        purchases=join_shops(a.purchases, b.purchases),
        contacts=join_contacts(a.contacts, b.contacts),
        traits=join_traits(a.traits, b.traits),
        consents=join_newest(a.consents, b.consents, KEPT_CONSENTS),
        phone=merge_calls(a.phone, b.phone),
    )


def header_from(shown: Shown, shared: tuple[NodeId, ...]) -> Header:
    """The header of a person.

    Args:
        shown: the merge of what shows of their facets.
        shared: their devices that other CRM persons use too.
    """
    calls = shown.phone.known_calls
    is_approached = shown.contacts or shown.touches.m or calls  # few are, and it takes a moment
    return Header(
        _dealings(shown),
        shared,
        tuple(sorted(shown.sign_ins.items(), key=_by_time, reverse=True)) if shared else (),
        not is_withdrawn(shown.consents, "personal_ads"),
        calls,
        approaches_of(shown.contacts, shown.touches.m, calls) if is_approached else {},
    )


def _by_time(sign_in: tuple[NodeId, int]) -> tuple[int, NodeId]:
    return sign_in[1], sign_in[0]


def _dealings(shown: Shown) -> dict[str, Dealings]:
    owned: set[str] = set()
    found: defaultdict[str, Known] = defaultdict(Known)
    for name, purchases in shown.purchases.items():
        orders = totals(purchases)
        if orders.order_count:
            found[name].buyer = _buyer(orders)
        if purchases.items:
            owned.update([f"{name}/{item}" for item in owned_items(purchases)])
    _add_trips(found, shown.touches.s, owned)
    _add_things(found, shown, owned)
    if shown.traits:
        _add_tiers(found, shown.traits)
    return {name: dealings_of(known) for name, known in sorted(found.items())}


def _buyer(orders: Totals) -> BuyerStats:
    repeat_count = max(0, orders.day_count - 1)
    return BuyerStats(
        order_count=orders.order_count,
        repeat_count=repeat_count,
        first_order_s=orders.first_order_ms // SECOND_MS,
        last_order_s=orders.last_order_ms // SECOND_MS,
        repeat_mean_micros=(orders.net_micros - orders.first_day_micros) // max(1, repeat_count),
        net_micros=orders.net_micros,
    )


def _add_tiers(found: defaultdict[str, Known], traits: Traits) -> None:
    """The tier in each programme; the CRM card's, which names none, wherever there are dealings."""
    by_advertiser = tiers(traits)
    for advertiser, tier in by_advertiser.items():
        if advertiser:
            found[advertiser].tier = tier
    of_card = by_advertiser.get("", "")
    for known in found.values():
        known.tier = known.tier or of_card


# Routes and days repeat among persons, so a key is taken apart once: a person's ten searches take
# 5 us instead of 10. The cache holds some 10 MB at the most.
KEPT_NAMES: Final = 32_768


@lru_cache(maxsize=KEPT_NAMES)
def _trip_of(key: str) -> tuple[str, str, str, int]:
    """Of a search's key ``ADVERTISER/ROUTE/DATE``, and the advertiser, route and epoch day."""
    day = int(key[1 : 1 + DAY_DIGITS], 16)
    name = key[1 + SEARCH_HEAD :].partition(";")[0]
    advertiser, _, route = name.partition("/")
    return f"{name}/{date_of(day)}", advertiser, route, day


def _add_trips(found: defaultdict[str, Known], searches: dict[str, int], owned: set[str]) -> None:
    """Per advertiser the newest trips that were searched and not booked."""
    done = owned.copy()
    for seen_s, key in sorted(zip(searches.values(), searches, strict=True), reverse=True):
        name, advertiser, route, day = _trip_of(key)
        if name in done:
            continue
        done.add(name)
        known = found[advertiser]
        routes = known.routes
        if len(routes) < KEPT_SEARCHES:
            routes.append(route)
            known.days_ahead.append(day - seen_s // DAY_S)
            known.searched_s.append(seen_s)


def _add_things(found: defaultdict[str, Known], shown: Shown, owned: set[str]) -> None:
    """Per advertiser the products that are wanted most and not bought, and whatever is in the cart.

    Of equals the newest stands first, then the one with the greater name.
    """
    wanted = looks(shown.touches.v, shown.touches.c, shown.purchases)
    strongest = sorted(zip(wanted.values(), wanted, strict=True), reverse=True)
    for (_, seen_s, is_in_cart), name in strongest:
        if name in owned:
            continue
        advertiser, _, item = name.partition("/")
        known = found[advertiser]
        items = known.items
        if is_in_cart:
            known.carts |= 1 << len(items)
        elif len(items) >= KEPT_PRODUCTS:
            continue
        items.append(item)
        known.seen_s.append(seen_s)
