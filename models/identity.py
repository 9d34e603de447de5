"""The identity protocol: which identifiers are one person, decided without a lock.

Four rules keep profiles exact while trees are joined under load (:mod:`models.forest` has the
trees): freeze while linking, one-time tokens, the ownership epoch in the field name, announce
before linking. Two CRM roots are never joined, so a person has at most one CRM id; only the CRM's
own merge of two cards joins theirs.

Joins and folds verify at their last step that the person has not been split since it was found:
the number of its splits is part of what they compare.
"""

from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from models.card_words import merge_of
from models.commands import Command, Steps
from models.forest import FROZEN_SECONDS, Settled, erased_in, find, forget, parent_in, rank, settle
from models.identifiers import NodeId, is_crm
from models.keys import Keys
from models.verdicts import verdict_in

__all__ = [
    "Apply",
    "JoinResult",
    "decode_watermark",
    "erase_field",
    "fold",
    "join",
    "newest_of",
]

JoinResult = Literal["joined", "known", "two_crm_persons", "contested", "withdrawn"]
FieldKind = Literal["f", "c"]

Apply: TypeAlias = Callable[[bytes | None, int], bytes | None]
"""Given an encoded field, or None, and until when its identifier was erased, Unix ms, returns the
field with new records folded in, or None when all of them are in it already."""

EPOCH_BITS: Final = 32
"""An erasure lifts a field's epoch by its time: above every epoch of before."""


class _Watermarked(msgspec.Struct, array_like=True):
    watermark: int = -1


_decode_watermarked: Final = msgspec.msgpack.Decoder(_Watermarked).decode
_encode_blank: Final = msgspec.msgpack.Encoder().encode


def decode_watermark(encoded: bytes) -> int:
    """The watermark of an encoded facet or ledger; it stands first in either."""
    return _decode_watermarked(encoded).watermark


def newest_of(versions: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes] | None:
    """Of one identifier's fields and their values, the one that counts.

    After an erasure nothing counts that was written under an epoch of before. Else the one with
    the highest watermark.
    """
    return max(versions, key=_place, default=None)


def _place(version: tuple[bytes, bytes]) -> tuple[int, int]:
    name, value = version
    return _erased_before(name), decode_watermark(value)


def join(
    keys: Keys,
    a: NodeId,
    b: NodeId,
    next_token: Callable[[], str],
    *,
    told_ms: int,
    is_crm_merge: bool = False,
    is_forced: bool = False,
) -> Steps[tuple[JoinResult, Settled | None]]:
    """Makes ``a`` and ``b`` one person, unless that would join two CRM persons.

    Args:
        keys: the owner's key names.
        a: a node; evidence for the link stands in ``w`` already.
        b: the other node.
        next_token: gives a token that was never used before.
        told_ms: the time of the evidence, Unix ms.
        is_crm_merge: the CRM itself says that its two cards are one person's.
        is_forced: join contested persons too; for whoever has looked at all evidence.

    Returns:
        What became of it, and the person where they are one now. ``contested``: somebody has to
        look at all evidence, for the first time or, where the link is forced and others have
        moved, again. ``withdrawn``: the link was rejected meanwhile, the cards have been split, or
        one of the nodes erased.
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
        if marked < 0 or (is_forced and not marked):
            return "contested", None
        if not marked:
            continue
        objection = yield from _objection(keys, a, b, told_ms, is_crm_merge=is_crm_merge)
        if objection == "withdrawn" or (objection is not None and not is_forced):
            yield from forget(keys, root, token.encode(), still_read=False)
            return objection, None
        arguments = (root, token, child, below, int(is_forced), FROZEN_SECONDS)
        drained = yield from _drain(keys, child, arguments)
        if drained > 0:
            return "joined", (yield from settle(keys, child))
        yield from forget(keys, root, token.encode(), still_read=False)
        if drained < 0 or is_forced:
            return "contested", None


def _objection(
    keys: Keys, a: NodeId, b: NodeId, told_ms: int, *, is_crm_merge: bool
) -> Steps[Literal["withdrawn", "contested"] | None]:
    """What has been said against the link since its evidence was kept.

    Somebody has taken it back, or looked at all evidence and refused it. Who does so later finds
    the mark.
    """
    (verdict, word, refusal), *entries = yield [
        ("HMGET", keys.evidence(a), f"x:{b}", f"w:{b}", f"s:{b}"),
        ("GET", keys.parent(a)),
        ("GET", keys.parent(b)),
    ]
    erased_ms = max(map(erased_in, entries))
    if told_ms <= erased_ms or verdict_in(verdict, erased_ms) == "rejected":
        return "withdrawn"
    if is_crm_merge and merge_of(word) is None:
        return "withdrawn"
    return "contested" if refusal is not None else None


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
    kind: FieldKind,
    epoch: int,
    apply: Apply,
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
        apply: folds the records in.
        last_root: the root that an earlier call returned, however long ago. A field of this epoch
            that stands there is the latest as well, so the search for the root is saved.

    Returns:
        The root at which the field now stands.
    """
    own, erased_ms = _Own(kind, node, epoch), 0
    field = own.field(0)
    root, mine = last_root or node, None
    if last_root is not None:
        (mine,) = yield [("HGET", keys.person(root), field)]
    if mine is None:
        (entry,) = yield [("GET", keys.parent(node))]
        root, erased_ms = parent_in(entry) or node, erased_in(entry)
        field = own.field(erased_ms)
        (mine,) = yield [("HGET", keys.person(root), field)]
    if mine is not None:
        # A field of this epoch is the latest, and its person has not been merged away or split.
        changed = apply(mine, erased_ms)
        if changed is None:
            return root
        (added,) = yield [("HSET", keys.person(root), field, changed)]
        if not added:
            return root  # replaced in place: nobody froze the person in between
        yield [_drop(keys, root, node, field)]  # into nobody: once more, at the root
    return (yield from _fold_settled(keys, own, erased_ms, apply))


def erase_field(keys: Keys, node: NodeId, kind: FieldKind, erased_ms: int) -> Steps[None]:
    """Has a field of an erased identifier begin anew, with nothing in it but its watermark."""

    def begin_anew(encoded: bytes | None, _: int) -> bytes | None:
        return _blank(-1) if encoded is None else None

    yield from _fold_settled(keys, _Own(kind, node, 0), erased_ms, begin_anew)


class _Own(msgspec.Struct, frozen=True, gc=False):
    """Whose field an owner writes: an identifier's, of a kind, under an epoch."""

    kind: FieldKind
    node: NodeId
    epoch: int

    def field(self, erased_ms: int) -> bytes:
        """The field's name since the erasure at ``erased_ms``."""
        return f"{self.kind}:{self.node}@{(erased_ms << EPOCH_BITS) + self.epoch}".encode()

    def versions(self, fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """The identifier's fields of this kind, under whichever epoch."""
        prefix = f"{self.kind}:{self.node}@".encode()
        return {name: value for name, value in fields.items() if name.startswith(prefix)}


def _fold_settled(keys: Keys, own: _Own, erased_ms: int, apply: Apply) -> Steps[NodeId]:
    while True:
        settled = yield from settle(keys, own.node)
        versions = own.versions(settled.fields)
        erased_ms = max(erased_ms, *map(_erased_before, versions), 0)
        field = own.field(erased_ms)
        gone = erased = [name for name in versions if _erased_before(name) < erased_ms]
        if any(_epoch_of(name) > _epoch_of(field) for name in versions):
            # Taken over, and what was folded here since may be gone: a field of this epoch would
            # be taken for the latest by the next call.
            gone = [*erased, *({field} & versions.keys())]
        else:
            newest = _begun_anew(newest_of(versions.items()), erased_ms)
            # With nothing to fold the newest comes under this epoch all the same: an owner before
            # may still be at work on its own field, and another one remove it.
            changed = apply(newest, erased_ms) or newest
            if changed is not None and changed != versions.get(field):
                seen_ms = yield from _write(keys, settled, own.node, field, changed)
                erased_ms = max(erased_ms, seen_ms)
                if seen_ms < 0 or own.field(erased_ms) != field:
                    continue
                gone = [name for name in versions if name != field]
        if gone:
            yield [("HDEL", keys.person(settled.root), *gone)]
        if not erased:
            return settled.root
        # A merge may have carried away what is erased, just before it was removed: look again.


def _write(keys: Keys, settled: Settled, node: NodeId, field: bytes, value: bytes) -> Steps[int]:
    """Writes a field; returns when the node was erased, or -1 where the person is not there now."""
    _, splits, entry, own = yield [
        ("HSET", keys.person(settled.root), field, value),
        ("HGET", keys.person(settled.root), "g"),
        ("GET", keys.parent(settled.root)),
        ("GET", keys.parent(node)),
    ]
    if _is_root(entry) and int(splits or 0) == settled.splits:
        return erased_in(own)
    yield [_drop(keys, settled.root, node, field)]
    return -1


def _begun_anew(newest: tuple[bytes, bytes] | None, erased_ms: int) -> bytes | None:
    """What new records are folded into: of a field of before an erasure only the watermark."""
    if newest is None:
        return None
    name, value = newest
    if _erased_before(name) == erased_ms:
        return value
    return _blank(decode_watermark(value))


def _blank(watermark: int) -> bytes:
    return _encode_blank(_Watermarked(watermark))


def _drop(keys: Keys, root: NodeId, node: NodeId, field: bytes) -> Command:
    target = (keys.parent(root), keys.person(root))
    return ("FCALL", "kinbid_v1_drop", 2, *target, field, node, root)


def _is_root(entry: bytes | None) -> bool:
    return entry is None or entry[:1] == b","


def _epoch_of(field: bytes) -> int:
    return int(field.rpartition(b"@")[2])


def _erased_before(field: bytes) -> int:
    """The erasure, Unix ms, after which a field was begun; 0 if there was none."""
    return _epoch_of(field) >> EPOCH_BITS
