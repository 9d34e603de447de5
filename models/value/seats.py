"""What one more sold seat brings: the fare, less what the seat would have earned anyway.

With one fare and demand to come D ~ Poisson(mu), a seat is displaced only if all that is left
would sell: displacement = fare x P(D >= seats left) (Littlewood's rule for one class; Talluri &
van Ryzin 2004, section 2.2.1). Many empty seats: the whole fare is gain; the last seats of a
full flight: almost none is. The time DP over a fare ladder replaces this behind the signature.
"""

from math import erf, exp, sqrt
from typing import Final

from models.units import DAY_MS

__all__ = ["demand_to_come", "seat_pressure"]

EXPECTED_LOAD: Final = 0.82
"""Share of the seats that sells without ads (order of US domestic load factors in 2013)."""

BOOKING_THETA_DAYS: Final = 7.0
"""Bookings come with intensity e^(-days/theta) before departure."""


def demand_to_come(seats_total: int, departure_in_ms: int) -> float:
    """Expected bookings from now to departure, without ads.

    Args:
        seats_total: the aircraft's seats.
        departure_in_ms: time until departure; below 0 counts as 0.
    """
    days = max(0.0, departure_in_ms / DAY_MS)
    return EXPECTED_LOAD * seats_total * (1 - exp(-days / BOOKING_THETA_DAYS))


def seat_pressure(seats_left: int, seats_total: int, departure_in_ms: int) -> float:
    """Share of the fare that one more sale gains: P(D < seats left), in [0, 1].

    Args:
        seats_left: seats that can still be sold; 0 gives 0, which is no bid.
        seats_total: the aircraft's seats.
        departure_in_ms: time until departure.

    Returns:
        Rises with ``seats_left``; falls with the demand to come.
    """
    if seats_left <= 0:
        return 0.0
    mean = demand_to_come(seats_total, departure_in_ms)
    # Normal approximation with continuity correction; +1/12 keeps sqrt away from 0.
    z = (seats_left - 0.5 - mean) / sqrt(mean + 1 / 12)
    return 0.5 * (1 + erf(z / sqrt(2)))
