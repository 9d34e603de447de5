"""All of an owner's keys in Redis: found by their prefix, a page at a time."""

import re
from collections.abc import AsyncIterator, Collection
from typing import Final

from models.commands import Command, Steps, fields_of
from models.forest import Settled, find, settle
from models.identifiers import NodeId
from models.keys import Keys
from runtime.link import Link

__all__ = [
    "frozen_views",
    "matches_about",
    "number_books",
    "persons_in",
    "remove_all",
    "settled_persons",
]

PAGE: Final = 1000
CHUNK: Final = 500
GLOB: Final = re.compile(r"([*?\[\]\\])")


async def _pages(link: Link, pattern: str) -> AsyncIterator[list[bytes]]:
    """Keys that match; one may come twice, and none is left out that stands there all the time."""
    for server in link.servers:
        cursor: bytes | int = 0
        while True:
            scan = ("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
            cursor, page = await server.run(_one(scan))
            yield page
            if int(cursor) == 0:
                break


def _one(command: Command) -> Steps[tuple[bytes, list[bytes]]]:
    ((cursor, page),) = yield [command]
    return cursor, page


async def persons_in(link: Link, keys: Keys) -> AsyncIterator[list[NodeId]]:
    """Pages of nodes that are a person or were one."""
    prefix = f"{keys.owner}:p:{{"
    async for page in _pages(link, f"{_literal(prefix)}*"):
        yield [NodeId(key.decode().removeprefix(prefix).removesuffix("}")) for key in page]


async def frozen_views(
    link: Link, keys: Keys, nodes: Collection[NodeId]
) -> AsyncIterator[list[bytes]]:
    """Pages of bid views that were frozen when some nodes were merged away or split."""
    prefix = f"{keys.owner}:z:{{"
    async for page in _pages(link, f"{_literal(prefix)}*"):
        yield [name for name in page if _node_in(name, prefix) in nodes]


def _node_in(name: bytes, prefix: str) -> NodeId:
    return NodeId(name.decode().removeprefix(prefix).partition("}")[0])


async def settled_persons(link: Link, keys: Keys) -> AsyncIterator[list[Settled]]:
    """Every person once, a few hundred at a time in the order of their roots.

    Merges and splits that were left half done are finished on the way.
    """
    roots: set[NodeId] = set()
    async for nodes in persons_in(link, keys):
        roots.update(await link.run_all(find(keys, node) for node in nodes))
    ordered = sorted(roots)
    read: set[NodeId] = set()
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        # Two of them may have become one person meanwhile.
        found = {one.root: one for one in await link.run_all(settle(keys, root) for root in chunk)}
        yield [settled for root, settled in found.items() if root not in read]
        read |= found.keys()


async def matches_about(
    link: Link, keys: Keys, nodes: Collection[NodeId]
) -> AsyncIterator[list[bytes]]:
    """Pages of cookie matches that lead from or to some nodes."""
    prefix = f"{keys.owner}:u:{{"
    async for page in _pages(link, f"{_literal(prefix)}*"):
        cookies = await link.run(_values(page)) if page else []
        yield [
            name
            for name, cookie in zip(page, cookies, strict=True)
            if _node_in(name, prefix) in nodes or (cookie or b"").decode() in nodes
        ]


def _values(names: list[bytes]) -> Steps[list[bytes | None]]:
    # One key a command: in a cluster each is on a server of its own.
    return (yield [("GET", name) for name in names])


async def number_books(link: Link, keys: Keys) -> AsyncIterator[tuple[bytes, dict[bytes, bytes]]]:
    """Every book of a call number: its key and fields."""
    async for page in _pages(link, f"{_literal(keys.number(''))}*"):
        for key in page:
            yield key, await link.run(_fields(key))


def _fields(key: bytes) -> Steps[dict[bytes, bytes]]:
    (reply,) = yield [("HGETALL", key)]
    return fields_of(reply)


async def remove_all(link: Link, keys: Keys) -> int:
    """Removes every key of the owner but the mark of a rebuild, and no other's.

    Returns how many there were.
    """
    removed, mark = 0, keys.rebuild().encode()
    async for page in _pages(link, f"{_literal(keys.owner)}:*"):
        names = [name for name in page if name != mark]
        removed += await link.run(_unlink(names)) if names else 0
    return removed


def _unlink(names: list[bytes]) -> Steps[int]:
    # One key a command: in a cluster each is on a server of its own.
    replies = yield [("UNLINK", name) for name in names]
    return sum(replies)


def _literal(text: str) -> str:
    """The text as a pattern that matches nothing else."""
    return GLOB.sub(r"\\\1", text)
