"""The identity protocol: which identifiers are one person, decided without a lock.

Four rules keep profiles exact while trees are joined under load (:mod:`models.forest` has the
trees): freeze while linking, one-time tokens, the ownership epoch in the field name, announce
before linking. Two CRM roots are never joined, so a person has at most one CRM id; only the CRM's
own merge of two cards joins theirs.

Joins and folds verify at their last step that the person has not been split since it was found:
the number of its splits is part of what they compare.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from models.commands import Command, Steps
from models.forest import Settled, find, forget, parent_in, rank, settle
from models.identifiers import NodeId, is_crm
from models.keys import Keys

__all__ = ["JoinResult", "decode_watermark", "fold", "join"]

JoinResult = Literal["joined", "known", "two_crm_persons", "contested", "withdrawn"]


class _Watermarked(msgspec.Struct, array_like=True):
    watermark: int = -1


_decode_watermarked = msgspec.msgpack.Decoder(_Watermarked).decode


def decode_watermark(encoded: bytes) -> int:
    """The watermark of an encoded facet or ledger; it stands first in either."""
    return _decode_watermarked(encoded).watermark


def join(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    next_token: Callable[[], str],
    *,
    is_crm_merge: bool = False,
    is_forced: bool = False,
) -> Steps[tuple[JoinResult, Settled | None]]:
    """Makes ``a`` and ``b`` one person, unless that would join two CRM persons.

    Args:
        keys: the owner's key names.
        a: a node; evidence for the link stands in ``w`` already.
        b: the other node.
        next_token: gives a token that was never used before.
        is_crm_merge: the CRM itself says that its two cards are one person's.
        is_forced: join contested persons too; for whoever has looked at all evidence.

    Returns:
        What became of it, and the person where they are one now. ``withdrawn``: the link was
        rejected meanwhile.
    """
    while True:
        root_a = yield from find(keys, a)
        root_b = yield from find(keys, b)
        if root_a == root_b:
            return "known", (yield from settle(keys, a))
        if is_crm(root_a) and is_crm(root_b) and not is_crm_merge:
            return "two_crm_persons", None
        child, root = sorted((root_a, root_b), key=rank)
        splits = yield [("HGET", keys.person(node), "g") for node in (child, root)]
        # A node may have left its person before the splits were counted, but not after.
        entries = yield [("GET", keys.parent(node)) for node in (a, b)]
        if [parent_in(entries[0]) or a, parent_in(entries[1]) or b] != [root_a, root_b]:
            continue
        below, above = (seen or b"0" for seen in splits)
        token = next_token()
        marked = yield from _mark(keys, root, (token, child, above, int(is_forced)))
        if marked < 0:
            return "contested", None
        if not marked:
            continue
        (verdict,) = yield [("HGET", keys.evidence(a), f"x:{b}")]
        if verdict is not None and verdict.startswith(b"rejected"):
            yield from forget(keys, root, token.encode(), still_read=False)
            return "withdrawn", None
        drained = yield from _drain(keys, child, (root, token, child, below, int(is_forced)))
        if drained > 0:
            return "joined", (yield from settle(keys, child))
        yield from forget(keys, root, token.encode(), still_read=False)
        if drained < 0:
            return "contested", None


def _mark(keys: Keys, root: NodeId, arguments: Command) -> Steps[int]:
    target = (keys.parent(root), keys.person(root), keys.bid_view(root))
    (marked,) = yield [("FCALL", "kinbid_v1_mark", 3, *target, *arguments)]
    return int(marked)


def _drain(keys: Keys, child: NodeId, arguments: Command) -> Steps[int]:
    token = str(arguments[1])
    target = (
        keys.parent(child), keys.person(child), keys.frozen_person(child, token),
        keys.bid_view(child), keys.frozen_bid_view(child, token),
    )  # fmt: skip
    (drained,) = yield [("FCALL", "kinbid_v1_drain", 5, *target, *arguments)]
    return int(drained)


def fold(
    keys: Keys,
    node: NodeId,
    kind: Literal["f", "c"],
    epoch: int,
    apply: Callable[[bytes | None], bytes | None],
    *,
    last_root: NodeId | None = None,
) -> Steps[NodeId]:
    """Folds one identifier's new records into its field; exact under merges, splits, takeovers.

    Only the owner of the node's partition runs this, one call at a time per node.

    Args:
        keys: the owner's key names.
        node: the identifier.
        kind: ``f`` for the facet, ``c`` for the cap ledger.
        epoch: the partition's ownership epoch; higher than that of any owner before.
        apply: given the encoded field, or None, returns it with the new records folded in, or
            None when all of them are in it already.
        last_root: the root that an earlier call returned, however long ago. A field of this epoch
            that stands there is the latest as well, so the search for the root is saved.

    Returns:
        The root at which the field now stands.
    """
    field = f"{kind}:{node}@{epoch}".encode()
    root, mine = last_root or node, None
    if last_root is not None:
        (mine,) = yield [("HGET", keys.person(root), field)]
    if mine is None:
        (entry,) = yield [("GET", keys.parent(node))]
        root = parent_in(entry) or node
        (mine,) = yield [("HGET", keys.person(root), field)]
    if mine is not None:
        # A field of this epoch is the latest, and its person has not been merged away or split.
        changed = apply(mine)
        if changed is None:
            return root
        (added,) = yield [("HSET", keys.person(root), field, changed)]
        if not added:
            return root  # replaced in place: nobody froze the person in between
        yield [_drop(keys, root, node, field)]  # written beside a tombstone: once more, at the root
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
        _, splits, entry = yield [
            ("HSET", person, field, changed),
            ("HGET", person, "g"),
            ("GET", keys.parent(settled.root)),
        ]
        if _is_root(entry) and int(splits or 0) == settled.splits:
            older = [name for name in versions if name != field]
            if older:
                yield [("HDEL", person, *older)]
            return settled.root
        yield [_drop(keys, settled.root, node, field)]


def _drop(keys: Keys, root: NodeId, node: NodeId, field: bytes) -> Command:
    target = (keys.parent(root), keys.person(root))
    return ("FCALL", "kinbid_v1_drop", 2, *target, field, node, root)


def _is_root(entry: bytes | None) -> bool:
    return entry is None or entry[:1] == b","


def _epoch_of(field: bytes) -> int:
    return int(field.rpartition(b"@")[2])
