"""A population in Redis: one person made by the protocol, copied under other names.

A million take about a minute. Who is there already is put back to what the copy holds.

The template is written by the same generators as in production, so its copies have whatever keys
and fields the protocol leaves. An identifier is text of one length wherever it stands, so a copy
is the template's bytes with other identifiers in them; a facet is unpacked for that.
"""

import itertools
import random
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from benchmarks.bench.people import People
from benchmarks.bench.site import ask
from models.commands import Command
from models.events import Event
from models.identifiers import NodeId
from models.keys import KEY_PATTERNS, Keys
from models.packing import pack, unpack
from models.profile import publish
from runtime.link import Link
from streams.stages.persons import KnownLinks, digest_events

__all__ = ["TEMPLATE_EVENTS", "seed_copies", "seed_persons", "seed_strangers"]

TEMPLATE_EVENTS: Final = 50
CHUNK: Final = 500
EPOCH: Final = 1
"""The epoch of a worker's first ownership: its first event of an identifier takes the fast path."""


class _Template(NamedTuple):
    """Commands, and the identifiers to replace in them; a facet is a watermark and its bytes."""

    names: tuple[NodeId, ...]
    commands: list[list[bytes | tuple[int, bytes]]]


async def seed_copies(
    link: Link,
    keys: Keys,
    nodes: tuple[NodeId, ...],
    history: Iterable[Event],
    copies: Iterable[Sequence[NodeId]],
    *,
    patterns: Iterable[str] = KEY_PATTERNS,
) -> None:
    """Folds a history, and gives what it left in Redis to further persons.

    Args:
        link: to Redis.
        keys: the owner's key names.
        nodes: the identifiers in the history; the person stays.
        history: as their producers told it.
        copies: the identifiers of further persons, in the same order.
        patterns: of the keys that are copied, of ``KEY_PATTERNS``.
    """
    await _make(link, keys, history)
    await _spread(link, await _copy_of(link, keys, nodes, patterns), copies)


async def seed_persons(
    link: Link, keys: Keys, people: People, indexes: Iterable[int], events: int = TEMPLATE_EVENTS
) -> None:
    """Persons of three identifiers with a history of so many events each; index -1 is taken."""
    trio = people.trio(-1)
    history = people.history(trio, random.Random(0), events)
    await seed_copies(link, keys, trio, history, (people.trio(index) for index in indexes))


async def seed_strangers(
    link: Link, keys: Keys, people: People, indexes: Iterable[int]
) -> None:  # fmt: skip
    """Cookies of one event each, which no link leads to; index -1 is taken."""
    node = people.stranger(-1)
    history = [people.first_visit(node, random.Random(0))]
    await seed_copies(link, keys, (node,), history, ((people.stranger(i),) for i in indexes))


async def _make(link: Link, keys: Keys, history: Iterable[Event]) -> None:
    known, tokens = KnownLinks(), itertools.count()
    for offset, event in enumerate(history):
        node = event.ids[0]
        touched = await link.run(
            digest_events(
                keys, node, EPOCH, [(offset, event)], known=known,
                next_token=lambda: f"seed.{next(tokens):x}",
            )
        )  # fmt: skip
        await link.run(publish(keys, touched.root))


async def _copy_of(
    link: Link, keys: Keys, nodes: tuple[NodeId, ...], patterns: Iterable[str]
) -> _Template:
    """The commands that write what stands under the nodes; copies that will expire are left out."""
    patterns = [pattern for pattern in patterns if "{node}" in pattern]
    names = [
        pattern.replace("{owner}", keys.owner).replace("{node}", f"{{{node}}}")
        for node in nodes
        for pattern in patterns
    ]
    commands: list[list[bytes | tuple[int, bytes]]] = []
    for name in names:
        kind, ttl = await link.run(ask(("TYPE", name), ("TTL", name)))
        if ttl != -1:
            continue
        reading, writing = READERS[bytes(kind)]
        (held,) = await link.run(ask((reading[0], name, *reading[1:])))
        values = held if isinstance(held, list) else [held]
        command: list[bytes | tuple[int, bytes]] = [writing.encode(), name.encode(), *values]
        if writing == "HSET":
            for place, field in enumerate(values[::2]):
                if field.startswith(b"f:"):
                    command[3 + 2 * place] = unpack(values[1 + 2 * place])
        commands.append(command)
    return _Template(nodes, commands)


READERS: Final[dict[bytes, tuple[tuple[str, ...], str]]] = {
    b"string": (("GET",), "SET"),
    b"hash": (("HGETALL",), "HSET"),
    b"set": (("SMEMBERS",), "SADD"),
    b"list": (("LRANGE", "0", "-1"), "RPUSH"),
}
"""By type of key: how to read all of it, how to write it."""


async def _spread(
    link: Link, template: _Template, copies: Iterable[Sequence[NodeId]]
) -> None:  # fmt: skip
    old, left = [name.encode() for name in template.names], iter(copies)
    while chunk := list(itertools.islice(left, CHUNK)):
        commands: list[Command] = []
        for copy in chunk:
            names = list(zip(old, [node.encode() for node in copy], strict=True))
            commands += [_renamed(command, names) for command in template.commands]
        await link.run(ask(*commands))


def _renamed(
    command: list[bytes | tuple[int, bytes]], names: list[tuple[bytes, bytes]]
) -> Command:  # fmt: skip
    def renamed(value: bytes) -> bytes:
        for before, after in names:
            value = value.replace(before, after)
        return value

    return tuple(
        renamed(one) if isinstance(one, bytes) else pack(one[0], renamed(one[1])) for one in command
    )
