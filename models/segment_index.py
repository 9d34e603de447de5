"""Which segments of an advertiser hold a person: an interval index over features.

Of each feature that any segment asks for, the limits stand sorted, and each interval between two of
them has a mask: one Python int whose bits are the segments that it lets through. A person costs one
bisection and one AND for each feature, however many segments there are.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import inf, nextafter
from typing import Final

import msgspec

from models.catalog_records import Condition, Feature, Segment
from models.dealings import Dealings
from models.features import NUMBERS, WORDS

__all__ = ["EMPTY", "SegmentIndex"]


class _Intervals(msgspec.Struct, frozen=True):
    """Of one number: ``masks[n]`` holds from ``limits[n - 1]`` up to below ``limits[n]``."""

    limits: tuple[float, ...]
    masks: tuple[int, ...]
    unknown: int


class _Words(msgspec.Struct, frozen=True):
    """Of one word: who asks for each, who forbids each, and who asks for none."""

    wanted: dict[str, int]
    forbidden: dict[str, int]
    free: int

    def allowed(self, words: Iterable[str]) -> int:
        allowed, refused = self.free, 0
        for word in words:
            allowed |= self.wanted.get(word, 0)
            refused |= self.forbidden.get(word, 0)
        return allowed & ~refused


class SegmentIndex:
    """The segments of one advertiser.

    They stand in groups of those whose customers are worth the same on average, and in each from
    the dearest target CPA down: of one group that is their order for any customer.

    Args:
        segments: of the advertiser.
    """

    __slots__ = ("_all", "_numbers", "_words", "bits", "groups", "segments")

    def __init__(self, segments: Iterable[Segment]) -> None:
        ordered = sorted(
            segments, key=lambda one: (one.mean_value_micros, -one.target_cpa_micros, one.id)
        )
        self.segments: tuple[Segment, ...] = tuple(ordered)
        self.bits: dict[str, int] = {
            segment.id: 1 << place for place, segment in enumerate(ordered)
        }
        masks: defaultdict[int, int] = defaultdict(int)
        asked: defaultdict[Feature, list[tuple[int, Condition]]] = defaultdict(list)
        for segment in ordered:
            bit = self.bits[segment.id]
            masks[segment.mean_value_micros] |= bit
            for condition in segment.conditions():
                asked[condition.feature].append((bit, condition))
        self.groups = tuple(masks.items())
        self._all: Final = (1 << len(ordered)) - 1
        self._numbers = [
            (NUMBERS[feature], _intervals(told, self._all))
            for feature, told in asked.items()
            if feature in NUMBERS
        ]
        self._words = [
            (WORDS[feature], _words(told, self._all))
            for feature, told in asked.items()
            if feature in WORDS
        ]

    def mask_of(self, dealings: Dealings, now_ms: int) -> int:
        """The segments that hold somebody with these dealings, as a mask."""
        mask = self._all
        for number, intervals in self._numbers:
            value = number(dealings, now_ms)
            if value is None:
                mask &= intervals.unknown
            else:
                mask &= intervals.masks[bisect_right(intervals.limits, value)]
        for words, index in self._words:
            mask &= index.allowed(words(dealings))
        return mask

    def those(self, mask: int) -> Iterator[Segment]:
        """The segments of a mask, in order."""
        while mask:
            lowest = mask & -mask
            yield self.segments[lowest.bit_length() - 1]
            mask ^= lowest

    def first_of(self, mask: int, names: Iterable[str]) -> Segment | None:
        """The first of the named segments, by their ids, that is in a mask."""
        bits = self.bits
        for name in names:
            bit = bits.get(name, 0)
            if mask & bit:
                return self.segments[bit.bit_length() - 1]
        return None


EMPTY: Final = SegmentIndex(())


def _intervals(told: Sequence[tuple[int, Condition]], everybody: int) -> _Intervals:
    starts: defaultdict[float, int] = defaultdict(int)
    ends: defaultdict[float, int] = defaultdict(int)
    asking = 0
    mask = everybody
    for bit, condition in told:
        asking |= bit
        if condition.at_least is not None:
            starts[condition.at_least] |= bit
            mask &= ~bit
        if condition.at_most is not None:
            ends[nextafter(condition.at_most, inf)] |= bit
    limits = sorted(starts.keys() | ends.keys())
    masks = [mask]
    for limit in limits:
        mask = (mask | starts[limit]) & ~ends[limit]
        masks.append(mask)
    return _Intervals(tuple(limits), tuple(masks), everybody & ~asking)


def _words(told: Sequence[tuple[int, Condition]], everybody: int) -> _Words:
    wanted: defaultdict[str, int] = defaultdict(int)
    forbidden: defaultdict[str, int] = defaultdict(int)
    asking = 0
    for bit, condition in told:
        if condition.one_of:
            asking |= bit
        for word in condition.one_of:
            wanted[word] |= bit
        for word in condition.none_of:
            forbidden[word] |= bit
    return _Words(dict(wanted), dict(forbidden), everybody & ~asking)
