"""Where and when a campaign may be shown, and whom a segment holds: rules as data.

Every list is an "any of"; an empty one lets everything through.
"""

import re
from math import isfinite
from typing import Final, Literal

import msgspec

from models.errors import InvalidFieldError
from models.units import MICROS

__all__ = ["MONEY_FEATURES", "Condition", "DeviceType", "Feature", "Targeting"]

DeviceType = Literal["phone", "tablet", "pc", "tv", "other"]

Feature = Literal[
    "orders", "average_order", "yearly_value", "days_since_order", "days_since_look",
    "days_to_departure", "in_cart", "tier", "route",
]  # fmt: skip
"""What a segment may ask of a person's dealings with its advertiser: :mod:`models.features`."""

_INVENTORY: Final = re.compile(r"[^\s/:?#@]+")
WORDS: Final = frozenset({"tier", "route"})
"""Features whose values are words; all others are numbers."""
MONEY_FEATURES: Final = frozenset({"average_order", "yearly_value"})
"""Features whose limits are amounts of money: micros in a record, units in a file."""


class Targeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Slots in which a campaign may be shown.

    Attributes:
        exchanges: ids.
        places: countries (``USA``, ISO 3166-1 alpha-3) and regions (``USA-CA``).
        devices: kinds of device.
        systems: operating systems in lower case, such as ``ios``.
        hours: of the day, 0 to 23; the device's own time where the request tells its offset, else
            UTC.
        weekdays: 0 is Monday, 6 Sunday; in the same time.
        sites: domains, with all below them, and app bundles.
        not_sites: the same, where it is not shown.
    """

    exchanges: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    devices: tuple[DeviceType, ...] = ()
    systems: tuple[str, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    sites: tuple[str, ...] = ()
    not_sites: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        for place in self.places:
            country, dash, region = place.partition("-")
            is_country = len(country) == 3 and country.isupper()
            if not is_country or region != region.upper() or (dash and not region):
                wanted = "a country such as USA, or a region such as USA-CA"
                raise InvalidFieldError(f"{where}: places", place, wanted)
        self._check_times(where)
        for name in ("systems", "sites", "not_sites"):
            for value in getattr(self, name):
                if value != value.lower():
                    raise InvalidFieldError(f"{where}: {name}", value, "in lower case")
        for value in (*self.sites, *self.not_sites):
            if not _INVENTORY.fullmatch(value):
                wanted = "a domain without https:// and path, or an app's bundle"
                raise InvalidFieldError(f"{where}: sites or not_sites", value, wanted)

    def _check_times(self, where: str) -> None:
        for name, most in (("hours", 23), ("weekdays", 6)):
            for value in getattr(self, name):
                if not 0 <= value <= most:
                    raise InvalidFieldError(f"{where}: {name}", value, f"from 0 to {most}")


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a segment asks of one feature of a person.

    Attributes:
        feature: which.
        at_least, at_most: limits of a number, both inclusive; micros for money. A number that is
            not known, such as the days since the order of somebody who never ordered, is in none.
        one_of: for words: one of the person's must be among them.
        none_of: for words: none of the person's may be.
    """

    feature: Feature
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Raises InvalidFieldError where it could never or would always hold."""
        where = f"{where}: {self.feature}"
        has_limit = self.at_least is not None or self.at_most is not None
        has_words = bool(self.one_of or self.none_of)
        if self.feature in WORDS and (has_limit or not has_words):
            raise InvalidFieldError(where, "", "given one_of or none_of, since it is a word")
        if self.feature not in WORDS and (has_words or not has_limit):
            raise InvalidFieldError(where, "", "given at_least or at_most, since it is a number")
        for name in ("at_least", "at_most"):
            limit = getattr(self, name)
            if limit is not None and not isfinite(limit):
                raise InvalidFieldError(
                    f"{where}: {name}", limit, "a number; leave it out for none"
                )
        if has_limit and None not in (self.at_least, self.at_most):
            low, high = float(self.at_least or 0), float(self.at_most or 0)
            if low > high:
                wanted = f"at most at_most ({high / self.unit:g})"
                raise InvalidFieldError(f"{where}: at_least", low / self.unit, wanted)

    @property
    def unit(self) -> int:
        """How much of a record's number is one in a file."""
        return MICROS if self.feature in MONEY_FEATURES else 1
