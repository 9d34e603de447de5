"""Erasing persons: what is known of their identifiers goes, and no record brings it back.

An erasure has a time; nothing counts any more that is not newer. The time stands in the entry of
the identifier itself (``^MS`` behind ``n:``, :mod:`models.forest`), which whoever folds its
records or follows evidence about it reads anyway: it costs nothing where nobody was erased. Each
step may be the last before a crash, and doing all of them again is harmless:

1. *erase*: the time is written into every identifier's entry. Old records change nothing from
   here on, and new ones go to fields under an epoch above all of before;
2. *begin anew*: the fields of before are removed, and the bid view is written without them;
3. *resettle*: old evidence is void, so the person falls into its identifiers, and others come
   together that only this person kept apart;
4. *disown*: evidence is removed, first at the identifiers that it led to. It comes last, as it is
   how whoever finishes what broke off finds them. So are reservations: until the person has fallen
   into its identifiers, those of others may stand among them. A bid that is in flight meets the
   time in the entry and writes none any more.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import msgspec

from models.caps import CapLedger, decode_ledger
from models.card_words import decode_word
from models.commands import Command, Steps, fields_of
from models.consents import Consents
from models.evidence import DEFAULT_LIMITS, Limits, Pair, decode_evidence, pair_of
from models.facets import Facet, decode_facet
from models.forest import find, settle
from models.identifiers import NodeId
from models.identity import erase_field
from models.keys import Keys
from models.profile import newest_fields, publish, publish_all
from models.purchases import totals
from models.splits import Resettled, resettle
from models.survey import MORE_LINKS
from models.units import SECOND_MS
from models.verdicts import given_ms_of

__all__ = ["Holding", "begin_erasure", "disown", "holding", "part_erased", "to_tell"]


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """How much is held of one identifier.

    Attributes:
        node: the identifier.
        events: those that its profile tells of, the same one again not counted.
        orders: over all advertisers.
        impressions: billed under it.
        linked: identifiers that evidence, a verdict or a refusal connects it with.
        others: further identifiers of its person.
        newest_ms: no record of it that was folded is newer, Unix ms.
        consents: its newest word on each purpose.
    """

    node: NodeId
    events: int
    orders: int
    impressions: int
    linked: frozenset[NodeId]
    others: int
    newest_ms: int
    consents: Consents

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of it but that it was erased, and what it has withdrawn."""
        known = self.events or self.orders or self.impressions or self.linked or self.others
        return not known


def holding(keys: Keys, node: NodeId) -> Steps[Holding]:
    """Reads what is held of an identifier."""
    settled = yield from settle(keys, node)
    (reply,) = yield [("HGETALL", keys.evidence(node))]
    links = fields_of(reply)
    held = newest_fields(settled, b"f").get(node)
    facet = Facet() if held is None else decode_facet(held)
    held = newest_fields(settled, b"c").get(node)
    ledger = CapLedger() if held is None else decode_ledger(held)
    return Holding(
        node=node,
        events=sum(map(len, facet.touches.values())),
        orders=sum(totals(one).order_count for one in facet.purchases.values()),
        impressions=ledger.billed_count,
        linked=frozenset(_linked(links)),
        others=len(settled.members) - 1,
        newest_ms=max(_times_ms(facet, ledger, links), default=0),
        consents=facet.consents,
    )


def _linked(links: dict[bytes, bytes]) -> Iterator[NodeId]:
    return (NodeId(name[2:].decode()) for name in links if name[:2] in LINK_KINDS)


LINK_KINDS: Final = (b"e:", b"x:", b"s:", b"w:")


def _times_ms(facet: Facet, ledger: CapLedger, links: dict[bytes, bytes]) -> Iterator[int]:
    for touched in facet.touches.values():
        yield (max(touched.values()) + 1) * SECOND_MS
    yield from (told_ms for told_ms, _, _ in facet.consents.values())
    yield from (billed_ms for one in ledger.campaigns.values() for billed_ms in one.values())
    for name, value in links.items():
        if name[:2] == b"w:":
            yield decode_word(value).time_ms
        elif name[:2] == b"e:":
            yield decode_evidence(value).time_ms
        elif name[:2] == b"x:":
            yield given_ms_of(value)


def begin_erasure(keys: Keys, nodes: Sequence[NodeId], erased_ms: int) -> Steps[frozenset[Pair]]:
    """The first two steps: from here on nothing up to the time counts.

    Args:
        keys: the owner's key names.
        nodes: all identifiers of the person.
        erased_ms: nothing up to this time counts, Unix ms.

    Returns:
        The links that are known of the identifiers: Kafka must forget them before Redis does.
    """
    yield [("FCALL", "kinbid_v1_erase", 1, keys.parent(node), erased_ms) for node in nodes]
    for node in nodes:
        yield from erase_field(keys, node, "f", erased_ms)
        yield from erase_field(keys, node, "c", erased_ms)
    yield from _publish_each(keys, nodes)
    replies = yield [("HGETALL", keys.evidence(node)) for node in nodes]
    return frozenset(
        pair_of(node, other)
        for node, reply in zip(nodes, replies, strict=True)
        for other in _linked(fields_of(reply))
    )


def to_tell(nodes: Collection[NodeId], pairs: Collection[Pair]) -> list[Pair]:
    """Who is to be forgotten by whom: each of ``nodes`` by itself, and by those it was seen with.

    Among themselves they know nothing of each other any more.
    """
    others = [
        (one, other)
        for pair in sorted(pairs)
        for one, other in (pair, pair[::-1])
        if one in nodes and other not in nodes
    ]
    return [(node, node) for node in sorted(nodes)] + others


def part_erased(
    keys: Keys,
    nodes: Collection[NodeId],
    pairs: Collection[Pair],
    next_token: Callable[[], str],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> Steps[Resettled]:
    """The third step: the persons around become what is left of the evidence.

    What was told of the erased is void already, and still leads to whoever they kept apart. A link
    that is about to happen is announced at one of the two only: each is looked at.

    Args:
        keys: the owner's key names.
        nodes: all identifiers of the person.
        pairs: what :func:`begin_erasure` returned.
        next_token: gives a token that was never used before.
        limits: the blast radius.

    Returns:
        What became of the persons around: refusals that are over are to be told to Kafka.
    """
    around = {node for pair in pairs for node in pair}
    done = yield from resettle(
        keys, [*nodes, *sorted(around.difference(nodes))], limits, next_token
    )
    yield from publish_all(keys, done.to_publish)
    return done


def disown(
    keys: Keys, nodes: Collection[NodeId], pairs: Collection[Pair], erased_ms: int
) -> Steps[None]:
    """The last step: evidence goes, at the others first, since it is how they are found.

    Reservations of bids that were made up to the time go, too.

    Args:
        keys: the owner's key names.
        nodes: all identifiers of the person.
        pairs: what :func:`begin_erasure` returned.
        erased_ms: nothing up to this time counts, Unix ms.
    """
    both = [two for a, b in sorted(pairs) for two in ((a, b), (b, a))]
    for is_erased in (False, True):
        commands: list[Command] = [
            ("FCALL", "kinbid_v1_disown", 1, keys.evidence(one), other, erased_ms)
            for one, other in both
            if (one in nodes) == is_erased
        ]
        if is_erased:
            for node in nodes:
                commands += [
                    ("HDEL", keys.evidence(node), MORE_LINKS),
                    ("FCALL", "kinbid_v1_unreserve", 1, keys.bid_view(node), erased_ms),
                ]
        if commands:
            yield commands


def _publish_each(keys: Keys, nodes: Sequence[NodeId]) -> Steps[None]:
    """Writes bid views under a higher version: somebody may hold one of before the erasure."""
    left = set(nodes)
    while left:
        node = min(left)
        root = yield from find(keys, node)
        yield [("HINCRBY", keys.person(root), "y", 1)]
        left.difference_update((yield from publish(keys, node)).members, {node})
