"""What currencies are worth."""

import datetime as dt
import re
from decimal import Decimal
from typing import Final

from models.catalog_records.record import Record, positive
from models.errors import InvalidFieldError
from models.units import DAY_MS, epoch_day

__all__ = ["CURRENCY", "Rates"]

CURRENCY: Final = re.compile(r"[A-Z]{3}")
"""The form of ISO 4217's alphabetic codes."""


class Rates(Record, frozen=True, kw_only=True, tag="rates"):
    """What one unit of a currency is worth in others, on a day.

    Attributes:
        base: that currency, by its ISO 4217 code; the owner's own one, or bidders have no use for
            them.
        date: the day that they are of, ``YYYY-MM-DD``.
        max_age_days: from so many days after it on they are not believed; the default covers a
            long weekend of a bank that publishes on working days.
        units: of each other currency for one unit of ``base``.
    """

    base: str
    date: str
    max_age_days: int = 4
    units: dict[str, Decimal]

    @property
    def expires_ms(self) -> int:
        """From then on they are not believed, Unix ms: the end of their last day, in UTC."""
        return (epoch_day(self.date) + self.max_age_days + 1) * DAY_MS

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"rates {self.base}: "
        for code in (self.base, *self.units):
            if not CURRENCY.fullmatch(code):
                raise InvalidFieldError(where + "currency", code, "a code such as EUR")
        for code, rate in self.units.items():
            if not rate.is_finite() or rate <= 0:
                raise InvalidFieldError(where + code, rate, "above 0")
        if self.units.get(self.base, Decimal(1)) != 1:
            raise InvalidFieldError(where + self.base, self.units[self.base], "1, or left out")
        try:
            dt.date.fromisoformat(self.date)
        except ValueError:
            raise InvalidFieldError(where + "date", self.date, "a day, YYYY-MM-DD") from None
        positive("rates", self.base, "max_age_days", self.max_age_days)
