"""Bits of a base64url text, and the numbers in them.

Bits are a text of 0 and 1: a slice and ``int(..., 2)`` read a field in 0.1 us wherever it stands,
and a whole TC string becomes such a text in 2 to 4 us.

A slice behind the end is shorter and not an error, so whoever reads fields looks at the end
whether that many bits were there; what has none at all raises ValueError or IndexError.
"""

from binascii import a2b_base64
from typing import Final

__all__ = ["LONGEST_CHARS", "Ranges", "bits_of", "fibonacci_ranges", "fixed_ranges", "id_bits"]

LONGEST_CHARS: Final = 8_192
"""Of a string that is read. Vendor lists as bits have some 500 characters, and publishers that
restrict many vendors one by one have reached 3,000; the bound is on the work of a hostile one."""

Ranges = tuple[tuple[str, str], ...]
"""Intervals of ids, both ends included. An id is the text of its 16 bits, which compares as the
number does: 0.27 us for an interval of a long list, against 0.47 for two numbers."""

_STANDARD: Final = str.maketrans("-_", "+/")

COUNT_BITS: Final = 12
ID_BITS: Final = 16
NO_ID: Final = "0" * ID_BITS
LONGEST_FIBONACCI: Final = 24
"""Bits of a Fibonacci code without its closing one: up to 75,024, ids have 16 bits."""


def _fibonacci_numbers(count: int) -> tuple[int, ...]:
    numbers = [1, 2]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return tuple(numbers)


FIBONACCI: Final = _fibonacci_numbers(LONGEST_FIBONACCI)


def bits_of(text: str) -> str:
    """Six bits a character (RFC 4648 section 5, without padding).

    Raises:
        ValueError: longer than is read, or a character that is not of the alphabet.
    """
    if len(text) > LONGEST_CHARS:
        raise ValueError("too long")
    # GPP ends at any character, plain base64 at none that leaves six bits over: fill up, cut off.
    filled = text + "A" * (-len(text) % 4)
    raw = a2b_base64(filled.translate(_STANDARD), strict_mode=True)
    return format(int.from_bytes(raw), f"0{8 * len(raw)}b")[: 6 * len(text)]


def id_bits(number: int) -> str:
    """An id as the text of its bits.

    Raises:
        ValueError: it has more than 16.
    """
    bits = f"{number:016b}"
    if len(bits) > ID_BITS:
        raise ValueError("an id of more than 16 bits")
    return bits


def fixed_ranges(bits: str, place: int) -> tuple[Ranges, int]:
    """Ids as TCF lists them: a count, then for each one id, or the first and last of a range.

    Returns:
        The intervals, both ends included, and the place behind them.
    """
    count = int(bits[place : place + COUNT_BITS], 2)
    place += COUNT_BITS
    found = []
    for _ in range(count):
        first = last = bits[place + 1 : place + 17]
        if bits[place] == "1":
            last = bits[place + 17 : place + 33]
            place += 33
        else:
            place += 17
        if not NO_ID < first <= last:
            raise ValueError("a range that ends before it begins, or cut off")
        found.append((first, last))
    return tuple(found), place


def fibonacci_ranges(bits: str, place: int) -> tuple[tuple[tuple[int, int], ...], int]:
    """Ids as GPP lists them: like :func:`fixed_ranges`, each number as the difference to the last.

    Returns:
        The intervals, both ends included and rising, and the place behind them.
    """
    count = int(bits[place : place + COUNT_BITS], 2)
    place += COUNT_BITS
    found: list[tuple[int, int]] = []
    last = 0
    for _ in range(count):
        is_range = bits[place] == "1"
        step, place = _fibonacci(bits, place + 1)
        first = last = last + step
        if is_range:
            step, place = _fibonacci(bits, place)
            last += step
        found.append((first, last))
    return tuple(found), place


def _fibonacci(bits: str, place: int) -> tuple[int, int]:
    """A number as a sum of Fibonacci numbers, smallest first; two ones in a row end it."""
    end = bits.index("11", place, place + LONGEST_FIBONACCI + 1)
    code = bits[place : end + 1]
    return sum(number for number, bit in zip(FIBONACCI, code, strict=False) if bit == "1"), end + 2
