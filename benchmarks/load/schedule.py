"""When requests are due: fixed before the first of them leaves, whatever the server then does."""

from array import array
from typing import Final, Literal

import numpy as np

__all__ = ["ARRIVALS", "Arrivals", "arrivals"]

Arrivals = Literal["poisson", "constant"]
ARRIVALS: Final[tuple[Arrivals, ...]] = ("poisson", "constant")
NS: Final = 1_000_000_000


def arrivals(kind: Arrivals, per_second: float, seconds: float, seed: int) -> "array[int]":
    """The instants at which requests are due, in ns after the start, in order.

    Their number is ``per_second * seconds`` in either kind, so a run offers what it says that it
    offers; of a Poisson process with so many arrivals in the time, they are independent and
    uniform over it.

    Args:
        kind: ``poisson`` for independent arrivals, ``constant`` for even ones.
        per_second: the rate, above 0.
        seconds: how long the schedule is.
        seed: of the random instants; the same seed gives the same schedule.
    """
    count = max(1, round(per_second * seconds))
    if kind == "constant":
        due = (np.arange(count) * (NS / per_second)).astype(np.int64)
    else:
        due = np.sort(np.random.default_rng(seed).uniform(0, seconds * NS, count)).astype(np.int64)
    return array("q", due.tobytes())
