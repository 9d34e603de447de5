"""Redis memory of persons that the worker made, in all and by kind of key."""

import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from benchmarks.bench.site import ask, info
from runtime.link import Link

__all__ = ["Growth", "Memory", "drop_frozen", "growth_of", "memory_of", "used_memory"]

SCANNED: Final = 1000
HUNDRED_MILLION: Final = 100_000_000
BUFFERS: Final = (
    "mem_clients_normal", "mem_clients_slaves", "mem_replication_backlog", "mem_cluster_links",
)  # fmt: skip
"""They grow with the traffic up to a limit of their own, whoever is kept there: a replica's backlog
would be most of what few persons seem to take."""


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """How Redis grew from one number of persons to another; replicas are not in it."""

    from_persons: int
    to_persons: int
    bytes_per_person: float


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What persons take.

    Attributes:
        persons: how many.
        growth: of Redis' used memory: from nobody, which takes what the first one costs along, and
            from one size to the next.
        by_kind: bytes per person of each kind of key (``MEMORY USAGE``); the rest of the whole is
            the servers' own tables.
        keys_by_kind: keys per person.
        hundred_million_bytes: what a hundred million such persons need by the last growth.
    """

    persons: int
    growth: tuple[Growth, ...]
    by_kind: dict[str, float]
    keys_by_kind: dict[str, float]
    hundred_million_bytes: int


def growth_of(used: Sequence[tuple[int, int]]) -> tuple[Growth, ...]:
    """The growth over all, then from each size but none to the next.

    Args:
        used: numbers of persons and bytes used with them, rising; the first is none.
    """
    spans = [(used[0], used[-1]), *itertools.pairwise(used[1:])]
    return tuple(
        Growth(
            from_persons=before, to_persons=after,
            bytes_per_person=(bytes_after - bytes_before) / (after - before),
        )
        for (before, bytes_before), (after, bytes_after) in spans
    )  # fmt: skip


async def used_memory(link: Link) -> int:
    """Bytes that the servers which own keys have allocated, without their connections' buffers."""
    told = await info(link, "memory")
    return sum(int(one["used_memory"]) - sum(int(one[name]) for name in BUFFERS) for one in told)


async def drop_frozen(link: Link, owner: str) -> int:
    """Removes the frozen copies of merged persons a minute early; returns how many."""
    dropped = 0
    for server in link.servers:
        async for names in _names(server, owner):
            ttls = await server.run(ask(*[("TTL", name) for name in names]))
            doomed = [name for name, ttl in zip(names, ttls, strict=True) if ttl >= 0]
            if doomed:
                await server.run(ask(*[("DEL", name) for name in doomed]))
            dropped += len(doomed)
    return dropped


async def memory_of(link: Link, owner: str, used: Sequence[tuple[int, int]]) -> Memory:
    """Measures the owner's keys.

    Args:
        link: to their Redis.
        owner: whose keys.
        used: as for :func:`growth_of`; the last number of persons is there now.
    """
    sizes_of: defaultdict[str, list[int]] = defaultdict(list)
    for server in link.servers:
        async for names in _names(server, owner):
            kinds = [name.decode().removeprefix(f"{owner}:").partition(":")[0] for name in names]
            sizes = await server.run(
                ask(*[("MEMORY", "USAGE", name, "SAMPLES", 0) for name in names])
            )
            for kind, size in zip(kinds, sizes, strict=True):
                sizes_of[kind].append(size)
    persons, growth = used[-1][0], growth_of(used)
    return Memory(
        persons=persons,
        growth=growth,
        by_kind={kind: sum(sizes) / persons for kind, sizes in sorted(sizes_of.items())},
        keys_by_kind={kind: len(sizes) / persons for kind, sizes in sorted(sizes_of.items())},
        hundred_million_bytes=round(growth[-1].bytes_per_person * HUNDRED_MILLION),
    )


async def _names(server: Link, owner: str) -> AsyncIterator[list[bytes]]:
    """Names of the owner's keys on one server, about a thousand at a time."""
    cursor = b"0"
    while True:
        ((cursor, names),) = await server.run(
            ask(("SCAN", cursor, "MATCH", f"{owner}:*", "COUNT", SCANNED))
        )
        if names:
            yield names
        if cursor == b"0":
            return
