"""What the bidder knows of a person: computed by streams on write, read whole at a bid."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from models.calls import ToldCall
from models.caps import CapLedger, Reservation, decode_ledger, merge_ledgers
from models.commands import Command, Steps, fields_of
from models.consents import is_withdrawn
from models.facets import Facet, decode_facet, merge
from models.forest import FROZEN_SECONDS, Settled, members_of, settle
from models.identifiers import NodeId
from models.identity import newest_of
from models.interests import NEVER, cart_items, owned_items
from models.keys import Keys
from models.purchases import Totals, totals
from models.touches import DAY_DIGITS, SEARCH_HEAD, Touches
from models.units import SECOND_MS, date_of

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
    "publish_all",
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
        sign_ins: accounts and their latest sign-in (Unix ms) on a device of the person, newest
            first.
        personal_ok: False where the person's newest word on personal ads is a withdrawal.
        calls: the newest phone calls, for what their tags do to ads.
    """

    searches: tuple[Intent, ...] = ()
    products: tuple[Intent, ...] = ()
    buyers: dict[str, BuyerStats] = {}
    bought: tuple[str, ...] = ()
    shared: tuple[NodeId, ...] = ()
    sign_ins: tuple[tuple[NodeId, int], ...] = ()
    personal_ok: bool = True
    calls: tuple[ToldCall, ...] = ()


class Person(msgspec.Struct, frozen=True):
    """A person at a bid: profile, billed impressions and open reservations.

    Attributes:
        node: the identifier that decided, under which caps are counted; None without any.
        root: the person's root, where reservations are written.
        presence_ratio: the probability that it is them, below 1 at a shared device.
    """

    node: NodeId | None = None
    root: NodeId | None = None
    header: Header = Header()
    ledger: CapLedger = CapLedger()
    reservations: tuple[Reservation, ...] = ()
    presence_ratio: float = 1.0


encode_header: Final = msgspec.msgpack.Encoder().encode
decode_header: Final = msgspec.msgpack.Decoder(Header).decode

SEEN_KINDS: Final = ("s", "v", "c")
"""Kinds of touches that a header shows: flight searches, product views, carts."""


def newest_fields(settled: Settled, kind: bytes) -> dict[NodeId, bytes]:
    """Per member the field that counts: ``kind`` is ``f`` or ``c``."""
    members = members_of(settled.root, settled.fields)
    newest: dict[NodeId, tuple[bytes, bytes]] = {}
    prefix = kind + b":"
    for version in settled.fields.items():
        name = version[0]
        if not name.startswith(prefix):
            continue
        node = NodeId(name[2 : name.rindex(b"@")].decode())
        if node not in members:
            continue
        known = newest.setdefault(node, version)
        if known is not version:
            newest[node] = newest_of((known, version)) or known
    return {node: value for node, (_, value) in newest.items()}


def person_of(settled: Settled) -> tuple[Facet, CapLedger]:
    """The merged facet and cap ledger of a person's fields."""
    facets = newest_fields(settled, b"f").values()
    ledgers = newest_fields(settled, b"c").values()
    return merge(map(decode_facet, facets)), merge_ledgers(map(decode_ledger, ledgers))


def shared_devices(settled: Settled) -> tuple[NodeId, ...]:
    """The person's devices that other CRM persons use too."""
    return tuple(sorted(NodeId(n[2:].decode()) for n in settled.fields if n.startswith(b"x:")))


def header_of(facet: Facet, shared: tuple[NodeId, ...]) -> Header:
    """Computes what the bidder needs from a person's merged facet."""
    bought = facet.purchases
    buyers = {name: _buyer(totals(purchases)) for name, purchases in bought.items()}
    return Header(
        searches=_searches(facet.touches),
        products=_products(facet),
        buyers={name: buyer for name, buyer in buyers.items() if buyer.order_count},
        bought=tuple(
            f"{advertiser}/{item}"
            for advertiser in sorted(bought)
            for item in owned_items(bought[advertiser])
        ),
        shared=shared,
        sign_ins=tuple(
            sorted(facet.sign_ins.items(), key=lambda entry: (entry[1], entry[0]), reverse=True)
        ),
        personal_ok=not is_withdrawn(facet.consents, "personal_ads"),
        calls=facet.phone.calls,
    )


def _buyer(orders: Totals) -> BuyerStats:
    repeat_count = max(0, orders.day_count - 1)
    return BuyerStats(
        order_count=orders.order_count,
        repeat_count=repeat_count,
        first_order_ms=orders.first_order_ms,
        last_order_ms=orders.last_order_ms,
        repeat_mean_micros=(orders.net_micros - orders.first_day_micros) // max(1, repeat_count),
    )


# The two below run for every person of every batch: they read keys in place instead of going by
# :mod:`models.interests`, with which a test compares them: half the time for a usual person.


def _searches(touches: Touches) -> tuple[Intent, ...]:
    newest: dict[str, int] = {}
    for key, seen_s in touches.get("s", {}).items():
        trip = key[1 : 1 + DAY_DIGITS] + key[1 + SEARCH_HEAD :].partition(";")[0]
        if seen_s > newest.get(trip, NEVER):
            newest[trip] = seen_s
    found = []
    for trip, seen_s in newest.items():
        day = int(trip[:DAY_DIGITS], 16)
        advertiser, _, route = trip[DAY_DIGITS:].partition("/")
        found.append((seen_s, f"{route}/{date_of(day)}", advertiser, day))
    found.sort()
    return tuple(
        Intent(advertiser, trip, seen_s * SECOND_MS, day) for seen_s, trip, advertiser, day in found
    )


def _products(facet: Facet) -> tuple[Intent, ...]:
    seen: dict[str, int] = {}
    for key, seen_s in facet.touches.get("v", {}).items():
        if seen_s > seen.get(key[2:], NEVER):
            seen[key[2:]] = seen_s
    carts = {f"{one.advertiser}/{one.item}": one for one in cart_items(facet)}
    for name, one in carts.items():
        seen[name] = max(seen.get(name, NEVER), one.added_ms // SECOND_MS)
    found = []
    for name, seen_s in seen.items():
        advertiser, _, item = name.partition("/")
        found.append((seen_s, item, advertiser, name in carts and carts[name].is_open))
    found.sort()
    return tuple(
        Intent(advertiser, item, seen_s * SECOND_MS, 0, in_cart)
        for seen_s, item, advertiser, in_cart in found
    )


def is_seen_alike(before: Facet, after: Facet) -> bool:
    """Whether one identifier's facet makes the same header before and after, whoever it joins.

    Compares what :func:`header_of` reads by identity: folding an event shares what it leaves.
    """
    return (
        after.purchases is before.purchases
        and after.sign_ins is before.sign_ins
        and after.consents is before.consents
        and after.phone is before.phone
        and all(after.touches.get(kind) is before.touches.get(kind) for kind in SEEN_KINDS)
    )


def publish_all(keys: Keys, nodes: Iterable[NodeId], root: NodeId | None = None) -> Steps[None]:
    """Writes the bid views of everybody among ``nodes``: mostly one person's, unless just split.

    Args:
        keys: the owner's key names.
        nodes: any identifiers.
        root: who was the root of all of them a moment ago; mostly that saves the search for it.
    """
    left = list(nodes)
    standing = None if root is None else (yield from _standing(keys, root, left))
    if standing is not None and (yield from _write(keys, standing)):
        return
    while left:
        settled = yield from publish(keys, left[0])
        done = set(settled.members)
        left = [node for node in left[1:] if node not in done]


def publish(keys: Keys, node: NodeId) -> Steps[Settled]:
    """Writes the bid view of the person of ``node``; returns the person.

    The version is the number of splits that the person has been through and of records folded in,
    so it rises with each, and an older snapshot never replaces a newer one, whichever worker
    writes last. Markers of merges and splits whose data is in the view are removed from it.

    Args:
        keys: the owner's key names.
        node: any identifier of the person.
    """
    while True:
        settled = yield from settle(keys, node)
        if (yield from _write(keys, settled)):
            return settled


def _standing(keys: Keys, root: NodeId, nodes: Iterable[NodeId]) -> Steps[Settled | None]:
    """Reads the person of a node that was a root a moment ago; None if that takes more.

    Without a tombstone it is a root still, without markers no merge or split is under way, and
    with all of ``nodes`` among its members none has been split off: one command instead of a
    search for the root. Whether it stays so is checked when the view is written.
    """
    (reply,) = yield [("HGETALL", keys.person(root))]
    fields = fields_of(reply)
    if not fields or b">" in fields or any(name.startswith(b"m:") for name in fields):
        return None
    return Settled(root, fields) if members_of(root, fields).issuperset(nodes) else None


def _write(keys: Keys, settled: Settled) -> Steps[bool]:
    """Writes a person's bid view; False where they have been merged or split since."""
    facet, ledger = person_of(settled)
    shared = shared_devices(settled)
    records = facet.watermark + ledger.watermark + 2 + settled.remarks
    view: list[Any] = [(settled.splits << SPLITS_SHIFT) + records]
    view += [encode_header(header_of(facet, shared)), _encode_ledger(ledger)]
    brought = {name[2:]: value for name, value in settled.fields.items() if name[:2] == b"j:"}
    root = settled.root
    target = (keys.parent(root), keys.person(root), keys.bid_view(root))
    (written,) = yield [("FCALL", "kinbid_v1_publish", 3, *target, settled.splits, *view, *brought)]
    if not written:
        return False
    yield from _let_expire(keys, brought)
    return True


def _let_expire(keys: Keys, brought: dict[bytes, bytes]) -> Steps[None]:
    """Lets go of what children held: until the view stood there, bidders read it."""
    read: list[Command] = []
    for token, frozen in brought.items():
        child, is_split, _ = frozen.decode().partition("|")
        if not is_split:
            key = keys.frozen_bid_view(NodeId(child), token.decode())
            read.append(("EXPIRE", key, FROZEN_SECONDS))
    if read:
        yield read


SPLITS_SHIFT: Final = 32
"""Versions are below 2^53, where Redis' numbers are exact: two million splits of 2^32 records."""

_encode_ledger: Final = msgspec.msgpack.Encoder().encode
