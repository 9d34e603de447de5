"""The forest of identifiers: finding a person's root, and finishing what was left half done.

Persons are the trees of a concurrent disjoint-set forest over single Redis keys (Jayanti and
Tarjan, PODC 2016). Every function is a generator (:mod:`models.commands`) and any of its steps may
be the last one before a crash: whoever comes next finds a state that it can finish.

The order of nodes is (is a CRM id, digest, letter); parents stand above their children, so there
are no cycles, and a tree that holds a CRM id has it as its root.

The entry ``n:{x}`` of a node is absent or ``,G`` for a root, ``>PARENT`` or ``>PARENT,G`` for a
node that was merged, ``!G@TOKEN`` for a person that is being split; G counts the splits that the
node has been through. ``^MS`` behind it: it was erased, and nothing up to that time counts
(:mod:`models.erasure`).

Fields of a person ``p:{r}``: ``f:node@epoch`` facet, ``c:node@epoch`` cap ledger, ``k:node``
member, ``x:node`` shared device, ``m:token`` merge or split under way, ``j:token`` one that no bid
view holds yet, ``d:token`` an announcement taken back, ``g`` splits, ``y`` remarks
(:attr:`Settled.remarks`), ``!`` contested evidence. Nothing stands at a node that was merged away;
a field that a slow writer leaves there is in nobody's profile.
"""

from typing import Final

import msgspec

from models.commands import Command, Steps, fields_of
from models.identifiers import NodeId, is_crm
from models.keys import Keys

__all__ = [
    "FROZEN_SECONDS",
    "Settled",
    "copy_of",
    "erased_in",
    "find",
    "finish_split",
    "forget",
    "members_of",
    "parent_in",
    "rank",
    "settle",
]

FROZEN_SECONDS: Final = 60
"""How long a merged person's frozen copy, and a bid view that leads on to the new root, stay for
readers that are still on their way."""

NODE_END: Final = 24
"""Where the node ends in an entry such as ``>NODE,G``."""


class Settled(msgspec.Struct, frozen=True, gc=False):
    """A root and all fields of its person at one instant, merges under way taken in."""

    root: NodeId
    fields: dict[bytes, bytes]

    @property
    def members(self) -> list[NodeId]:
        """Every node of the person that was ever a root, the present one first."""
        return [self.root, *sorted(members_of(self.root, self.fields) - {self.root})]

    @property
    def splits(self) -> int:
        """How many splits the person has been through."""
        return int(self.fields.get(b"g", b"0"))

    @property
    def remarks(self) -> int:
        """How often its shared devices were marked or judged anew, or somebody of it erased."""
        return int(self.fields.get(b"y", b"0"))

    @property
    def is_contested(self) -> bool:
        """Whether evidence about the person was refused, so that new evidence changes more."""
        return b"!" in self.fields


def rank(node: NodeId) -> tuple[bool, str, str]:
    """The order of nodes: of a person's, the highest is the root."""
    # The letter decides last: one value under two namespaces has one digest, and with equal
    # ranks two links could each put the other's node below.
    return is_crm(node), node[1:], node[0]


def parent_in(entry: bytes | None) -> NodeId | None:
    """The parent that an entry names, or None for a root and for a person being split."""
    if entry is None or entry[:1] != b">":
        return None
    return NodeId(entry[1:NODE_END].decode())


def erased_in(entry: bytes | None) -> int:
    """Until when nothing of an identifier counts, Unix ms, by its entry; 0 if never erased."""
    if entry is None or b"^" not in entry:
        return 0
    return int(entry.rpartition(b"^")[2])


def find(keys: Keys, node: NodeId) -> Steps[NodeId]:
    """The root of ``node``; a path of two links or more is shortened on the way."""
    root, _ = yield from _climb(keys, node)
    return root


def _climb(keys: Keys, node: NodeId) -> Steps[tuple[NodeId, bytes | None]]:
    """The root of ``node`` and its entry, by which to see later whether it has been one since."""
    path: list[tuple[NodeId, bytes]] = []
    at = node
    while True:
        (entry,) = yield [("GET", keys.parent(at))]
        if entry is None or entry[:1] == b",":
            break
        if entry[:1] == b"!":
            yield from finish_split(keys, at)
            path, at = [], node
            continue
        path.append((at, entry))
        at = NodeId(entry[1:NODE_END].decode())
    if len(path) > 1:
        yield from _shorten(keys, path, at)
    return at, entry


def _shorten(keys: Keys, path: list[tuple[NodeId, bytes]], root: NodeId) -> Steps[None]:
    """Has every node of a path lead to its root, if the path stood when the root was read.

    A split may have led the lower nodes elsewhere already, and not yet the upper ones.
    """
    above = path[1:]
    entries = yield [("GET", keys.parent(node)) for node, _ in above]
    if entries != [entry for _, entry in above]:
        return
    yield [
        ("FCALL", "kinbid_v1_shorten", 1, keys.parent(below), entry, _entry(root, entry))
        for below, entry in path[:-1]
    ]


def _entry(root: NodeId, before: bytes) -> bytes:
    return b">" + root.encode() + before[NODE_END:]


def settle(keys: Keys, node: NodeId) -> Steps[Settled]:
    """Finds the person of ``node`` and finishes every merge into it that was left half done."""
    seen: Settled | None = None
    while True:
        root, entry = yield from _climb(keys, node)
        reply, entry_since = yield [("HGETALL", keys.person(root)), ("GET", keys.parent(root))]
        if entry_since != entry:
            continue  # merged or split: only by a split a node becomes a root again, and counts it
        fields, changed = fields_of(reply), False
        for name, frozen in fields.items():
            if name.startswith(b"m:"):
                changed |= yield from _take_in(keys, root, name[2:], frozen)
        if changed:
            continue
        settled = Settled(root, fields)
        # Not among the members: split off since the root was found. If it still leads here and
        # nothing has moved, Redis has lost who belongs to the person.
        if node in members_of(root, fields) or settled == seen:
            return settled
        seen = settled


def _take_in(keys: Keys, root: NodeId, token: bytes, frozen: bytes) -> Steps[bool]:
    """Takes in a child drained under ``token``, or a part of a split; whether p changed."""
    child, _, part = frozen.partition(b"|")
    node, name_of_copy = NodeId(child.decode()), copy_of(token)
    parent, person, view = yield [
        ("GET", keys.parent(node)),
        ("HGETALL", keys.frozen_person(node, name_of_copy)),
        ("HGETALL", keys.frozen_bid_view(node, name_of_copy)),
    ]
    held, seen = fields_of(person), fields_of(view)
    if not held:
        if not part and parent_in(parent) is None:
            return False  # an intent: the link has not happened, and perhaps never will
        # It did not happen under this token, or so long ago that the copy has expired.
        yield from forget(keys, root, token, still_read=bool(seen))
        return True
    own = _parts(node, held)[NodeId(part.decode())] if part else members_of(node, held)
    moved: list[bytes] = []
    for name, value in held.items():
        if _moves(name, own, is_part=bool(part)):
            moved += (name, value)
    bids: list[bytes] = []
    for name, value in seen.items():
        if name.startswith(b"r:"):
            bids += (name + b"~" + token, value)
        elif name.startswith(b"m:"):
            bids += (name, value)
    target = (keys.parent(root), keys.person(root), keys.bid_view(root))
    counts = (token, frozen, len(moved) // 2)
    (absorbed,) = yield [("FCALL", "kinbid_v1_absorb", 3, *target, *counts, *moved, *bids)]
    if absorbed and not part:
        # Never before: if the root has been merged too, its new root still needs the copy. The
        # frozen bid view stays until a published one replaces it (models.profile.publish).
        yield [("EXPIRE", keys.frozen_person(node, name_of_copy), FROZEN_SECONDS)]
    return True


def _moves(name: bytes, own: set[NodeId], *, is_part: bool) -> bool:
    """Whether a frozen field belongs to whoever takes it in."""
    kind = name[:2]
    if kind in {b"f:", b"c:", b"k:", b"x:"}:
        return NodeId(name[2:].partition(b"@")[0].decode()) in own
    # What no view holds yet, every part's view held before; the rest is the whole person's.
    return kind == b"j:" or (not is_part and (kind == b"m:" or name in {b"!", b"g"}))


def forget(keys: Keys, root: NodeId, token: bytes, *, still_read: bool) -> Steps[None]:
    """Removes a marker whose merge is over; readers may still need the one in the bid view."""
    marker = b"m:" + token
    # The person's comes last: as long as it stands, whoever settles comes by here again.
    view: list[Command] = [] if still_read else [("HDEL", keys.bid_view(root), marker)]
    yield [*view, ("HDEL", keys.person(root), marker)]


def finish_split(keys: Keys, root: NodeId) -> Steps[None]:
    """Carries a split out, as far as nobody has done it yet; any number may do so at once.

    Every member is led to its part before a part takes in anything: the root of a part appears
    when all of its members lead there, lowest first, since a path must not run through a member
    that has been led elsewhere.
    """
    (entry,) = yield [("GET", keys.parent(root))]
    if entry is None or entry[:1] != b"!":
        return
    splits, _, token = entry[1:].partition(b"^")[0].partition(b"@")
    (reply,) = yield [("HGETALL", keys.frozen_person(root, token.decode()))]
    held = fields_of(reply)
    parts = _parts(root, held)
    yield [
        ("FCALL", "kinbid_v1_born", 3, keys.parent(top), keys.person(top), keys.bid_view(top),
         token, f"{root}|{top}", splits, token + b"/" + top.encode())
        for top in parts
    ]  # fmt: skip
    leads = sorted(((node, top) for top, part in parts.items() for node in part), key=_lowest)
    for node, top in leads:
        moved = (keys.parent(node), keys.bid_view(node))
        yield [("FCALL", "kinbid_v1_repoint", 2, *moved, node, top, splits, token)]
    for top in parts:
        yield from settle(keys, top)
    # Every part has what is its own; who was one person with whom is nobody's business any more.
    yield [("EXPIRE", keys.frozen_person(root, token.decode()), FROZEN_SECONDS)]


def copy_of(token: bytes) -> str:
    """The token of the frozen copy behind a marker; each part of a split has a token of its own.

    Two parts may meet again before either has taken in what is its own.
    """
    return token.partition(b"/")[0].decode()


def _lowest(lead: tuple[NodeId, NodeId]) -> tuple[bool, str, str]:
    return rank(lead[0])


def members_of(root: NodeId, fields: dict[bytes, bytes]) -> set[NodeId]:
    """The identifiers of a person; a field of any other was left there by a slow writer."""
    return {root, *(NodeId(name[2:].decode()) for name in fields if name.startswith(b"k:"))}


def _parts(root: NodeId, held: dict[bytes, bytes]) -> dict[NodeId, set[NodeId]]:
    """The parts of a split person by their roots; whom the plan leaves out stays with ``root``."""
    left = members_of(root, held)
    parts: dict[NodeId, set[NodeId]] = {}
    for planned in _decode_plan(held.get(b"plan", b"\x90")):
        part = left.intersection(planned)
        if part and root not in part:
            parts[max(part, key=rank)] = part
            left -= part
    return {**parts, root: left}


_decode_plan: Final = msgspec.msgpack.Decoder(list[list[NodeId]]).decode
