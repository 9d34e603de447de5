"""Birthdays: how far away the nearest one is."""

import datetime as dt
from typing import Final

__all__ = ["days_from_birthday", "is_in_birthday_window"]

FEBRUARY: Final = 2
LEAP_DAY: Final = 29


def days_from_birthday(birthday: str, today: dt.date) -> int:
    """Days since the nearest anniversary; negative before it, 0 on the day.

    Who was born on 29 February has their day on the 28th in other years.

    Args:
        birthday: ``YYYY-MM-DD``.
        today: the date where the person is.

    Raises:
        ValueError: ``birthday`` is not a date.
    """
    born = dt.date.fromisoformat(birthday)
    distances = [(today - _in_year(born, today.year + step)).days for step in (-1, 0, 1)]
    return min(distances, key=abs)


def is_in_birthday_window(
    birthday: str, today: dt.date, *, days_before: int = 3, days_after: int = 7
) -> bool:
    """Whether a greeting is due; both ends inclusive."""
    return -days_before <= days_from_birthday(birthday, today) <= days_after


def _in_year(born: dt.date, year: int) -> dt.date:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if (born.month, born.day) == (FEBRUARY, LEAP_DAY) and not is_leap:
        return dt.date(year, FEBRUARY, LEAP_DAY - 1)
    return born.replace(year=year)
