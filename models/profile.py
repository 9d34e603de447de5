"""What the bidder knows of a person: computed by streams on write, read whole at a bid."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from models.caps import CapLedger, decode_ledger, encode_ledger, merge_ledgers
from models.commands import Command, Steps, fields_of
from models.facets import Facet, decode_facet, merge
from models.forest import FROZEN_SECONDS, Settled, settle
from models.header import (
    Header,
    Shown,
    decode_header,
    decode_shown,
    encode_header,
    header_from,
    header_of,
    is_seen_alike,
    merge_shown,
)
from models.identifiers import NodeId
from models.identity import newest_of
from models.keys import Keys
from models.reservations import Reservation
from models.sign_ins import only_at_shared

__all__ = [
    "Header",
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


class Person(msgspec.Struct, frozen=True, gc=False):
    """A person at a bid: profile, billed impressions and open reservations.

    Attributes:
        node: the identifier that decided, under which caps are counted; None without any.
        root: the person's root, where reservations are written.
        presence_ratio: the probability that it is them, below 1 at a shared device.
        splits: how many splits the person had been through when they were read.
    """

    node: NodeId | None = None
    root: NodeId | None = None
    header: Header = Header()
    ledger: CapLedger = CapLedger()
    reservations: tuple[Reservation, ...] = ()
    presence_ratio: float = 1.0
    splits: int = 0


class _Held(msgspec.Struct, gc=False):
    """A person's fields, sorted in one pass: they are read for every view that is written.

    Attributes:
        members: their nodes.
        newest: kind, colon and node to the field that counts, name and value; of anybody.
        shared: devices that other CRM persons use too.
        brought: tokens of merges and splits that no view holds yet, with what they name.
        is_merging: a merge or a split is under way.
    """

    members: set[bytes]
    newest: dict[bytes, tuple[bytes, bytes]]
    shared: list[NodeId]
    brought: dict[bytes, bytes]
    is_merging: bool = False

    def of(self, kind: bytes) -> Iterator[bytes]:
        """The members' newest fields of a kind: ``f:`` facets, ``c:`` cap ledgers."""
        for owner, (_, value) in self.newest.items():
            if owner[:2] == kind and owner[2:] in self.members:
                yield value

    def by_node(self, kind: bytes) -> Iterator[tuple[NodeId, bytes]]:
        """The same, each with the member that it is of."""
        for owner, (_, value) in self.newest.items():
            if owner[:2] == kind and owner[2:] in self.members:
                yield NodeId(owner[2:].decode()), value


def _sort(settled: Settled) -> _Held:
    held = _Held({settled.root.encode()}, {}, [], {})
    for version in settled.fields.items():
        name, value = version
        kind = name[:2]
        if kind in FOLDED:
            owner = name[:OWNER_END]
            known = held.newest.setdefault(owner, version)
            if known is not version:
                held.newest[owner] = newest_of((known, version)) or known
        elif kind == b"k:":
            held.members.add(name[2:])
        elif kind == b"x:":
            held.shared.append(NodeId(name[2:].decode()))
        elif kind == b"j:":
            held.brought[name[2:]] = value
        elif kind == b"m:":
            held.is_merging = True
    return held


def newest_fields(settled: Settled, kind: bytes) -> dict[NodeId, bytes]:
    """Per member the field that counts: ``kind`` is ``f`` or ``c``."""
    return dict(_sort(settled).by_node(kind + b":"))


def person_of(settled: Settled) -> tuple[Facet, CapLedger]:
    """The merged facet and cap ledger of a person's fields."""
    facets = newest_fields(settled, b"f").values()
    ledgers = newest_fields(settled, b"c").values()
    return merge(map(decode_facet, facets)), merge_ledgers(map(decode_ledger, ledgers))


def shared_devices(settled: Settled) -> tuple[NodeId, ...]:
    """The person's devices that other CRM persons use too."""
    return tuple(sorted(_sort(settled).shared))


def publish_all(keys: Keys, nodes: Iterable[NodeId], root: NodeId | None = None) -> Steps[None]:
    """Writes the bid views of everybody among ``nodes``: mostly one person's, unless just split.

    Args:
        keys: the owner's key names.
        nodes: any identifiers.
        root: who was the root of all of them a moment ago; mostly that saves the search for it.
    """
    left = list(nodes)
    if root is not None:
        (reply,) = yield [("HGETALL", keys.person(root))]
        standing = Settled(root, fields_of(reply))
        held = _sort(standing)
        if _stands(standing, held, left) and (yield from _write(keys, standing, held)):
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
        if (yield from _write(keys, settled, _sort(settled))):
            return settled


def _stands(person: Settled, held: _Held, nodes: Iterable[NodeId]) -> bool:
    """Whether the root of a moment ago has all of ``nodes`` still, and nothing is under way.

    Where fields stand it is a root still, without markers no merge or split is under way, and with
    all of ``nodes`` among its members none has been split off: one command instead of a search for
    the root. Whether all of that holds is checked when the view is written.
    """
    if not person.fields or held.is_merging:
        return False
    return held.members.issuperset([node.encode() for node in nodes])


def _write(keys: Keys, settled: Settled, held: _Held) -> Steps[bool]:
    """Writes a person's bid view; False where they have been merged or split since."""
    root, view = settled.root, _view_of(settled, held, (yield from _shown_of(keys, held)))
    target = (keys.parent(root), keys.person(root), keys.bid_view(root))
    (written,) = yield [("FCALL", "kinbid_v1_publish", 3, *target, settled.splits, *view)]
    if not written:
        return False
    yield from _let_expire(keys, held.brought)
    return True


def _shown_of(keys: Keys, held: _Held) -> Steps[Shown]:
    """What shows of the person's facets; only at shared devices it takes a command."""
    if not held.shared:
        return merge_shown(map(decode_shown, held.of(b"f:")))
    facets = {node: decode_shown(value) for node, value in held.by_node(b"f:")}
    return merge_shown((yield from only_at_shared(keys, facets, held.shared)))


def _view_of(settled: Settled, held: _Held, shown: Shown) -> Command:
    """Version, header, cap ledger, and the tokens of what is in a view for the first time."""
    ledger = merge_ledgers(map(decode_ledger, held.of(b"c:")))
    header = header_from(shown, tuple(sorted(held.shared)))
    records = shown.watermark + ledger.watermark + 2 + settled.remarks
    version = (settled.splits << SPLITS_SHIFT) + records
    return version, encode_header(header), encode_ledger(ledger), *held.brought


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


FOLDED: Final = (b"f:", b"c:")
OWNER_END: Final = 25
"""Where the node ends in a field such as ``f:NODE@EPOCH``."""

SPLITS_SHIFT: Final = 32
"""Versions are below 2^53, where Redis' numbers are exact: two million splits of 2^32 records."""
