"""Maps that keep the newest entries: the part of which order-free facets are made.

An entry's value is its time, or a tuple or record that begins with it. Two values of one key are
joined by their maximum, and a map keeps the greatest ``kept`` of (value, key). Both together are
exact: a key is dropped only where ``kept`` other keys are newer, and those only become newer still.
So the result does not depend on the order in which entries came, nor on how they were split.
"""

from heapq import nsmallest
from typing import Any, Final, Protocol, TypeVar

__all__ = ["add_newest", "join_newest", "keep_newest"]

K = TypeVar("K", bound=str)


class _Ordered(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401 - of its own kind
    def __gt__(self, other: Any, /) -> bool: ...  # noqa: ANN401


V = TypeVar("V", bound=_Ordered)

NOTHING: Final = -1


def add_newest(entries: dict[K, int], key: K, time: int, kept: int) -> dict[K, int]:
    """``entries`` after one more time of ``key``; the same object where nothing changes."""
    known = entries.get(key, NOTHING)
    if known >= time:
        return entries
    added = {**entries, key: time}
    if known == NOTHING and len(added) > kept:
        del added[min(zip(added.values(), added, strict=True))[1]]
    return added


def join_newest(a: dict[K, V], b: dict[K, V], kept: int) -> dict[K, V]:
    """The newest ``kept`` entries of both, each key at its greatest value; ``a`` if that is all."""
    if not b and len(a) <= kept:
        return a
    if len(a) < len(b):
        a, b = b, a
    if not b and len(a) <= kept:
        return a
    joined = dict(a)
    for key, value in b.items():
        known = joined.get(key)
        if known is None or value > known:
            joined[key] = value
    if len(joined) <= kept:
        return joined
    newest = sorted(zip(joined.values(), joined, strict=True))[-kept:]
    return {key: value for value, key in newest}


def keep_newest(maps: dict[str, dict[K, V]], kept: int) -> dict[str, dict[K, V]]:
    """The newest ``kept`` entries of all maps together; of equals, of the maps of later name."""
    excess = sum(map(len, maps.values())) - kept
    if excess <= 0:
        return maps
    entries = ((value, key, name) for name, one in maps.items() for key, value in one.items())
    oldest = nsmallest(excess, entries)
    left = maps | {name: dict(maps[name]) for _, _, name in oldest}
    for _, key, name in oldest:
        del left[name][key]
    return left
