"""How long after its bid an impression is billed, by exchange: what a reservation has to outlast.

Each worker learns from the notices that come to it. Once it has seen enough of an exchange, the
99.9th percentile stands in for what a slot says of itself (``imp.exp``), which is an upper bound
that holds a place under a cap for an hour after a bid that lost.
"""

import math
from typing import Final

from models.units import SECOND_MS

__all__ = ["LAG_SECONDS", "BillingDelays"]

ENOUGH: Final = 2_000
"""Notices of an exchange, of which two lie above the 99.9th percentile."""

STEPS: Final = 8
"""Buckets for each factor of e: a percentile is at most 13 % too high, and never too low."""

BUCKETS: Final = 1 + math.ceil(math.log(30 * 86_400 * SECOND_MS) * STEPS)
QUANTILE: Final = 0.999

LAG_SECONDS: Final = 2
"""From Kafka's acknowledgement of a notice until streams has folded it, and to spare: there its age
is measured in milliseconds, and a batch that is repeated waits for 0.2 s."""


class BillingDelays:
    """What one worker has learned. An exchange's older half counts half as much each time."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._fresh: dict[str, int] = {}
        self._known_seconds: dict[str, int] = {}

    def add(self, exchange: str, delay_ms: int) -> None:
        """Takes in one accepted billing notice."""
        counts = self._counts.setdefault(exchange, [0] * BUCKETS)
        counts[min(math.ceil(math.log(max(1, delay_ms)) * STEPS), BUCKETS - 1)] += 1
        fresh = self._fresh[exchange] = self._fresh.get(exchange, 0) + 1
        if fresh >= ENOUGH:
            self._learn(exchange, counts)

    def _learn(self, exchange: str, counts: list[int]) -> None:
        wanted, seen, place = sum(counts) * QUANTILE, 0, -1
        while seen < wanted:
            place += 1
            seen += counts[place]
        most_ms = math.exp(place / STEPS)
        self._known_seconds[exchange] = math.ceil(most_ms / SECOND_MS) + LAG_SECONDS
        self._counts[exchange] = [count // 2 for count in counts]
        self._fresh[exchange] = 0

    def hold_seconds(self, exchange: str) -> int | None:
        """How long a reservation has to live for its billing to be folded; None: not known yet."""
        return self._known_seconds.get(exchange)
