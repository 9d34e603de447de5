"""Names of bids, which tell when and by which worker each was made.

A nonce is ``WORKER SECOND COUNT``, without the spaces: six characters for the worker, six for the
second, and how many came before it in that second. So a bid's name alone leads to its receipt: to a
partition, and to a place in it.
"""

import itertools
import re
from typing import Final

import msgspec

from models.units import SECOND_MS

__all__ = ["WORKERS", "NonceParts", "Nonces", "parse_nonce", "worker_name"]

DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
WIDTH: Final = 6
WORKERS: Final = len(DIGITS) ** WIDTH
"""So many names has a worker to choose from: 2.2 thousand million."""

EPOCH_S: Final = 1_577_836_800
"""Seconds count from 2020, and so last until 2088."""

_NONCE: Final = re.compile(r"([0-9a-z]{6})([0-9a-z]{6})([0-9a-f]{1,12})", re.ASCII)


class NonceParts(msgspec.Struct, frozen=True, gc=False):
    """What a nonce tells.

    Attributes:
        worker: who made it.
        second_ms: the second in which it was made, or a later one where the clock had been put
            back; Unix ms.
    """

    worker: str
    second_ms: int


class Nonces:
    """Makes the nonces of one worker, each once.

    Args:
        worker: its name, from :func:`worker_name`; a successor takes another.
    """

    __slots__ = ("_count", "_head", "_second", "_worker")

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._second = 0
        self._head = ""
        self._count = itertools.count()

    def next(self, now_ms: int) -> str:
        """The next nonce; where the clock is put back, the second stays until it comes again."""
        second = now_ms // SECOND_MS
        if second > self._second:
            self._second = second
            self._head = self._worker + _digits(second - EPOCH_S)
            self._count = itertools.count()
        return f"{self._head}{next(self._count):x}"


def worker_name(number: int) -> str:
    """A worker's name, of a number below :data:`WORKERS` that nobody else has drawn."""
    return _digits(number)


def parse_nonce(text: str) -> NonceParts | None:
    """What a nonce tells; None where the text is none."""
    found = _NONCE.fullmatch(text)
    if found is None:
        return None
    return NonceParts(found[1], (int(found[2], len(DIGITS)) + EPOCH_S) * SECOND_MS)


def _digits(number: int) -> str:
    text = ""
    for _ in range(WIDTH):
        number, digit = divmod(number, len(DIGITS))
        text = DIGITS[digit] + text
    return text
