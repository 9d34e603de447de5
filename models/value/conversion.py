"""How likely an impression makes this person buy: simple forms behind the final signatures.

The weights are declared priors, not fits: a search decays over days, a cart counts double, each
further impression is worth less. A fitted model replaces them behind the same signatures.
"""

from math import exp
from typing import Final

from models.units import DAY_MS, HOUR_MS

__all__ = ["exposure_factor", "p_conversion", "trip_horizon_factor"]

BASE_RATE: Final = 0.0004
INTENT_LIFT: Final = 12.0
CART_LIFT: Final = 2.0
CUSTOMER_LIFT: Final = 1.5
INTENT_DECAY_MS: Final = 2 * DAY_MS

EXPOSURE_RHO: Final = 0.8
"""What an impression adds, relative to the one before it (start value; fitted per segment)."""
LEAST_EXPOSURE: Final = 0.1
_EXPOSURES: Final = tuple(max(LEAST_EXPOSURE, EXPOSURE_RHO**used) for used in range(12))


def p_conversion(intent_age_ms: int, *, in_cart: bool, is_customer: bool) -> float:
    """Probability that one impression leads to an order.

    Args:
        intent_age_ms: time since the route or product was last looked at, >= 0.
        in_cart: whether it lies in the cart.
        is_customer: whether the person has ordered from this advertiser before.

    Returns:
        A probability in (0, 0.05]; falls with age.
    """
    lift = 1.0 + INTENT_LIFT * exp(-max(0, intent_age_ms) / INTENT_DECAY_MS)
    if in_cart:
        lift *= CART_LIFT
    if is_customer:
        lift *= CUSTOMER_LIFT
    return min(0.05, BASE_RATE * lift)


def exposure_factor(used_count: int) -> float:
    """What the next impression adds after ``used_count`` of the campaign: rho^n in [0.1, 1]."""
    return _EXPOSURES[used_count] if used_count < len(_EXPOSURES) else LEAST_EXPOSURE


def trip_horizon_factor(departure_in_ms: int) -> float:
    """How pressing a trip is: 1.5 on the day, falling to 0.5 for one in months; 0 when gone.

    Args:
        departure_in_ms: time until departure; within the last two hours nothing can be sold.
    """
    if departure_in_ms < 2 * HOUR_MS:
        return 0.0
    days = departure_in_ms / DAY_MS
    return 0.5 + exp(-days / 21)
