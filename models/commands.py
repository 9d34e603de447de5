"""Algorithms with I/O as generators: they yield Redis commands and are sent the replies.

A step is a list of commands that may travel together; the reply to a step is the list of their
replies, in order. The same generator runs against memory in a unit test, under a scheduler that
interleaves many of them for a proof, and in production, where a driver sends the steps of
hundreds of generators as one pipelined write.
"""

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar

__all__ = ["Command", "Steps", "fields_of"]

T = TypeVar("T")

Command: TypeAlias = tuple[str | bytes | int, ...]
"""A Redis command and its arguments, as they go on the wire (RESP2)."""

Steps: TypeAlias = Generator[list[Command], list[Any], T]
"""Yields steps, is sent their replies, returns a ``T``."""


def fields_of(reply: list[bytes]) -> dict[bytes, bytes]:
    """The mapping that a RESP2 ``HGETALL`` reply lists flat."""
    flat = iter(reply)
    return dict(zip(flat, flat, strict=True))
