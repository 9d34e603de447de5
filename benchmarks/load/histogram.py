"""Latencies as HDR histograms: three digits, up to a minute, mergeable."""

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram

if TYPE_CHECKING:
    from array import array

__all__ = ["PERCENTILES", "Percentiles", "encoded", "merged", "percentiles"]

LEAST_NS: Final = 100
MOST_NS: Final = 60_000_000_000
DIGITS: Final = 3
GRAIN_NS: Final = LEAST_NS
"""Values are recorded by the grain, so that equal ones are recorded together."""
NS_PER_MICRO: Final = 1000
PERCENTILES: Final = ("p50_us", "p90_us", "p99_us", "p99_9_us", "max_us")
"""The columns of tables."""


class Percentiles(msgspec.Struct, frozen=True):
    """What a histogram says, in microseconds; ``count`` is of values."""

    count: int
    mean_us: float
    p50_us: float
    p90_us: float
    p99_us: float
    p99_9_us: float
    max_us: float


def encoded(values_ns: "array[int]") -> bytes:
    """The values from 0 up as a compressed histogram; negative ones stand for no value."""
    histogram = _empty()
    values = np.frombuffer(values_ns, dtype=np.int64)
    grains, counts = np.unique(values[values >= 0] // GRAIN_NS, return_counts=True)
    for grain, count in zip(grains.tolist(), counts.tolist(), strict=True):
        histogram.record_value(min(max(LEAST_NS, grain * GRAIN_NS), MOST_NS), count)
    made: bytes = histogram.encode()
    return made


def merged(parts: list[bytes]) -> Any:  # noqa: ANN401 - untyped library
    """One histogram of all the values in several."""
    whole = _empty()
    for part in parts:
        whole.decode_and_add(part)
    return whole


def percentiles(parts: list[bytes]) -> Percentiles:
    """What all the values together say; zeros where there are none."""
    whole = merged(parts)
    count = int(whole.get_total_count())
    if not count:
        return Percentiles(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def at(percent: float) -> float:
        return float(whole.get_value_at_percentile(percent)) / NS_PER_MICRO

    mean_us, max_us = (
        value / NS_PER_MICRO for value in (whole.get_mean_value(), whole.get_max_value())
    )
    return Percentiles(count, mean_us, at(50), at(90), at(99), at(99.9), max_us)


def _empty() -> Any:  # noqa: ANN401 - untyped library
    return HdrHistogram(LEAST_NS, MOST_NS, DIGITS)
