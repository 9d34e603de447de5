"""What the bidder knows of a person: computed by streams on write, read whole at a bid."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from models.caps import CapLedger, Reservation, decode_ledger, encode_ledger, merge_ledgers
from models.commands import Command, Steps, fields_of
from models.facets import Facet, decode_facet, merge
from models.forest import FROZEN_SECONDS, Settled, members_of, settle
from models.header import (
    BuyerStats,
    Header,
    Intent,
    decode_header,
    decode_shown,
    encode_header,
    header_from,
    header_of,
    is_seen_alike,
    merge_shown,
)
from models.identifiers import NodeId
from models.identity import decode_watermark
from models.keys import Keys

__all__ = [
    "BuyerStats",
    "Header",
    "Intent",
    "Person",
    "decode_header",
    "encode_header",
    "header_of",
    "is_seen_alike",
    "newest_fields",
    "person_of",
    "publish",
    "publish_all",
]


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


def newest_fields(settled: Settled, kind: bytes) -> dict[NodeId, bytes]:
    """Per member the field with the highest watermark: ``kind`` is ``f`` or ``c``."""
    members = members_of(settled.root, settled.fields)
    newest: dict[NodeId, bytes] = {}
    prefix = kind + b":"
    for name, value in settled.fields.items():
        if not name.startswith(prefix):
            continue
        node = NodeId(name[2 : name.rindex(b"@")].decode())
        if node not in members:
            continue
        known = newest.setdefault(node, value)
        if known is not value and decode_watermark(value) > decode_watermark(known):
            newest[node] = value
    return newest


def person_of(settled: Settled) -> tuple[Facet, CapLedger]:
    """The merged facet and cap ledger of a person's fields."""
    facets = newest_fields(settled, b"f").values()
    ledgers = newest_fields(settled, b"c").values()
    return merge(map(decode_facet, facets)), merge_ledgers(map(decode_ledger, ledgers))


def shared_devices(settled: Settled) -> tuple[NodeId, ...]:
    """The person's devices that other CRM persons use too."""
    return tuple(sorted(NodeId(n[2:].decode()) for n in settled.fields if n.startswith(b"x:")))


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
    shown = merge_shown(map(decode_shown, newest_fields(settled, b"f").values()))
    ledger = merge_ledgers(map(decode_ledger, newest_fields(settled, b"c").values()))
    records = shown.watermark + ledger.watermark + 2 + settled.remarks
    view: list[Any] = [(settled.splits << SPLITS_SHIFT) + records]
    view += [encode_header(header_from(shown, shared_devices(settled))), encode_ledger(ledger)]
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
