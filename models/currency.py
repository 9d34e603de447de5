"""Money of one currency in another: whole micros, by exact ratios."""

from fractions import Fraction

import msgspec

from models.catalog_records import Rates

__all__ = ["RateTable", "Ratio"]


class Ratio(msgspec.Struct, frozen=True, gc=False):
    """What one unit of a currency is worth in another: ``numerator / denominator``."""

    numerator: int
    denominator: int

    def floor(self, micros: int) -> int:
        """An amount in the other currency, rounded down to a micro."""
        return micros * self.numerator // self.denominator

    def ceil(self, micros: int) -> int:
        """An amount in the other currency, rounded up to a micro."""
        return -(-micros * self.numerator // self.denominator)

    @property
    def inverse(self) -> "Ratio":
        """The way back."""
        return Ratio(self.denominator, self.numerator)


class RateTable:
    """Ratios between any two of the currencies whose rates are known.

    Args:
        rates: the record.
    """

    __slots__ = ("_ratios", "_units", "expires_ms", "record")

    def __init__(self, rates: Rates) -> None:
        self.record = rates
        self.expires_ms = rates.expires_ms
        self._units = {code: Fraction(rate) for code, rate in rates.units.items()}
        self._units[rates.base] = Fraction(1)
        self._ratios: dict[tuple[str, str], Ratio] = {}

    def ratio(self, source: str, target: str, now_ms: int) -> Ratio | None:
        """From one currency to another; None where a rate is missing or all are too old.

        Args:
            source: ISO 4217 code, in capitals.
            target: the same.
            now_ms: the present, Unix ms.
        """
        if now_ms >= self.expires_ms:
            return None
        known = self._ratios.get((source, target))
        if known is not None:
            return known
        if source not in self._units or target not in self._units:
            return None
        exact = self._units[target] / self._units[source]
        made = Ratio(exact.numerator, exact.denominator)
        self._ratios[source, target] = made  # as many as there are pairs of listed currencies
        return made
