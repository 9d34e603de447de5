"""Consent strings for tests, written by an encoder of the tests' own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

__all__ = [
    "Restricted",
    "Told",
    "base64url",
    "bit",
    "canada_string",
    "fibonacci",
    "gpp_string",
    "tc_string",
    "us_section",
    "vendor_bits",
    "vendor_ranges",
]

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ALL: Final = tuple(range(1, 12))


class Restricted(msgspec.Struct, frozen=True):
    """A publisher's restriction: 0 not allowed, 1 consent, 2 legitimate interest."""

    purpose: int
    kind: int
    vendors: tuple[tuple[int, int], ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a TC string is to say; consent to everything and vendor 712, unless told otherwise."""

    consents: Sequence[int] = ALL
    interests: Sequence[int] = ALL
    vendors: Sequence[int] = (712,)
    vendor_interests: Sequence[int] = (712,)
    restrictions: Sequence[Restricted] = ()
    disclosed: Sequence[int] | None = (712,)
    as_ranges: bool = False
    version: int = 2
    updated_ms: int = 1_750_000_000_000
    policy_version: int = 5
    special_features: Sequence[int] = ()


def bit(number: int, width: int) -> str:
    """A number in so many bits."""
    made = f"{number:0{width}b}"
    assert len(made) == width, (number, width)
    return made


def base64url(bits: str) -> str:
    """Bits, filled up with zeros to whole characters."""
    filled = bits + "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(filled[n : n + 6], 2)] for n in range(0, len(filled), 6))


def _field(numbers: Iterable[int], width: int) -> str:
    chosen = set(numbers)
    return "".join("1" if number in chosen else "0" for number in range(1, width + 1))


def vendor_bits(vendors: Sequence[int]) -> str:
    """A list of vendors as a bit for each."""
    highest = max(vendors, default=0)
    return bit(highest, 16) + "0" + _field(vendors, highest)


def intervals(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as intervals, both ends included."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _ranges(ranges: Sequence[tuple[int, int]]) -> str:
    return bit(len(ranges), 12) + "".join(
        "0" + bit(first, 16) if first == last else "1" + bit(first, 16) + bit(last, 16)
        for first, last in ranges
    )


def vendor_ranges(vendors: Sequence[int]) -> str:
    """A list of vendors as intervals."""
    return bit(max(vendors, default=0), 16) + "1" + _ranges(intervals(vendors))


def tc_string(told: Told | None = None) -> str:
    """A TC string of TCF 2."""
    said = told or Told()
    vendors = vendor_ranges if said.as_ranges else vendor_bits
    time = bit(said.updated_ms // 100, 36)
    core = (
        bit(said.version, 6) + time + time + bit(31, 12) + bit(7, 12) + bit(1, 6) + bit(4 * 64, 12)
        + bit(141, 12) + bit(said.policy_version, 6) + "10" + _field(said.special_features, 12)
        + _field(said.consents, 24) + _field(said.interests, 24) + "0" + bit(3 * 64 + 4, 12)
        + vendors(said.vendors) + vendors(said.vendor_interests)
        + bit(len(said.restrictions), 12)
        + "".join(bit(one.purpose, 6) + bit(one.kind, 2) + _ranges(one.vendors)
                  for one in said.restrictions)
    )  # fmt: skip
    segments = [core]
    if said.disclosed is not None:
        segments.append("001" + vendors(said.disclosed))
    return ".".join(map(base64url, segments))


def fibonacci(number: int) -> str:
    """A positive number in Fibonacci's code."""
    numbers = [1, 2]
    while numbers[-1] <= number:
        numbers.append(numbers[-1] + numbers[-2])
    bits = ""
    for one in reversed(numbers[:-1]):
        bits = ("1" if one <= number else "0") + bits
        number -= one if one <= number else 0
    return bits + "1"


def fibonacci_ranges(numbers: Iterable[int]) -> str:
    """Numbers as intervals in Fibonacci's code, each as its distance to the one before."""
    found, last, bits = intervals(numbers), 0, ""
    for first, end in found:
        bits += ("0" if first == end else "1") + fibonacci(first - last)
        bits += "" if first == end else fibonacci(end - first)
        last = end
    return bit(len(found), 12) + bits


def gpp_string(sections: Mapping[int, str]) -> str:
    """A GPP string of such sections."""
    header = bit(3, 6) + bit(1, 6) + fibonacci_ranges(sections)
    return "~".join([base64url(header), *(sections[one] for one in sorted(sections))])


def us_section(values: str, *, version: int = 1, gpc: bool | None = None) -> str:
    """A section of the United States: a digit a value, and its Global Privacy Control."""
    core = base64url(bit(version, 6) + "".join(bit(int(value), 2) for value in values))
    return core if gpc is None else f"{core}.{base64url('01' + str(int(gpc)))}"


def canada_string(
    express: Iterable[int] = ALL,
    vendors: Sequence[int] = (712,),
    restrictions: Sequence[tuple[int, int, Sequence[int]]] | None = (),
) -> str:
    """A section of TCF Canada; without restrictions as its first edition had none."""

    def listed(chosen: Sequence[int]) -> str:
        return bit(max(chosen, default=0), 16) + "1" + fibonacci_ranges(chosen)

    bits = (
        bit(1, 6) + bit(17_500_000_000, 36) * 2 + bit(31, 12) + bit(7, 12) + bit(1, 6)
        + bit(256, 12) + bit(9, 12) + bit(2, 6) + "0" + bit(0, 12)
        + _field(express, 24) + _field((), 24) + listed(vendors) + listed(())
    )  # fmt: skip
    if restrictions is not None:
        bits += bit(len(restrictions), 12)
        bits += "".join(bit(p, 6) + bit(kind, 2) + listed(who) for p, kind, who in restrictions)
    return base64url(bits)
