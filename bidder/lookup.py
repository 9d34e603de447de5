"""From identifiers to the person, and reservations under their caps: generators, no I/O.

Two steps for a known person: the parents of all identifiers, then the bid views of all persons
that they lead to. The first one that resolves decides whom the bid is for, and all of them whether
it may be for anybody: consent that one of them has withdrawn is withdrawn. A merge in flight costs
one step more: what the child held is read from its frozen copy, so no impression goes uncounted for
a moment.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bidder.plain_person import Found, Read, plain_person, roots_of
from bidder.reservations import OwnReservations
from models.caps import CapLedger, decode_ledger, merge_ledgers
from models.commands import Command, Steps, fields_of
from models.forest import copy_of, erased_in, parent_in
from models.identifiers import Namespace, NodeId
from models.keys import Keys
from models.limits import Limit
from models.matches import find_match
from models.notices import NO_NODE
from models.presence import DEFAULT_PRESENCE, PresenceRule, Present, who_is_there
from models.profile import Header, Person, decode_header
from models.reservations import Reservation, decode_reservations
from models.units import SECOND_MS

__all__ = [
    "Found",
    "fetch_person",
    "hold",
    "is_exchange_user",
    "reserve",
    "reserve_exactly",
    "through_match",
]

_EXCHANGE_USER: Final = Namespace.EXCHANGE_USER.letter

Fields = dict[bytes, bytes]


class _View(msgspec.Struct, frozen=True, gc=False):
    """What Redis has about an identifier's person, in the order in which the request names them."""

    node: NodeId
    root: NodeId
    fields: Fields


def is_exchange_user(node: NodeId) -> bool:
    """Whether a node is an exchange's user id; where a request has one, it has nothing else."""
    return node[0] == _EXCHANGE_USER


def through_match(keys: Keys, nodes: list[NodeId]) -> Steps[list[NodeId]]:
    """The identifiers of a request that has an exchange's user id only, our cookie first.

    Args:
        keys: the owner's key names.
        nodes: the user id.

    Returns:
        The same where no cookie sync has told of a cookie, or not lately.
    """
    cookie = yield from find_match(keys, nodes[0])
    return nodes if cookie is None else [cookie, *nodes]


def fetch_person(
    keys: Keys,
    nodes: Sequence[NodeId],
    now_ms: int,
    own_field: bytes,
    presence: PresenceRule = DEFAULT_PRESENCE,
    *,
    behind_ms: int = 0,
) -> Steps[Found]:
    """The person of the first identifier that resolves; else an empty one under the first.

    A shared device is taken for whoever signed in last, if that is likely enough.

    Args:
        keys: the owner's key names.
        nodes: one or more, in order of trust.
        now_ms: the present, Unix ms.
        own_field: the caller's own reservations, which it knows better than Redis.
        presence: when a shared device is one of its users'.
        behind_ms: for so long reservations count after they have expired.
    """
    (entries,) = yield [("MGET", *keys.parents(nodes))]
    roots, candidates = roots_of(nodes, entries)
    asked: list[Command] = []
    for root in candidates:  # by a comprehension it takes 0.15 us more
        asked.append(("HGETALL", keys.bid_view(root)))  # noqa: PERF401
    replies = yield asked
    read = Read(entries, roots, candidates, replies)
    found = plain_person(nodes, read, now_ms - behind_ms, own_field)
    if found is None:
        found = yield from _any_person(
            keys, nodes, read,
            now_ms=now_ms, own_field=own_field, rule=presence, behind_ms=behind_ms,
        )  # fmt: skip
    return found


def _any_person(
    keys: Keys,
    nodes: Sequence[NodeId],
    read: Read,
    *,
    now_ms: int,
    own_field: bytes,
    rule: PresenceRule,
    behind_ms: int,
) -> Steps[Found]:
    """The person, whatever may be under way."""
    views = yield from _find_views(keys, nodes, read)
    view = next((one for one in views if _is_known(one.fields)), views[0])
    disagrees = any(one.root != view.root and _is_known(one.fields) for one in views)
    merging: list[Fields] = []
    for one in views:
        held = yield from _merging(keys, one.root, one.fields)
        if not all(header.personal_ok for header in _headers([one.fields, *held])):
            return Found(Person(), is_known=True, disagrees=disagrees, withdrawn=one.node)
        if one is view:
            merging = held
    # A root that nobody has seen yet has no view of its own until the merge is published.
    headers = _headers([view.fields, *merging])
    header = headers[0] if headers else Header()
    if view.node in header.shared:
        found = yield from _at_shared(
            keys, view.node, header,
            now_ms=now_ms, own_field=own_field, rule=rule, behind_ms=behind_ms,
        )  # fmt: skip
        return msgspec.structs.replace(found, disagrees=disagrees)
    reservations, expired = _reservations(view.fields, merging, now_ms - behind_ms, own_field)
    ledger = _ledger([view.fields, *merging])
    splits = int(view.fields.get(b"g", 0))
    person = Person(view.node, view.root, header, ledger, reservations, splits=splits)
    version = view.fields.get(b"v", b"")
    return Found(person, bool(headers), disagrees, has_expired=expired, version=version)


def _headers(views: list[Fields]) -> list[Header]:
    return [decode_header(held[b"h"]) for held in views if b"h" in held]


def _at_shared(
    keys: Keys,
    device: NodeId,
    header: Header,
    *,
    now_ms: int,
    own_field: bytes,
    rule: PresenceRule,
    behind_ms: int,
) -> Steps[Found]:
    """Whoever is taken to be at a shared device; nobody where that is not likely enough."""
    present = yield from _present(keys, header.sign_ins, now_ms, rule)
    if present is None:
        return Found(Person(node=device), is_known=True, is_shared=True)
    found = yield from fetch_person(
        keys, [present.account], now_ms, own_field, rule, behind_ms=behind_ms
    )
    person = msgspec.structs.replace(found.person, presence_ratio=present.ratio)
    return msgspec.structs.replace(found, person=person)


def _find_views(keys: Keys, nodes: Sequence[NodeId], read: Read) -> Steps[list[_View]]:
    """The bid views of all persons that identifiers lead to, each with the first that does."""
    while True:
        roots, candidates = read.roots, read.candidates
        linked = {root for node, root in zip(nodes, roots, strict=True) if root != node}
        views = yield from _views(keys, candidates, read.replies, linked)
        found = [
            _View(nodes[roots.index(candidate)], root, fields)
            for candidate, (root, fields) in zip(candidates, views, strict=True)
        ]
        if not any(b"g" in one.fields for one in found):
            return found
        # Somebody has been split before: perhaps since the entry that led there was read.
        (again,) = yield [("MGET", *keys.parents(nodes))]
        if again == read.entries:
            return found
        roots, candidates = roots_of(nodes, again)
        replies = yield [("HGETALL", keys.bid_view(root)) for root in candidates]
        read = Read(again, roots, candidates, replies)


def _present(
    keys: Keys, sign_ins: Sequence[tuple[NodeId, int]], now_ms: int, rule: PresenceRule
) -> Steps[Present | None]:
    """Who is at a shared device, where that is likely enough."""
    if not sign_ins:
        return None
    (entries,) = yield [("MGET", *[keys.parent(account) for account, _ in sign_ins])]
    told = [
        (account, parent_in(entry) or account, time_ms)
        for (account, time_ms), entry in zip(sign_ins, entries, strict=True)
    ]
    present = who_is_there(told, now_ms, rule.stay_ms)
    return present if present is not None and present.ratio >= rule.min_ratio else None


def _views(
    keys: Keys, roots: list[NodeId], replies: list[list[bytes]], linked: set[NodeId]
) -> Steps[list[tuple[NodeId, Fields]]]:
    """The bid views, following those that have been merged away; ``linked``: entries name them."""
    views: list[tuple[NodeId, Fields]] = []
    for root, reply in zip(roots, replies, strict=True):
        fields = fields_of(reply)
        if b">" in fields or (root in linked and not _is_known(fields)):
            views.append((yield from _follow(keys, root, fields)))
        else:
            views.append((root, fields))
    return views


def _follow(keys: Keys, root: NodeId, fields: Fields) -> Steps[tuple[NodeId, Fields]]:
    """The bid view above one that has been merged away.

    That leads on for a minute only, while entries that name it stay until somebody finds a path
    through them; so where nobody is known, its own entry is asked, and the view once more: it may
    have become a root again, and nothing that was read before its entry counts then.
    """
    while True:
        parent = NodeId(fields[b">"].decode()) if b">" in fields else None
        if parent is None:
            if _is_known(fields):
                return root, fields
            entry, reply = yield [("GET", keys.parent(root)), ("HGETALL", keys.bid_view(root))]
            parent, fields = parent_in(entry), fields_of(reply)
            if parent is None and b">" not in fields:
                return root, fields
        if parent is not None:
            root = parent
            (reply,) = yield [("HGETALL", keys.bid_view(root))]
            fields = fields_of(reply)


def _is_known(fields: Fields) -> bool:
    """Whether somebody is known there; while a person is split, the frozen copy tells who."""
    return b"h" in fields or any(b"|" in frozen for _, frozen in _markers(NO_NODE, fields))


def _merging(keys: Keys, root: NodeId, fields: Fields) -> Steps[list[Fields]]:
    """The frozen views of what this one does not hold yet: of children, or of the whole it left."""
    found: list[Fields] = []
    markers = list(_markers(root, fields))
    while markers:
        replies = yield [("HGETALL", _frozen_key(keys, *marker)) for marker in markers]
        frozen = [
            held
            for (token, _), reply in zip(markers, replies, strict=True)
            if (held := fields_of(reply)).get(b">") == copy_of(token).encode()
        ]
        found += frozen
        markers = [marker for held in frozen for marker in _markers(root, held)]
    return found


def _markers(root: NodeId, fields: Fields) -> Iterator[tuple[bytes, bytes]]:
    """Tokens, and whose frozen view goes by each: ``NODE``, or ``NODE|PART`` for a split."""
    for name, value in fields.items():
        if name[:2] == b"m:":
            yield name[2:], value
        elif name == b"!":
            yield value, f"{root}|".encode()


def _frozen_key(keys: Keys, token: bytes, frozen: bytes) -> str:
    return keys.frozen_bid_view(NodeId(frozen.partition(b"|")[0].decode()), copy_of(token))


def _ledger(views: list[Fields]) -> CapLedger:
    ledgers = [decode_ledger(fields[b"c"]) for fields in views if b"c" in fields]
    return ledgers[0] if len(ledgers) == 1 else merge_ledgers(ledgers)


def _reservations(
    fields: Fields, merging: list[Fields], now_ms: int, own_field: bytes
) -> tuple[tuple[Reservation, ...], bool]:
    # The caller knows its own by root, so those under a root that is merging it does not see.
    packed = [*_packed(fields, own_field), *(v for held in merging for v in _packed(held, b""))]
    found = [entry for value in packed for entry in decode_reservations(value, now_ms)]
    return tuple(found), len(packed) > 0 and not found


def _packed(fields: Fields, own_field: bytes) -> Iterator[bytes]:
    return (v for name, v in fields.items() if name[:2] == b"r:" and name != own_field)


def hold(keys: Keys, root: NodeId, own: OwnReservations, oldest_ms: int, now_ms: str) -> Command:
    """The command that writes the worker's reservations for a person.

    Its reply is the person's entry, empty for nearly all: then they are written.

    Args:
        keys: the owner's key names.
        root: the person's.
        own: the worker's reservations.
        oldest_ms: when the first of them for this person was made.
        now_ms: the present, as text: numbers take hiredis longer.
    """
    return (
        "FCALL", "kinbid_v1_hold", "2", keys.parent(root), keys.bid_view(root),
        own.field, own.packed(root), str(oldest_ms), now_ms,
    )  # fmt: skip


def reserve(keys: Keys, root: NodeId, own: OwnReservations, now_ms: int) -> Steps[None]:
    """Writes the worker's reservations, at the new root if the person has just been merged.

    Those that were made before the person was erased are forgotten here, too: they neither come
    back to Redis nor count for whoever comes again under that root.
    """
    while oldest_ms := own.oldest_ms(root):
        (entry,) = yield [hold(keys, root, own, oldest_ms, str(now_ms))]
        if not entry:
            return  # a root that was never erased
        erased_ms, above = erased_in(entry), parent_in(entry)
        own.forget_until(root, erased_ms)
        if above is not None:
            own.move(root, above)
            root = above
        elif erased_ms < oldest_ms:
            return


def reserve_exactly(
    keys: Keys,
    root: NodeId,
    own: OwnReservations,
    reservation: Reservation,
    *,
    splits: int,
    limits: Sequence[Limit],
    now_ms: int,
) -> Steps[bool]:
    """Checks all limits and reserves in one atomic step.

    Args:
        keys: the owner's key names.
        root: the person's root, as it was read.
        own: the worker's reservations, the new one included.
        reservation: the new one.
        splits: as it was read with the root: after another split, the bid may be for a part that
            has left this root.
        limits: what the bid must keep to; each may hold this impression, too.
        now_ms: the present.

    Returns:
        Whether it is reserved; False too where the person is being merged just now, or was split or
        erased since they were read: then nothing is certain, and a cap fails closed.
    """
    target = (keys.parent(root), keys.bid_view(root))
    whose = (reservation.campaign, reservation.advertiser)
    bounds: list[int] = [
        word
        for one in limits
        for word in (int(one.of_advertiser), one.impressions, one.window_seconds * SECOND_MS)
    ]
    while own.has(root, reservation):
        held = (now_ms, own.field, own.packed(root), own.oldest_ms(root), splits)
        (reply,) = yield [("FCALL", "kinbid_v1_reserve", 2, *target, *held, *whose, *bounds)]
        if reply <= 1:
            return bool(reply == 1)
        own.forget_until(root, reply)
    return False
