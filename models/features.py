"""What segments ask of a person: features of their dealings with one advertiser.

Numbers are None where nothing is known of them. Recency moves without an event, so a feature is
worked out when a bid asks for it, and only if a segment of the advertiser does.
"""

from collections.abc import Callable, Mapping
from typing import Final

from models.catalog_records import Feature
from models.dealings import BuyerStats, Dealings
from models.units import DAY_MS, DAY_S, SECOND_MS
from models.value.customer import yearly_value_micros

__all__ = ["NUMBERS", "WORDS", "yearly_value_of"]

Number = Callable[[Dealings, int], float | None]


def yearly_value_of(buyer: BuyerStats, now_ms: int) -> float:
    """What a buyer is expected to spend within a year, micros."""
    return yearly_value_micros(
        buyer.repeat_count,
        buyer.first_order_s * SECOND_MS,
        buyer.last_order_s * SECOND_MS,
        repeat_mean_micros=buyer.repeat_mean_micros,
        now_ms=now_ms,
    )


def _orders(dealings: Dealings, _now_ms: int) -> float:
    return dealings.buyer.order_count if dealings.buyer else 0


def _average_order(dealings: Dealings, _now_ms: int) -> float | None:
    buyer = dealings.buyer
    return buyer.net_micros / buyer.order_count if buyer else None


def _yearly_value(dealings: Dealings, now_ms: int) -> float | None:
    buyer = dealings.buyer
    return None if buyer is None else yearly_value_of(buyer, now_ms)


def _days_since_order(dealings: Dealings, now_ms: int) -> float | None:
    buyer = dealings.buyer
    return None if buyer is None else max(0, now_ms - buyer.last_order_ms) / DAY_MS


def _days_since_look(dealings: Dealings, now_ms: int) -> float | None:
    newest_s = max(dealings.route_gaps_s[0] if dealings.routes else 0, *dealings.seen_s, 0)
    return max(0.0, now_ms / DAY_MS - newest_s / DAY_S) if newest_s else None


def _days_to_departure(dealings: Dealings, now_ms: int) -> float | None:
    """Until the soonest departure that the person searched; 0 is today (UTC)."""
    today = now_ms // DAY_MS
    days = (
        seen_s // DAY_S + ahead - today
        for seen_s, ahead in zip(dealings.searched_s, dealings.days_ahead, strict=True)
    )
    return min((ahead for ahead in days if ahead >= 0), default=None)


def _in_cart(dealings: Dealings, _now_ms: int) -> float:
    return dealings.carts.bit_count()


NUMBERS: Final[Mapping[Feature, Number]] = {
    "orders": _orders,
    "average_order": _average_order,
    "yearly_value": _yearly_value,
    "days_since_order": _days_since_order,
    "days_since_look": _days_since_look,
    "days_to_departure": _days_to_departure,
    "in_cart": _in_cart,
}
"""Money is in micros, days are of 24 hours, ``in_cart`` is a count of products."""

WORDS: Final[Mapping[Feature, Callable[[Dealings], tuple[str, ...]]]] = {
    "tier": lambda dealings: (dealings.tier,) if dealings.tier else (),
    "route": lambda dealings: dealings.routes,
}
