"""What the bidder knows of a person: computed by streams on write, read whole at a bid."""

import functools
import operator
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from models.caps import CapLedger, Reservation, decode_ledger, merge_ledgers
from models.commands import Steps, fields_of
from models.facets import Facet, decode_facet, epoch_day, merge
from models.identifiers import NodeId
from models.identity import FROZEN_SECONDS, Settled, decode_watermark, settle
from models.keys import Keys

__all__ = [
    "BuyerStats",
    "Header",
    "Intent",
    "Person",
    "decode_header",
    "encode_header",
    "is_seen_alike",
    "newest_fields",
    "person_of",
    "publish",
]


class Intent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something a person looked at: a flight search, a product, a cart.

    Attributes:
        advertiser: whose.
        key: ``ORIGIN-DESTINATION/DATE`` of a search, the item of a product.
        seen_ms: the latest time, Unix ms.
        day: the departure's epoch day for a search, else 0.
        in_cart: it went into the cart.
    """

    advertiser: str
    key: str
    seen_ms: int
    day: int = 0
    in_cart: bool = False


class BuyerStats(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Orders with one advertiser, as the purchase and spend models want them.

    Attributes:
        order_count: orders in all.
        repeat_count: days with an order, less the first (BTYD frequency).
        first_order_ms, last_order_ms: Unix ms.
        repeat_mean_micros: mean revenue of the repeat days; 0 without any.
    """

    order_count: int
    repeat_count: int
    first_order_ms: int
    last_order_ms: int
    repeat_mean_micros: int


class Header(msgspec.Struct, frozen=True, array_like=True):
    """The ``h`` field of a bid view.

    Attributes:
        searches: flight searches, newest last.
        products: products viewed or put into a cart, newest last.
        buyers: per advertiser, only where there was an order.
        bought: ``ADVERTISER/ITEM`` of what was bought; never advertised again.
        shared: devices on which several CRM persons signed in.
    """

    searches: tuple[Intent, ...] = ()
    products: tuple[Intent, ...] = ()
    buyers: dict[str, BuyerStats] = {}
    bought: tuple[str, ...] = ()
    shared: tuple[NodeId, ...] = ()


class Person(msgspec.Struct, frozen=True):
    """A person at a bid: profile, billed impressions and open reservations.

    Attributes:
        node: the identifier that decided, under which caps are counted; None without any.
        root: the person's root, where reservations are written.
    """

    node: NodeId | None = None
    root: NodeId | None = None
    header: Header = Header()
    ledger: CapLedger = CapLedger()
    reservations: tuple[Reservation, ...] = ()


encode_header: Final = msgspec.msgpack.Encoder().encode
_time_and_key: Final = operator.attrgetter("seen_ms", "key")
REMEMBERED_KEYS: Final = 16_384
decode_header: Final = msgspec.msgpack.Decoder(Header).decode


def newest_fields(fields: dict[bytes, bytes], kind: bytes) -> dict[NodeId, bytes]:
    """Per identifier the field with the highest watermark: ``kind`` is ``f`` or ``c``."""
    newest: dict[NodeId, bytes] = {}
    prefix = kind + b":"
    for name, value in fields.items():
        if not name.startswith(prefix):
            continue
        node = NodeId(name[2 : name.rindex(b"@")].decode())
        known = newest.setdefault(node, value)
        if known is not value and decode_watermark(value) > decode_watermark(known):
            newest[node] = value
    return newest


def person_of(settled: Settled) -> tuple[Facet, CapLedger]:
    """The merged facet and cap ledger of a person's fields."""
    facets = newest_fields(settled.fields, b"f").values()
    ledgers = newest_fields(settled.fields, b"c").values()
    return merge(map(decode_facet, facets)), merge_ledgers(map(decode_ledger, ledgers))


def shared_devices(settled: Settled) -> tuple[NodeId, ...]:
    """The person's devices that other CRM persons use too."""
    return tuple(sorted(NodeId(n[2:].decode()) for n in settled.fields if n.startswith(b"x:")))


def header_of(facet: Facet, shared: tuple[NodeId, ...]) -> Header:
    """Computes what the bidder needs from a person's merged facet."""
    carts = facet.carts
    products = [
        _product(key, max(seen_ms, carts.get(key, 0)), in_cart=key in carts)
        for key, seen_ms in {**carts, **facet.views}.items()
    ]
    buyers = {
        advertiser: BuyerStats(
            order_count=bought.order_count,
            repeat_count=bought.day_count - 1,
            first_order_ms=bought.first_order_ms,
            last_order_ms=bought.last_order_ms,
            repeat_mean_micros=(bought.revenue_micros - bought.first_day_revenue_micros)
            // max(1, bought.day_count - 1),
        )
        for advertiser, bought in facet.purchases.items()
    }
    return Header(
        searches=_by_time(_search(key, seen_ms) for key, seen_ms in facet.searches.items()),
        products=_by_time(products),
        buyers=buyers,
        bought=tuple(
            f"{advertiser}/{item}"
            for advertiser, purchases in facet.purchases.items()
            for item in purchases.items
        ),
        shared=shared,
    )


@functools.lru_cache(maxsize=REMEMBERED_KEYS)
def _parts_of(search: str) -> tuple[str, str, int]:
    """Advertiser, trip and departure day; there are far fewer trips than searches."""
    advertiser, _, trip = search.partition("/")
    return advertiser, trip, epoch_day(trip.rpartition("/")[2])


def is_seen_alike(before: Facet, after: Facet) -> bool:
    """Whether one identifier's facet makes the same header before and after, whoever it joins.

    Compares what :func:`header_of` reads by identity: folding an event shares what it leaves.
    """
    return (
        after.searches is before.searches
        and after.views is before.views
        and after.carts is before.carts
        and after.purchases is before.purchases
    )


def _search(key: str, seen_ms: int) -> Intent:
    advertiser, trip, day = _parts_of(key)
    return Intent(advertiser, trip, seen_ms, day)


def _product(key: str, seen_ms: int, *, in_cart: bool) -> Intent:
    advertiser, _, item = key.partition("/")
    return Intent(advertiser, item, seen_ms, 0, in_cart)


def _by_time(intents: Iterable[Intent]) -> tuple[Intent, ...]:
    return tuple(sorted(intents, key=_time_and_key))


def publish(keys: Keys, node: NodeId, *, merged: bool) -> Steps[NodeId]:
    """Writes the bid view of the person of ``node``; returns the root.

    The version is the number of records folded in, so it rises with each, and an older snapshot
    never replaces a newer one, whichever worker writes last.

    Args:
        keys: the owner's key names.
        node: any identifier of the person; one step less if it is the root.
        merged: whether a merge came before; then its marker is removed from the view.
    """
    settled = yield from _standing(keys, node)
    while True:
        if settled is None:
            settled = yield from settle(keys, node)
        facet, ledger = person_of(settled)
        shared = shared_devices(settled)
        version = facet.watermark + ledger.watermark + 2 + len(shared)
        view: list[Any] = [version, encode_header(header_of(facet, shared))]
        view.append(_encode_ledger(ledger))
        joined = [member for member in settled.members[1:] if merged]
        root_keys = (keys.parent(settled.root), keys.bid_view(settled.root))
        (written,) = yield [("FCALL", "kinbid_v1_publish", 2, *root_keys, *view, *joined)]
        if written:
            if joined:
                # Only now: until this view stood there, bidders read what the children held.
                yield [("EXPIRE", keys.frozen_bid_view(child), FROZEN_SECONDS) for child in joined]
            return settled.root
        settled = None


def _standing(keys: Keys, node: NodeId) -> Steps[Settled | None]:
    """Reads the person of a node that was a root a moment ago; None if that takes more.

    Without a tombstone it is a root still, and without markers no merge is under way: one command
    instead of a search for the root. Whether it stays one is checked when the view is written.
    """
    (reply,) = yield [("HGETALL", keys.person(node))]
    fields = fields_of(reply)
    if not fields or b">" in fields or any(name.startswith(b"m:") for name in fields):
        return None
    return Settled(node, fields)


_encode_ledger: Final = msgspec.msgpack.Encoder().encode
