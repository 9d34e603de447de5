"""Which campaigns may bid in a context: bit masks over blocks of campaigns.

Campaigns stand in one order: by what a contextual one pays, the most first, then by id. They are
cut into blocks; in a block each value of each dimension has a mask, one Python int whose bits are
the campaigns that it lets through. So a block costs one OR for each value and one AND for each
dimension, and what comes out is in order. Answers are kept by context, and are worked out block by
block, only as far as somebody asks: mostly the first of them is enough.

A change moves the bits of one block (some 0.2 ms at a thousand campaigns), so there is nothing to
rebuild; what is loaded at once is sorted at once.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from models.catalog_records import Campaign

__all__ = ["CONTEXTUAL", "CampaignIndex", "Candidates", "Facts", "Query"]

BLOCK: Final = 1024
"""In a prototype 512 to 2,048 cost the same, 4,096 half as much again."""
KEPT_ANSWERS: Final = 16_384
"""About 0.5 kB each."""
SLICE: Final = 8
"""So many campaigns are taken out of a mask at a time."""

CONTEXTUAL: Final = "contextual"
"""The audience of campaigns that know no person."""

Facts = Mapping[str, tuple[str, ...]]
"""Of a campaign: to each dimension the values that let it through; without any, all do."""
Query = Mapping[str, tuple[str, ...]]
"""Of a request: to each dimension the values that it has; a dimension left out does not matter."""

_Place = tuple[int, str]
_ANY: Final = ""


class _Block:
    """Neighbours in the order."""

    __slots__ = ("campaigns", "masks", "places")

    def __init__(self) -> None:
        self.places: list[_Place] = []
        self.campaigns: list[Campaign] = []
        self.masks: dict[tuple[str, str], int] = {}

    def append(self, place: _Place, campaign: Campaign, facts: Facts) -> None:
        bit = 1 << len(self.places)
        self.places.append(place)
        self.campaigns.append(campaign)
        self._set(bit, facts)

    def insert(self, place: _Place, campaign: Campaign, facts: Facts) -> None:
        at = bisect_left(self.places, place)
        self.places.insert(at, place)
        self.campaigns.insert(at, campaign)
        below = (1 << at) - 1
        for key, mask in self.masks.items():
            self.masks[key] = mask & below | (mask & ~below) << 1
        self._set(1 << at, facts)

    def remove(self, place: _Place) -> None:
        at = bisect_left(self.places, place)
        del self.places[at], self.campaigns[at]
        below = (1 << at) - 1
        left = {key: mask & below | (mask >> 1) & ~below for key, mask in self.masks.items()}
        self.masks = {key: mask for key, mask in left.items() if mask}

    def _set(self, bit: int, facts: Facts) -> None:
        masks = self.masks
        for dimension, values in facts.items():
            for value in values or (_ANY,):
                key = dimension, value
                masks[key] = masks.get(key, 0) | bit

    def allowed(self, query: tuple[tuple[str, tuple[str, ...]], ...]) -> int:
        allowed = (1 << len(self.places)) - 1
        get = self.masks.get
        for dimension, values in query:
            mask = get((dimension, _ANY), 0)
            for value in values:
                mask |= get((dimension, value), 0)
            allowed &= mask
            if not allowed:
                break
        return allowed


class Candidates:
    """Campaigns that a query lets through, in order, found as far as they are asked for."""

    __slots__ = ("_block", "_blocks", "_found", "_left", "_query")

    def __init__(self, blocks: Iterator[_Block], query: Query) -> None:
        self._blocks = blocks
        self._query = tuple(query.items())
        self._found: list[Campaign] = []
        self._block = _Block()
        self._left = 0

    def __iter__(self) -> Iterator[Campaign]:
        found, place = self._found, 0
        while True:
            while place < len(found):
                yield found[place]
                place += 1
            if not self._find_more():
                return

    def _find_more(self) -> bool:
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block, self._left = block, block.allowed(self._query)
        campaigns, left = self._block.campaigns, self._left
        for _ in range(SLICE):
            lowest = left & -left
            self._found.append(campaigns[lowest.bit_length() - 1])
            left ^= lowest
            if not left:
                break
        self._left = left
        return True


class CampaignIndex:
    """Every active campaign, by where and to whom it may be shown."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._facts: dict[str, tuple[_Place, Campaign, Facts]] = {}
        self._waiting: dict[str, tuple[_Place, Campaign, Facts]] | None = {}
        self._answers: dict[tuple[object, ...], Candidates] = {}
        self._restrictions: Counter[str] = Counter()
        self.restricted: frozenset[str] = frozenset()
        """Dimensions in which any campaign asks for certain values; others need not be queried."""

    def put(self, campaign: Campaign, facts: Facts) -> None:
        """Adds a campaign, or changes where it may be shown."""
        self.remove(campaign.id)
        entry = (-campaign.contextual_cpm_micros, campaign.id), campaign, facts
        self._restrictions.update(dimension for dimension, values in facts.items() if values)
        self._facts[campaign.id] = entry
        self._forget_answers()
        if self._waiting is not None:
            self._waiting[campaign.id] = entry
        else:
            self._insert(*entry)

    def remove(self, name: str) -> None:
        """Takes a campaign out, if it is there."""
        entry = self._facts.pop(name, None)
        if entry is None:
            return
        place, _, facts = entry
        self._restrictions.subtract(dimension for dimension, values in facts.items() if values)
        self._forget_answers()
        if self._waiting is not None:
            del self._waiting[name]
            return
        at = self._block_at(place)
        self._blocks[at].remove(place)
        if not self._blocks[at].places:
            del self._blocks[at]

    def _forget_answers(self) -> None:
        self._answers.clear()
        self.restricted = frozenset(name for name, count in self._restrictions.items() if count)

    def known(self, key: tuple[object, ...]) -> Candidates | None:
        """What was answered under a key, if it was asked before."""
        return self._answers.get(key)

    def candidates(self, key: tuple[object, ...], query: Query) -> Candidates:
        """The campaigns that a query lets through, in order.

        Args:
            key: names the query: what was answered once is known under it.
            query: what the request has.
        """
        known = self.known(key)
        if known is not None:
            return known
        if self._waiting is not None:
            self.settle()
        if len(self._answers) >= KEPT_ANSWERS:
            self._answers.clear()
        found = Candidates(iter(self._blocks), query)
        self._answers[key] = found
        return found

    def settle(self) -> None:
        """Sorts in at once what was put in so far; from now on each change is made by itself."""
        for entry in sorted((self._waiting or {}).values(), key=lambda one: one[0]):
            if not self._blocks or len(self._blocks[-1].places) >= BLOCK:
                self._blocks.append(_Block())
            self._blocks[-1].append(*entry)
        self._waiting = None

    def _insert(self, place: _Place, campaign: Campaign, facts: Facts) -> None:
        if not self._blocks:
            self._blocks.append(_Block())
            self._blocks[0].append(place, campaign, facts)
            return
        at = self._block_at(place)
        block = self._blocks[at]
        block.insert(place, campaign, facts)
        if len(block.places) > BLOCK:
            self._blocks[at : at + 1] = self._halves(block)

    def _halves(self, block: _Block) -> list[_Block]:
        halves = [_Block(), _Block()]
        for number, campaign in enumerate(block.campaigns):
            halves[number >= BLOCK // 2].append(*self._facts[campaign.id])
        return halves

    def _block_at(self, place: _Place) -> int:
        """The block in which a place is, or belongs."""
        at = bisect_left(self._blocks, place, key=lambda block: block.places[-1])
        return min(at, len(self._blocks) - 1)
