"""The price of one impression, as the product of its factors."""

import msgspec

__all__ = ["Factors", "value_cpm_micros"]


class Factors(msgspec.Struct, frozen=True, gc=False):
    """Every factor of a price, as ``kinbid explain`` prints them.

    Attributes:
        target_cpa_micros: what the marketer pays for a conversion of this segment.
        p_conversion: probability that this impression makes one.
        value_multiplier: the customer against the segment's mean, 0.25 to 4.
        exposure_factor: what impressions shown before leave, 0.1 to 1.
        trip_horizon_factor: how pressing the trip is; 1 for a product.
        seat_pressure: share of the fare that a sale gains, 0 to 1; 1 for a product.
        presence_ratio: probability that the person is there; 1 unless the device is shared.
        control: the pacing multiplier; 1 until a control loop moves it.
        line_factor: what full phone lines leave of a call-driven campaign's bid, 0.2 to 1.
    """

    target_cpa_micros: int
    p_conversion: float
    value_multiplier: float = 1.0
    exposure_factor: float = 1.0
    trip_horizon_factor: float = 1.0
    seat_pressure: float = 1.0
    presence_ratio: float = 1.0
    control: float = 1.0
    line_factor: float = 1.0


def value_cpm_micros(factors: Factors) -> float:
    """What a thousand such impressions are worth, in micros: 1000 x CPA x the factors."""
    return (
        1000.0
        * factors.target_cpa_micros
        * factors.p_conversion
        * factors.value_multiplier
        * factors.trip_horizon_factor
        * factors.seat_pressure
        * factors.presence_ratio
        * factors.exposure_factor
        * factors.control
        * factors.line_factor
    )
