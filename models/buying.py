"""How a customer buys: refusals, rhythm, rolling spend, taste; pure functions over their orders."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import Final

from models.purchases import Purchases, ToldOrder, owned_items, standing_orders, totals
from models.units import DAY_MS, SECOND_MS, date_of

__all__ = [
    "cabin_taste",
    "lapse_ratio",
    "mean_order_micros",
    "median_gap_days",
    "order_days",
    "past_trips",
    "refusal_rate",
    "seat_taste",
    "spend_micros",
]

YEAR_DAYS: Final = 365
DATE_LENGTH: Final = 10


def refusal_rate(purchases: Purchases) -> float:
    """Share of all orders that were wholly refused, 0 to 1; 0 without an order."""
    refused = {name for name, one in purchases.refusals.items() if one.is_whole}
    told = purchases.orders.keys() | refused
    return len(refused) / len(told) if told else 0.0


def mean_order_micros(purchases: Purchases) -> int:
    """Mean net revenue of an order, micros; 0 without an order."""
    found = totals(purchases)
    return found.net_micros // found.order_count if found.order_count else 0


def spend_micros(purchases: Purchases, now_ms: int, days: int = YEAR_DAYS) -> int:
    """Net revenue of the last ``days`` days, micros.

    An order counts from its own second until exactly ``days`` days later. Of somebody with more
    than 256 orders in that time, the newest 256 count.
    """
    return sum(
        told.revenue_micros
        for told in standing_orders(purchases)
        if now_ms - days * DAY_MS < told.ordered_s * SECOND_MS <= now_ms
    )


def order_days(purchases: Purchases) -> list[int]:
    """Epoch days (UTC) with one of the kept orders, rising: the purchase model's days."""
    return sorted({one.ordered_s * SECOND_MS // DAY_MS for one in standing_orders(purchases)})


def median_gap_days(purchases: Purchases) -> float | None:
    """The customer's own rhythm: median days between order days; None with fewer than two."""
    days = order_days(purchases)
    if len(days) < 2:
        return None
    return float(median(later - earlier for earlier, later in pairwise(days)))


def lapse_ratio(purchases: Purchases, now_ms: int) -> float | None:
    """Time since the last order over the customer's own rhythm: above 1 they are late.

    None where there is no rhythm yet.
    """
    gap_days = median_gap_days(purchases)
    if gap_days is None:
        return None
    silent_ms = max(0, now_ms - totals(purchases).last_order_ms)
    return silent_ms / DAY_MS / gap_days


def seat_taste(purchases: Purchases) -> str:
    """The seat taken most often; of several, the one taken last; empty if none is known."""
    return _favourite((one, one.seat) for one in standing_orders(purchases))


def cabin_taste(purchases: Purchases) -> str:
    """The cabin flown most often; of several, the one flown last; empty if none is known."""
    return _favourite((one, one.cabin) for one in standing_orders(purchases))


def _favourite(choices: Iterable[tuple[ToldOrder, str]]) -> str:
    counts: Counter[str] = Counter()
    last_s: dict[str, int] = {}
    for told, choice in choices:
        if choice:
            counts[choice] += 1
            last_s[choice] = told.ordered_s
    return max(counts, key=lambda choice: (counts[choice], last_s[choice], choice), default="")


def past_trips(purchases: Purchases, now_ms: int) -> list[str]:
    """Trips ``ORIGIN-DESTINATION/DATE`` that were bought, kept and have begun, oldest first."""
    today = date_of(now_ms // DAY_MS)
    dated = [
        (date, item)
        for item in owned_items(purchases)
        if _is_date(date := item.rpartition("/")[2]) and date < today
    ]
    return [item for _, item in sorted(dated)]


def _is_date(text: str) -> bool:
    if len(text) != DATE_LENGTH:
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
