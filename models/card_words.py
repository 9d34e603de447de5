"""What the CRM says of two of its cards: that they are one customer's, or two customers'.

Of one pair the newest word stands, by the time of its event, whatever the order in which words
come: a late merge does not undo a newer split. A split also parts cards that only a chain of merges
joins (:func:`models.evidence.canonical`). A word stands beside the evidence for the pair, not in
its place, so a split leaves what would be known if the cards had never been merged. The words
before it are kept for those who look back; they decide nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from models.commands import Steps, fields_of
from models.event_base import EventRecord
from models.evidence import Edge, Evidence, Pair, decode_evidence, pair_of
from models.identifiers import NodeId, is_crm
from models.keys import Keys
from models.person_events import CrmMerge, CrmSplit

__all__ = [
    "KEPT_WORDS",
    "CardStory",
    "CardWord",
    "apart_of",
    "decode_word",
    "encode_word",
    "fetch_stories",
    "fetch_survivors",
    "laid_over",
    "merge_of",
    "word_of",
]

KEPT_WORDS: Final = 16
"""Words on one pair that are kept, the newest."""

SPLIT: Final = "split"
"""Stands where a merge has its survivor, and sorts above every CRM id."""


class CardWord(msgspec.Struct, frozen=True, gc=False):
    """The CRM's word on a pair of cards.

    Attributes:
        time_ms: of the event, Unix ms.
        survivor: the card that goes on for both; None: they are two customers.
    """

    time_ms: int
    survivor: NodeId | None = None


class CardStory(msgspec.Struct, frozen=True):
    """All that is kept of one pair of cards.

    Attributes:
        words: what the CRM said, the oldest first.
        beside: the evidence for the pair that is none of the CRM's words.
    """

    words: tuple[CardWord, ...]
    beside: Evidence | None = None


def encode_word(word: CardWord) -> bytes:
    """Text of which the greater decides: the newer; at one instant a split, then the greater id."""
    return f"{word.time_ms:013d}@{word.survivor or SPLIT}".encode()


def decode_word(encoded: bytes) -> CardWord:
    """Reads what :func:`encode_word` wrote; of several with commas between, what stands."""
    time_ms, _, survivor = encoded.partition(b",")[0].decode().partition("@")
    return CardWord(int(time_ms), None if survivor == SPLIT else NodeId(survivor))


def word_of(event: EventRecord) -> CardWord | None:
    """What an event says of each two cards, or of its first and each further one; None: nothing."""
    if isinstance(event, CrmMerge):
        return CardWord(event.event_time_ms, event.ids[0])
    return CardWord(event.event_time_ms) if isinstance(event, CrmSplit) else None


def merge_of(encoded: bytes | None) -> Evidence | None:
    """The evidence that the newest word on a pair is; None without any, and after a split."""
    word = None if encoded is None else decode_word(encoded)
    return None if word is None or word.survivor is None else Evidence("crm_merge", word.time_ms)


def laid_over(edges: Mapping[Pair, Edge], words: Mapping[Pair, bytes]) -> dict[Pair, Edge]:
    """All that is known about pairs: a merge outweighs other evidence, never a verdict."""
    known = dict(edges)
    for pair, encoded in words.items():
        evidence = merge_of(encoded)
        if evidence is not None:
            known[pair] = Edge(evidence, known[pair].verdict if pair in known else None)
    return known


def apart_of(words: Mapping[Pair, bytes]) -> dict[Pair, int]:
    """Pairs of which the newest word is a split, and its time, Unix ms."""
    newest = {pair: decode_word(encoded) for pair, encoded in words.items()}
    return {pair: word.time_ms for pair, word in newest.items() if word.survivor is None}


def fetch_survivors(keys: Keys, nodes: Iterable[NodeId]) -> Steps[dict[NodeId, NodeId]]:
    """Of a person's cards those that another one goes on for, each with that one."""
    cards = sorted(filter(is_crm, nodes))
    pairs = [pair_of(a, b) for a in cards for b in cards if a < b]
    if not pairs:
        return {}
    replies = yield [("HGET", keys.evidence(a), f"w:{b}") for a, b in pairs]
    survivors: dict[NodeId, NodeId] = {}
    for (a, b), encoded in zip(pairs, replies, strict=True):
        survivor = None if encoded is None else decode_word(encoded).survivor
        if survivor is not None:
            survivors[b if survivor == a else a] = survivor
    return survivors


def fetch_stories(keys: Keys, nodes: Iterable[NodeId]) -> Steps[dict[Pair, CardStory]]:
    """What was ever said of pairs of cards of which one is among ``nodes``."""
    cards = sorted(filter(is_crm, nodes))
    if not cards:
        return {}
    replies = yield [("HGETALL", keys.evidence(card)) for card in cards]
    said: defaultdict[Pair, set[bytes]] = defaultdict(set)
    beside: dict[Pair, Evidence] = {}
    for card, reply in zip(cards, replies, strict=True):
        fields = fields_of(reply)
        for name, encoded in fields.items():
            if name.startswith(b"w:"):
                pair = pair_of(card, NodeId(name[2:].decode()))
                said[pair].update(encoded.split(b","))
                known = fields.get(b"e:" + name[2:])
                if known is not None:
                    beside[pair] = decode_evidence(known)
    return {
        pair: CardStory(tuple(map(decode_word, sorted(words))), beside.get(pair))
        for pair, words in said.items()
    }
