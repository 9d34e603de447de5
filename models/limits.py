"""Limits on how often a person sees ads: what marketers declare, and what holds at one bid.

A cap is a number of impressions in a sliding window. Several caps hold together, a segment's, a
campaign's and an advertiser's: the strictest decides. A segment's caps may be adjusted to the
person by declared rules: who flies within a week, or is worth twice the mean, may see more.
"""

import math
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from models.errors import InvalidFieldError
from models.person_events import Action

__all__ = [
    "MAX_CAP",
    "MAX_MESSAGES",
    "Adjustment",
    "Cap",
    "Limit",
    "Silence",
    "adjusted",
    "check_adjustments",
    "check_caps",
    "check_seconds",
    "duration_text",
    "read_cap",
    "read_duration",
]

MAX_CAP: Final = 64
"""The most impressions a window may allow: a ledger keeps this many per campaign, exactly."""

MAX_MESSAGES: Final = 16
"""The most that a pressure cap may allow: a bid view knows so many messages of an advertiser."""

MAX_WINDOW_SECONDS: Final = 30 * 86_400
MAX_CAPS: Final = 8
MAX_FACTOR: Final = 64.0

ROUNDING: Final = 1e-9
"""3 x 1.1 is 3.3000000000000003, and 10 x 0.7 is 7 less a rounding: neither may move a cap."""


class Cap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """At most ``impressions`` per person within any ``window_seconds``."""

    impressions: int
    window_seconds: int

    def text(self) -> str:
        """As people read and write it: ``3/1d``."""
        return f"{self.impressions}/{duration_text(self.window_seconds)}"


class Adjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A rule that changes the caps of a segment for persons of a kind.

    Attributes:
        when: what is looked at: days from today (UTC) to the nearest trip that the person searched
            for, or the customer's value over the segment's mean.
        at_least, at_most: the rule holds in between, both inclusive; None is no bound. It does not
            hold where nothing is known: no trip, no order.
        multiply, add: of the impressions of every cap; the products come before the sums.
    """

    when: Literal["days_to_departure", "customer_value"]
    at_least: float | None = None
    at_most: float | None = None
    multiply: float = 1.0
    add: int = 0

    def holds(self, measured: float) -> bool:
        """Whether the rule holds for what was measured."""
        return (self.at_least is None or measured >= self.at_least) and (
            self.at_most is None or measured <= self.at_most
        )


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One channel per trigger: after such a message, the segment's ads are silent for a while.

    Attributes:
        topic: the message's, such as ``abandoned_cart``; empty for every topic.
        action: what happened to it; ``opened`` waits for those that were read.
        window_seconds: for how long.
    """

    window_seconds: int
    topic: str = ""
    action: Action = "sent"


class Limit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A cap as it holds for one bid, and how much of it was used before.

    Attributes:
        impressions, window_seconds: as in :class:`Cap`, after adjustments.
        of_advertiser: it counts the impressions of all of the advertiser's campaigns.
        used: impressions billed in the window and reserved, without this bid.
    """

    impressions: int
    window_seconds: int
    of_advertiser: bool = False
    used: int = 0

    @property
    def room(self) -> int:
        """How many impressions are left; none below 1."""
        return self.impressions - self.used

    def text(self) -> str:
        """How full it is: ``3 of 3 in 1d``."""
        whose = " of the advertiser" if self.of_advertiser else ""
        return f"{self.used} of {self.impressions} in {duration_text(self.window_seconds)}{whose}"


def adjusted(
    impressions: int,
    adjustments: Iterable[Adjustment],
    *,
    days_to_departure: float | None,
    customer_value: float | None,
) -> int:
    """A cap's impressions for one person: from 1 to :data:`MAX_CAP`.

    Args:
        impressions: as declared.
        adjustments: the segment's.
        days_to_departure: of the nearest trip searched for; None without one.
        customer_value: yearly value over the segment's mean; None for who never ordered.
    """
    factor, added = 1.0, 0
    for one in adjustments:
        measured = days_to_departure if one.when == "days_to_departure" else customer_value
        if measured is not None and one.holds(measured):
            factor *= one.multiply
            added += one.add
    changed = math.floor(min(impressions * factor, MAX_CAP) + ROUNDING) + added
    return max(1, min(changed, MAX_CAP))


def check_caps(where: str, caps: tuple[Cap, ...], most: int = MAX_CAP) -> None:
    """Raises InvalidFieldError where a list of caps cannot be used."""
    if len(caps) > MAX_CAPS:
        raise InvalidFieldError(where, f"{len(caps)} caps", f"a list of at most {MAX_CAPS}")
    for cap in caps:
        if not 1 <= cap.impressions <= most:
            wanted = f"from 1 to {most}"
            raise InvalidFieldError(f"{where}: impressions", cap.impressions, wanted)
        check_seconds(f"{where}: window_seconds", cap.window_seconds)
    windows = [cap.window_seconds for cap in caps]
    if len(set(windows)) < len(windows):
        raise InvalidFieldError(f"{where}: window_seconds", windows, "a list of different windows")


def check_seconds(where: str, seconds: int) -> None:
    """Raises InvalidFieldError where a window cannot be used."""
    if not 1 <= seconds <= MAX_WINDOW_SECONDS:
        wanted = f"from 1 to {MAX_WINDOW_SECONDS} (30 days)"
        raise InvalidFieldError(where, seconds, wanted)


def check_adjustments(where: str, adjustments: tuple[Adjustment, ...]) -> None:
    """Raises InvalidFieldError where a rule cannot hold or changes nothing."""
    for one in adjustments:
        if one.at_least is None and one.at_most is None:
            raise InvalidFieldError(where, one.when, "used with at_least, at_most or both")
        if (one.multiply, one.add) == (1.0, 0):
            raise InvalidFieldError(where, one.when, "used with multiply, add or both")
        for name in ("at_least", "at_most"):
            bound = getattr(one, name)
            if bound is not None and not math.isfinite(bound):
                raise InvalidFieldError(
                    f"{where}: {name}", bound, "a number; leave it out for none"
                )
        if not 0 < one.multiply <= MAX_FACTOR:
            wanted = f"above 0, and at most {MAX_FACTOR:g}"
            raise InvalidFieldError(f"{where}: multiply", one.multiply, wanted)
        if not -MAX_CAP <= one.add <= MAX_CAP:
            raise InvalidFieldError(f"{where}: add", one.add, f"from -{MAX_CAP} to {MAX_CAP}")
        if one.at_least is not None and one.at_most is not None and one.at_least > one.at_most:
            raise InvalidFieldError(f"{where}: at_least", one.at_least, f"<= {one.at_most}")


def read_cap(text: str) -> Cap:
    """Reads what :meth:`Cap.text` writes, such as ``3/1d``.

    Raises:
        InvalidFieldError: it cannot be read.
    """
    impressions, mark, window = text.partition("/")
    if not mark or not impressions.isdecimal():
        raise InvalidFieldError("cap", text, "impressions and a window, such as 3/1d or 10/168h")
    return Cap(int(impressions), read_duration("cap", window))


def read_duration(where: str, text: str) -> int:
    """Seconds of a duration such as ``30m``, ``12h``, ``7d`` or ``90s``.

    Raises:
        InvalidFieldError: it cannot be read.
    """
    number, unit = text[:-1], text[-1:]
    length = dict(_UNITS).get(unit)
    if length is None or not number.isdecimal():
        raise InvalidFieldError(where, text, "a whole number of s, m, h or d, such as 30m")
    return int(number) * length


_UNITS: Final = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration_text(seconds: int) -> str:
    """A duration in the greatest unit that fits: ``1d``, ``90s``."""
    unit, length = next(one for one in _UNITS if seconds % one[1] == 0)
    return f"{seconds // length}{unit}"
