"""What a customer is worth: MBG/NBD purchases and Gamma-Gamma spend, in closed form.

Time unit: weeks. Parameters are fits to the CDNOW log (1/10 sample, 39 weeks); fitting to the
owner's own orders comes with the value models in depth.

Sources: Batislam, Denizel & Filiztekin (2007) for MBG/NBD; Fader, Hardie & Lee (2005, JMR) and
Fader & Hardie, note 025 (2013) for Gamma-Gamma.
"""

from typing import Final

import msgspec

from models.units import DAY_MS

__all__ = ["CDNOW_PURCHASES", "CDNOW_SPEND", "PurchaseParams", "SpendParams", "expected_spend",
           "p_alive", "value_multiplier", "yearly_value_micros"]  # fmt: skip

WEEK_MS: Final = 7 * DAY_MS
WEEKS_A_YEAR: Final = 52.0


class PurchaseParams(msgspec.Struct, frozen=True, gc=False):
    """MBG/NBD: rates ~ Gamma(r, alpha in weeks), drop-out after a purchase ~ Beta(a, b)."""

    r: float
    alpha_weeks: float
    a: float
    b: float


class SpendParams(msgspec.Struct, frozen=True, gc=False):
    """Gamma-Gamma: spends ~ Gamma(p, v), v ~ Gamma(q, gamma); q > 1."""

    p: float
    q: float
    gamma: float


CDNOW_PURCHASES: Final = PurchaseParams(r=0.525, alpha_weeks=6.183, a=0.891, b=1.614)
CDNOW_SPEND: Final = SpendParams(p=6.25, q=3.74, gamma=15.44)


def p_alive(repeat_count: int, t_x_weeks: float, age_weeks: float, params: PurchaseParams) -> float:
    """Probability that a customer is still one, under MBG/NBD.

    Args:
        repeat_count: days with a purchase after the first day, >= 0.
        t_x_weeks: age at the last purchase, 0 <= t_x_weeks <= age_weeks. Not "weeks since".
        age_weeks: weeks from the first purchase to now.
        params: the population's fit.

    Returns:
        A probability in (0, 1).

    Raises:
        ValueError: ``t_x_weeks`` outside [0, ``age_weeks``].

    Source: Batislam et al. (2007); Wagner & Hoppe (2008).
    """
    if not 0 <= t_x_weeks <= age_weeks:
        raise ValueError(f"t_x_weeks {t_x_weeks} is outside [0, {age_weeks}]")
    growth = (params.alpha_weeks + age_weeks) / (params.alpha_weeks + t_x_weeks)
    try:
        odds_dead = params.a / (params.b + repeat_count) * pow(growth, params.r + repeat_count)
    except OverflowError:
        return 0.0
    return 1.0 / (1.0 + float(odds_dead))


def expected_spend(repeat_count: int, mean_spend: float, params: SpendParams) -> float:
    """Expected spend of one order, under Gamma-Gamma: the customer's mean, shrunk to all's.

    Args:
        repeat_count: orders that ``mean_spend`` is the mean of; 0 gives the population's mean.
        mean_spend: any unit of money; the result is in the unit of ``params.gamma``.
        params: the population's fit.

    Source: Fader & Hardie, note 025 (2013), equation 5.
    """
    shape = params.p * repeat_count + params.q - 1
    return params.p * (params.gamma + repeat_count * mean_spend) / shape


def yearly_value_micros(
    repeat_count: int,
    first_order_ms: int,
    last_order_ms: int,
    *,
    repeat_mean_micros: int,
    now_ms: int,
) -> float:
    """Expected revenue of the next year, in micros: P(alive) x rate now x expected spend.

    The rate is held at its present value, which overstates a year's orders for those who may
    drop out soon; the full expectation replaces it with the fitted models.
    """
    params, age_ms, t_x_ms = (
        CDNOW_PURCHASES,
        now_ms - first_order_ms,
        last_order_ms - first_order_ms,
    )
    age_weeks = age_ms / WEEK_MS if age_ms > 0 else 0.0
    t_x_weeks = min(age_weeks, t_x_ms / WEEK_MS) if t_x_ms > 0 else 0.0
    alive = p_alive(repeat_count, t_x_weeks, age_weeks, params)
    rate_a_week = (params.r + repeat_count) / (params.alpha_weeks + age_weeks)
    spend = expected_spend(repeat_count, repeat_mean_micros / 1e6, CDNOW_SPEND)
    return alive * rate_a_week * WEEKS_A_YEAR * spend * 1e6


def value_multiplier(value_micros: float, mean_value_micros: float) -> float:
    """How much a customer's value moves the bid: value over the segment's mean, in [0.25, 4].

    Dividing by the mean keeps the segment's average cost per conversion at its target while bids
    follow the customer.
    """
    return min(4.0, max(0.25, value_micros / mean_value_micros))
