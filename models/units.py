"""Units that close a name: money in integer micros, time in integer milliseconds."""

import datetime as dt
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final, NewType

from models.errors import InvalidFieldError

__all__ = [
    "DAY_MS",
    "DAY_S",
    "HOUR_MS",
    "MICROS",
    "SECOND_MS",
    "AdvertiserId",
    "CampaignId",
    "CreativeId",
    "ExchangeId",
    "SegmentId",
    "date_of",
    "epoch_day",
    "format_money",
    "parse_money",
]

MICROS: Final = 1_000_000
"""Micros in one unit of currency (OpenRTB 2.6 advises integers for money)."""

MICRO: Final = Decimal(1) / MICROS
MAX_AMOUNT: Final = 10**12
"""Above this, a decimal's 28 digits and Redis' 64 bits are no longer surely enough."""

SECOND_MS: Final = 1_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
DAY_S: Final = 86_400

AdvertiserId = NewType("AdvertiserId", str)
CampaignId = NewType("CampaignId", str)
CreativeId = NewType("CreativeId", str)
SegmentId = NewType("SegmentId", str)
ExchangeId = NewType("ExchangeId", str)


def parse_money(text: str, field: str) -> int:
    """Reads an amount such as ``12.50`` as micros, exactly.

    Args:
        text: a decimal number in units of currency, at most six decimals, >= 0.
        field: the name that an error shows.

    Raises:
        InvalidFieldError: not a number, negative, not finite, too large, or finer than a micro.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidFieldError(field, text, "an amount of money such as 12.50") from None
    if not amount.is_finite() or amount < 0 or amount >= MAX_AMOUNT or amount % MICRO:
        wanted = f"an amount >= 0 with at most six decimals, less than {MAX_AMOUNT}"
        raise InvalidFieldError(field, text, wanted)
    return int(amount * MICROS)


def format_money(micros: int) -> str:
    """Shows micros as an amount with at least two decimals: ``12_500_000`` is ``12.50``."""
    units, rest = divmod(abs(micros), MICROS)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{units}.{decimals}"


@lru_cache(maxsize=4096)
def epoch_day(date: str) -> int:
    """Days since 1970-01-01 of an ISO date.

    Raises:
        ValueError: not ``YYYY-MM-DD``.
    """
    return dt.date.fromisoformat(date).toordinal() - 719_163


@lru_cache(maxsize=4096)
def date_of(day: int) -> str:
    """The ISO date of an epoch day."""
    return dt.date.fromordinal(day + 719_163).isoformat()
