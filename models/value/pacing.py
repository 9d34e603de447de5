"""How a campaign spreads its day's budget: a multiplier before shading, moved once a tick.

Velocity form on the log of the multiplier, with every step and the result clamped, so it cannot
wind up: ``L <- clip(L + K clip(ln(target / actual), -1, 1), L_min, 0)``. The target of a tick is
its share of what is left, so what was missed is made up for over the rest of the day.

Lowering the value before shading buys more of it for the same money than leaving requests out
(Balseiro & Gur 2019 for the dual view; Zhang et al., WSDM 2016, for the exponential form).
"""

from math import exp, log
from typing import Final

__all__ = ["control_of", "next_log_control", "tick_target_micros"]

GAIN: Final = 0.25
LOWEST: Final = log(0.01)
"""At a hundredth of its value a campaign wins next to nothing."""


def tick_target_micros(budget_micros: int, spent_micros: int, ticks_left: float) -> float:
    """What a tick should spend: an even share of what is left of the day's budget.

    Args:
        budget_micros: of the day.
        spent_micros: before the tick.
        ticks_left: the tick itself and those after it, at least 1.
    """
    return max(0, budget_micros - spent_micros) / max(1.0, ticks_left)


def next_log_control(log_control: float, target_micros: float, actual_micros: float) -> float:
    """The log of the multiplier after a tick.

    Args:
        log_control: before it, in [ln 0.01, 0].
        target_micros: what the tick should have spent, >= 0.
        actual_micros: what it has spent, >= 0.

    Returns:
        As ``log_control``; falls where too much was spent, rises where too little.
    """
    if target_micros <= 0 or actual_micros <= 0:
        error = float(target_micros > 0) - float(actual_micros > 0)
    else:
        error = min(1.0, max(-1.0, log(target_micros) - log(actual_micros)))
    return min(0.0, max(LOWEST, log_control + GAIN * error))


def control_of(log_control: float) -> float:
    """The multiplier, in [0.01, 1]."""
    return exp(log_control)
