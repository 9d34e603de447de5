"""How much less a call is worth bidding for while the phone lines are full.

Of the calls of the last quarter of an hour, the share that found no line; each call weighs less the
longer ago it was, so the bid recovers as calls get through, and by itself when nobody calls.
"""

from collections.abc import Iterable
from typing import Final

__all__ = ["WINDOW_MINUTES", "line_factor"]

WINDOW_MINUTES: Final = 15
MINUTE_MS: Final = 60_000

PRIOR_CALLS: Final = 2.0
"""Calls that got through, as if there had been so many more: one lost call is no pattern."""

LEAST: Final = 0.2
"""What is left of a bid when every call is lost: somebody may still write instead."""


def line_factor(minutes: Iterable[tuple[int, int, int]], now_ms: int) -> float:
    """What full phone lines leave of a bid for calls.

    Args:
        minutes: (minute since 1970, inbound calls, of them lost to full lines).
        now_ms: the present, Unix ms.

    Returns:
        A factor in [0.2, 1]; 1 when no call was lost in the window. It falls with every lost
        call, rises with every other one and with time.
    """
    calls, lost, now = PRIOR_CALLS, 0.0, now_ms / MINUTE_MS
    for minute, call_count, lost_count in minutes:
        age = now - minute
        if age < WINDOW_MINUTES:
            weight = 1.0 - age / WINDOW_MINUTES if age > 0 else 1.0
            calls += weight * call_count
            lost += weight * lost_count
    return 1.0 - (1.0 - LEAST) * lost / calls
