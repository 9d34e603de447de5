"""Which segments of an advertiser hold a person: an interval index over features.

Of each feature that any segment asks for, the limits stand sorted, and each interval between two of
them has a mask: one Python int whose bits are the segments that it lets through. A person costs one
bisection and one AND for each feature, however many segments there are.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import inf, nextafter
from typing import Final

import msgspec

from models.catalog_records import Condition, Feature, Segment
from models.dealings import Dealings
from models.features import NUMBERS, WORDS

__all__ = ["SegmentIndex"]


class _Intervals(msgspec.Struct, frozen=True):
    """Of one number: ``masks[n]`` holds from ``limits[n - 1]`` up to below ``limits[n]``."""

    limits: tuple[float, ...]
    masks: tuple[int, ...]
    unknown: int

    def allowed(self, value: float | None) -> int:
        if value is None:
            return self.unknown
        return self.masks[bisect_right(self.limits, value)]


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

    Args:
        segments: in the order in which they are answered.
    """

    __slots__ = ("_all", "_numbers", "_segments", "_words")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = tuple(segments)
        self._all: Final = (1 << len(segments)) - 1
        asked: defaultdict[Feature, list[tuple[int, Condition]]] = defaultdict(list)
        for place, segment in enumerate(segments):
            for condition in segment.conditions():
                asked[condition.feature].append((1 << place, condition))
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

    def holding(self, dealings: Dealings, now_ms: int) -> list[Segment]:
        """The segments that hold somebody with these dealings."""
        mask = self._all
        for number, intervals in self._numbers:
            mask &= intervals.allowed(number(dealings, now_ms))
        for words, index in self._words:
            mask &= index.allowed(words(dealings))
        found: list[Segment] = []
        while mask:
            lowest = mask & -mask
            found.append(self._segments[lowest.bit_length() - 1])
            mask ^= lowest
        return found


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
