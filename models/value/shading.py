"""Bid shading for first-price auctions, after every multiplier.

With a win curve F(b) = b / (m + b) (log-logistic, beta 1, median price m) the surplus
(v - b) F(b) is greatest at b = m (sqrt(1 + v/m) - 1).
"""

from math import sqrt

__all__ = ["shade"]


def shade(value_cpm_micros: float, median_price_cpm_micros: int) -> float:
    """The bid that maximises the expected surplus in a first-price auction.

    Args:
        value_cpm_micros: what a thousand such impressions are worth, >= 0.
        median_price_cpm_micros: the price that wins half of the auctions, > 0.

    Returns:
        A bid in [0, value], in CPM micros; rises with both.
    """
    m = median_price_cpm_micros
    return m * (sqrt(1 + value_cpm_micros / m) - 1)
