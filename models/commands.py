"""Algorithms with I/O as generators: they yield Redis commands and are sent the replies.

A step is a list of commands that may travel together; the reply to a step is the list of their
replies, in order. It is never empty but for :data:`TURN`, whose reply is empty, too. The same
generator runs against memory in a unit test, under a scheduler that interleaves many of them for a
proof, and in production, where a driver sends the steps of hundreds of generators as one pipelined
write.
"""

from collections.abc import Generator, Iterable
from typing import Any, Final, TypeAlias, TypeVar

__all__ = ["TURN", "Command", "Steps", "fields_of", "together"]

T = TypeVar("T")

Command: TypeAlias = tuple[str | bytes | int, ...]
"""A Redis command and its arguments, as they go on the wire (RESP2)."""

Steps: TypeAlias = Generator[list[Command], list[Any], T]
"""Yields steps, is sent their replies, returns a ``T``."""

TURN: Final[list[Command]] = []
"""The step that asks for nothing: others who came at the same time may come as far first."""


def fields_of(reply: list[bytes]) -> dict[bytes, bytes]:
    """The mapping that a RESP2 ``HGETALL`` reply lists flat."""
    flat = iter(reply)
    return dict(zip(flat, flat, strict=True))


def together(algorithms: Iterable[Steps[T]]) -> Steps[list[T]]:
    """Several algorithms in lock step: what they ask for in a round travels as one step.

    Returns:
        Their results, in order. An error, theirs or a lost server's, ends all of them.
    """
    walking = dict(enumerate(algorithms))
    replies: dict[int, list[Any] | None] = dict.fromkeys(walking)
    results: dict[int, T] = {}
    while True:
        asked: dict[int, list[Command]] = {}
        for place in tuple(replies):
            try:
                asked[place] = walking[place].send(replies.pop(place))  # type: ignore[arg-type]  # None starts it
            except StopIteration as stop:
                results[place] = stop.value
        if not asked:
            return [results[place] for place in walking]
        replies = _dealt(asked, (yield [one for commands in asked.values() for one in commands]))


def _dealt(asked: dict[int, list[Command]], replies: list[Any]) -> dict[int, list[Any] | None]:
    """To each who asked, the replies to their commands."""
    dealt, first = dict[int, list[Any] | None](), 0
    for place, commands in asked.items():
        dealt[place] = replies[first : first + len(commands)]
        first += len(commands)
    return dealt
