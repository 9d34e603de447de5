"""Redis memory of persons that the worker made, in all and by kind of key."""

from collections import defaultdict
from typing import Any, Final

import msgspec
import redis

__all__ = ["Memory", "drop_frozen", "memory_of", "used_memory"]

SCANNED: Final = 1000
HUNDRED_MILLION: Final = 100_000_000


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What persons take.

    Attributes:
        persons: how many.
        bytes_per_person: growth of Redis' used memory, everything included.
        by_kind: bytes per person of each kind of key (``MEMORY USAGE`` of a sample); the rest of
            the whole is the server's own tables.
        keys_by_kind: keys per person.
        hundred_million_bytes: what a hundred million such persons need.
    """

    persons: int
    bytes_per_person: float
    by_kind: dict[str, float]
    keys_by_kind: dict[str, float]
    hundred_million_bytes: int


def used_memory(url: str) -> int:
    """Bytes that the server has allocated."""
    with redis.Redis.from_url(url) as client:
        told: dict[str, Any] = client.info("memory")
    return int(told["used_memory"])


def drop_frozen(url: str, owner: str) -> int:
    """Removes the frozen copies of merged persons a minute early; returns how many."""
    dropped = 0
    with redis.Redis.from_url(url) as client:
        for chunk in _chunks(client, owner):
            pipe = client.pipeline(transaction=False)
            for name in chunk:
                pipe.ttl(name)
            doomed = [
                name for name, ttl in zip(chunk, pipe.execute(), strict=True) if int(ttl) >= 0
            ]
            if doomed:
                client.delete(*doomed)
            dropped += len(doomed)
    return dropped


def memory_of(url: str, owner: str, persons: int, before_bytes: int) -> Memory:
    """Measures the owner's keys.

    Args:
        url: the Redis.
        owner: whose keys.
        persons: how many they are.
        before_bytes: used memory before the first of them.
    """
    keys: defaultdict[str, int] = defaultdict(int)
    sampled: defaultdict[str, list[int]] = defaultdict(list)
    with redis.Redis.from_url(url) as client:
        for chunk in _chunks(client, owner):
            for name in chunk:
                kind = name.decode().removeprefix(f"{owner}:").partition(":")[0]
                keys[kind] += 1
                if len(sampled[kind]) < SCANNED:
                    sampled[kind].append(int(client.memory_usage(name, samples=0) or 0))
    per_person = (used_memory(url) - before_bytes) / persons
    return Memory(
        persons=persons,
        bytes_per_person=per_person,
        by_kind={
            kind: sum(sizes) / len(sizes) * keys[kind] / persons
            for kind, sizes in sorted(sampled.items())
        },
        keys_by_kind={kind: count / persons for kind, count in sorted(keys.items())},
        hundred_million_bytes=round(per_person * HUNDRED_MILLION),
    )


def _chunks(client: Any, owner: str) -> Any:  # noqa: ANN401 - untyped replies
    """Names of the owner's keys, a thousand at a time."""
    cursor = 0
    while True:
        cursor, names = client.scan(cursor, match=f"{owner}:*", count=SCANNED)
        if names:
            yield names
        if not cursor:
            return
