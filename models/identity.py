"""The identity protocol: which identifiers are one person, decided without a lock.

Persons are the trees of a concurrent disjoint-set forest over single Redis keys (Jayanti and
Tarjan, PODC 2016), with four rules that keep profiles exact while trees are joined under load:
freeze while linking, one-time tokens, the ownership epoch in the field name, announce before
linking. Every function is a generator (:mod:`models.commands`) and any of its steps may be the
last one before a crash: whoever comes next finds a state that it can finish.

The order of nodes is (is a CRM id, digest, letter), so a tree that holds a CRM id has it as its
root and two CRM ids never meet: at most one CRM id per person.

Fields of a person ``p:{r}``: ``f:node@epoch`` facet, ``c:node@epoch`` cap ledger, ``k:node``
member, ``x:node`` shared device, ``m:token`` merge under way, ``>`` this person has been merged.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from models.commands import Command, Steps, fields_of
from models.identifiers import NodeId, is_crm, is_device
from models.keys import Keys

__all__ = [
    "FROZEN_SECONDS",
    "LinkResult",
    "Settled",
    "decode_watermark",
    "find",
    "fold",
    "link",
    "settle",
]

FROZEN_SECONDS: Final = 60
"""How long a merged person's frozen copy stays for readers that are still on their way."""

LinkResult = Literal["linked", "known", "refused"]


class Settled(msgspec.Struct, frozen=True, gc=False):
    """A root and all fields of its person at one instant, merges under way taken in."""

    root: NodeId
    fields: dict[bytes, bytes]

    @property
    def members(self) -> list[NodeId]:
        """Every node of the person that was ever a root, the present one first."""
        joined = [NodeId(name[2:].decode()) for name in self.fields if name.startswith(b"k:")]
        return [self.root, *(node for node in joined if node != self.root)]


class _Watermarked(msgspec.Struct, array_like=True):
    watermark: int = -1


_decode_watermarked: Final = msgspec.msgpack.Decoder(_Watermarked).decode


def decode_watermark(encoded: bytes) -> int:
    """The watermark of an encoded facet or ledger; it stands first in either."""
    return _decode_watermarked(encoded).watermark


def find(keys: Keys, node: NodeId) -> Steps[NodeId]:
    """The root of ``node``; a path of two links or more is shortened on the way."""
    path: list[tuple[NodeId, bytes]] = []
    while True:
        (parent,) = yield [("GET", keys.parent(node))]
        if parent is None:
            break
        path.append((node, parent))
        node = NodeId(parent[1:].decode())
    stale = path[:-1]
    if stale:
        yield [
            ("FCALL", "kinbid_v1_shorten", 1, keys.parent(below), link, f">{node}")
            for below, link in stale
        ]
    return node


def settle(keys: Keys, node: NodeId) -> Steps[Settled]:
    """Finds the person of ``node`` and finishes every merge into it that was left half done."""
    while True:
        root = yield from find(keys, node)
        (reply,) = yield [("HGETALL", keys.person(root))]
        fields = fields_of(reply)
        if b">" in fields:
            continue
        changed = False
        for name, child in fields.items():
            if name.startswith(b"m:"):
                changed |= yield from _finish(keys, root, name[2:], NodeId(child.decode()))
        if not changed:
            return Settled(root, fields)


def _finish(keys: Keys, root: NodeId, token: bytes, child: NodeId) -> Steps[bool]:
    """Takes in ``child`` if it has been drained under ``token``; returns whether p changed."""
    parent, person, view = yield [
        ("GET", keys.parent(child)),
        ("HGETALL", keys.frozen_person(child)),
        ("HGETALL", keys.frozen_bid_view(child)),
    ]
    held = fields_of(person)
    if not held and parent is None:
        return False  # an intent: the link has not happened, and perhaps never will
    if held.get(b">") != token:
        # Drained under another token, or under this one so long ago that the copy has expired.
        yield from _forget(keys, root, token, still_read=fields_of(view).get(b">") == token)
        return True
    moved: list[bytes] = [
        part for name, value in held.items() if name != b">" for part in (name, value)
    ]
    bids: list[bytes] = []
    for name, value in fields_of(view).items():
        if name.startswith(b"r:"):
            bids += (name + b"~" + token, value)
        elif name.startswith(b"m:"):
            bids += (name, value)
    target = (keys.parent(root), keys.person(root), keys.bid_view(root))
    (absorbed,) = yield [
        ("FCALL", "kinbid_v1_absorb", 3, *target, token, len(moved) // 2, *moved, *bids)
    ]
    if absorbed:
        # Never before: if the root has been merged too, its new root still needs the copy. The
        # frozen bid view stays until a published one replaces it (models.profile.publish).
        yield [("EXPIRE", keys.frozen_person(child), FROZEN_SECONDS)]
    return True


def _forget(keys: Keys, root: NodeId, token: bytes, *, still_read: bool) -> Steps[None]:
    """Removes a marker whose merge is over; readers may still need the one in the bid view."""
    marker = b"m:" + token
    # The person's comes last: as long as it stands, whoever settles comes by here again.
    view: list[Command] = [] if still_read else [("HDEL", keys.bid_view(root), marker)]
    yield [*view, ("HDEL", keys.person(root), marker)]


def link(
    keys: Keys, a: NodeId, b: NodeId, evidence: bytes, next_token: Callable[[], str]
) -> Steps[LinkResult]:
    """Makes ``a`` and ``b`` one person, unless that would join two CRM persons.

    Args:
        keys: the owner's key names.
        a: the node whose event told of the link.
        b: the other node.
        evidence: source and time, kept under both nodes; the first one stays.
        next_token: gives a token that was never used before.

    Returns:
        ``linked`` when two persons became one, ``known`` when they were one already, ``refused``
        when both have a CRM id: then the device is marked shared.
    """
    yield [
        ("HSETNX", keys.evidence(a), f"e:{b}", evidence),
        ("HSETNX", keys.evidence(b), f"e:{a}", evidence),
    ]
    while True:
        root_a = yield from find(keys, a)
        root_b = yield from find(keys, b)
        if root_a == root_b:
            yield from settle(keys, a)
            return "known"
        if is_crm(root_a) and is_crm(root_b):
            yield from _mark_shared(keys, a if is_device(a) or is_crm(b) else b)
            return "refused"
        child, root = sorted((root_a, root_b), key=_rank)
        if (yield from _join(keys, root, child, next_token())):
            yield from settle(keys, child)
            return "linked"


def _rank(node: NodeId) -> tuple[bool, str, str]:
    # The letter decides last: one value under two namespaces has one digest, and with equal
    # ranks two links could each put the other's node below.
    return is_crm(node), node[1:], node[0]


def _join(keys: Keys, root: NodeId, child: NodeId, token: str) -> Steps[bool]:
    parent, person = keys.parent(root), keys.person(root)
    (marked,) = yield [
        ("FCALL", "kinbid_v1_mark", 3, parent, person, keys.bid_view(root), token, child)
    ]
    if not marked:
        return False
    drained = (
        keys.parent(child), keys.person(child), keys.frozen_person(child),
        keys.bid_view(child), keys.frozen_bid_view(child),
    )  # fmt: skip
    (joined,) = yield [("FCALL", "kinbid_v1_drain", 5, *drained, root, token, child)]
    if not joined:
        yield from _forget(keys, root, token.encode(), still_read=False)
    return bool(joined)


def _mark_shared(keys: Keys, node: NodeId) -> Steps[None]:
    """Writes that ``node`` is used by several CRM persons, wherever its person is by then."""
    while True:
        root = yield from find(keys, node)
        _, parent = yield [
            ("HSETNX", keys.person(root), f"x:{node}", b"1"),
            ("GET", keys.parent(root)),
        ]
        if parent is None:
            return


def fold(
    keys: Keys,
    node: NodeId,
    kind: Literal["f", "c"],
    epoch: int,
    apply: Callable[[bytes | None], bytes | None],
) -> Steps[NodeId]:
    """Folds one identifier's new records into its field; exact under merges and takeovers.

    Only the owner of the node's partition runs this, one call at a time per node.

    Args:
        keys: the owner's key names.
        node: the identifier.
        kind: ``f`` for the facet, ``c`` for the cap ledger.
        epoch: the partition's ownership epoch; higher than that of any owner before.
        apply: given the encoded field, or None, returns it with the new records folded in, or
            None when all of them are in it already.

    Returns:
        The root at which the field now stands.
    """
    field = f"{kind}:{node}@{epoch}".encode()
    (parent,) = yield [("GET", keys.parent(node))]
    root = NodeId(parent[1:].decode()) if parent else node
    person = keys.person(root)
    (mine,) = yield [("HGET", person, field)]
    if mine is not None:
        # A field of this epoch is the latest, and its person has not been merged away.
        changed = apply(mine)
        if changed is None:
            return root
        (added,) = yield [("HSET", person, field, changed)]
        if not added:
            return root  # replaced in place: nobody froze the person in between
        (parent,) = yield [("GET", keys.parent(root))]
        if parent is None:
            return root
        yield [("HDEL", person, field)]  # written beside the tombstone: do it again at the root
    return (yield from _fold_settled(keys, node, field, apply))


def _fold_settled(
    keys: Keys, node: NodeId, field: bytes, apply: Callable[[bytes | None], bytes | None]
) -> Steps[NodeId]:
    prefix, epoch = field.partition(b"@")[0] + b"@", _epoch_of(field)
    while True:
        settled = yield from settle(keys, node)
        versions = {name: v for name, v in settled.fields.items() if name.startswith(prefix)}
        person = keys.person(settled.root)
        if any(_epoch_of(name) > epoch for name in versions):
            # Taken over, and what was folded here since may be gone: a field of this epoch would
            # be taken for the latest by the next call.
            if field in versions:
                yield [("HDEL", person, field)]
            return settled.root
        newest = max(versions.values(), key=decode_watermark, default=None)
        # With nothing to fold the newest comes under this epoch all the same: an owner before may
        # still be at work on its own field, and another one remove it.
        changed = apply(newest) or newest
        if changed is None or changed == versions.get(field):
            return settled.root
        _, parent = yield [("HSET", person, field, changed), ("GET", keys.parent(settled.root))]
        if parent is None:
            older = [name for name in versions if name != field]
            if older:
                yield [("HDEL", person, *older)]
            return settled.root
        yield [("HDEL", person, field)]


def _epoch_of(field: bytes) -> int:
    return int(field.rpartition(b"@")[2])
