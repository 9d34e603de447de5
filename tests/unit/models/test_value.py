"""Value models against published numbers, and what must hold everywhere.

Golden numbers: MBG/NBD with the CDNOW fit (r .525, alpha 6.183, a .891, b 1.614) and Gamma-Gamma
(p 6.25, q 3.74, gamma 15.44) for customers 0001, 0003 and 0814 of the CDNOW 1/10 sample at week
39. They were computed with lifetimes 0.11.3 (``ModifiedBetaGeoFitter``, ``GammaGammaFitter``) and
with 50-digit arithmetic, which agree to 2e-12. 24.65 and 35.17 are in Hardie's worksheet, too,
whose parameters have fewer digits. Shading: b = m (sqrt(1 + v/m) - 1) by hand.
"""

import itertools
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.units import DAY_MS, HOUR_MS
from models.value.conversion import exposure_factor, p_conversion, trip_horizon_factor
from models.value.customer import (
    CDNOW_PURCHASES,
    CDNOW_SPEND,
    WEEK_MS,
    expected_spend,
    p_alive,
    value_multiplier,
    yearly_value_micros,
)
from models.value.price import Factors, value_cpm_micros
from models.value.seats import EXPECTED_LOAD, demand_to_come, seat_pressure
from models.value.shading import shade

PUBLISHED_DIGITS = 6e-7


@pytest.mark.parametrize(
    ("repeats", "t_x", "age", "alive"),
    [(2, 30.43, 38.86, 0.706202), (0, 0.0, 38.86, 0.389735), (7, 5.57, 34.29, 0.000878810)],
)
def test_p_alive_is_the_published_one(repeats: int, t_x: float, age: float, alive: float) -> None:
    assert isclose(p_alive(repeats, t_x, age, CDNOW_PURCHASES), alive, abs_tol=PUBLISHED_DIGITS)


@pytest.mark.parametrize(
    ("repeats", "mean", "spend"),
    [(2, 22.35, 24.663714), (0, 0.0, 35.218978), (7, 27.36, 27.823188)],
)
def test_expected_spend_is_the_published_one(repeats: int, mean: float, spend: float) -> None:
    assert isclose(expected_spend(repeats, mean, CDNOW_SPEND), spend, abs_tol=PUBLISHED_DIGITS)


@pytest.mark.parametrize(
    ("value", "median", "bid"), [(10, 4, 3.483314774), (3, 1, 1.0), (0, 4, 0.0)]
)
def test_the_shaded_bid_is_the_closed_form(value: float, median: int, bid: float) -> None:
    assert isclose(shade(value, median), bid, abs_tol=5e-10)


# -- customers ------------------------------------------------------------------------------

counts = st.integers(0, 200)
weeks = st.floats(0, 500)


@given(counts, weeks, weeks)
def test_p_alive_is_a_probability_and_silence_lowers_it(
    repeats: int, t_x: float, silence: float
) -> None:
    now = p_alive(repeats, t_x, t_x + silence, CDNOW_PURCHASES)
    later = p_alive(repeats, t_x, t_x + silence + 1, CDNOW_PURCHASES)
    assert 0 <= later <= now <= 1


@given(counts, st.integers(1, 50))
def test_even_a_thousand_purchases_overflow_nothing(repeats: int, scale: int) -> None:
    assert p_alive(repeats * scale, 0, 1e6 * scale, CDNOW_PURCHASES) < 0.5


@pytest.mark.parametrize("t_x", [-1.0, 11.0])
def test_a_last_purchase_lies_between_the_first_and_now(t_x: float) -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 10"):
        p_alive(1, t_x, 10.0, CDNOW_PURCHASES)


@given(counts, st.floats(0.01, 1e5))
def test_expected_spend_lies_between_the_customers_mean_and_everybodys(
    repeats: int, mean: float
) -> None:
    everybodys = expected_spend(0, 0, CDNOW_SPEND)
    spend = expected_spend(repeats, mean, CDNOW_SPEND)
    assert min(mean, everybodys) * (1 - 1e-9) <= spend <= max(mean, everybodys) * (1 + 1e-9)


@given(st.integers(1, 50), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_customers_value_rises_with_spend_and_falls_with_silence(
    repeats: int, mean: int, more: int
) -> None:
    def value(mean_micros: int, silent_weeks: int) -> float:
        return yearly_value_micros(
            repeats, 0, 20 * WEEK_MS, repeat_mean_micros=mean_micros,
            now_ms=(20 + silent_weeks) * WEEK_MS,
        )  # fmt: skip

    assert 0 < value(mean, 4) <= value(mean + more, 4)
    assert value(mean, 8) <= value(mean, 4)


def test_clocks_that_disagree_do_no_harm() -> None:
    assert yearly_value_micros(0, 1000, 500, repeat_mean_micros=0, now_ms=0) > 0


@given(st.floats(0, 1e12), st.floats(1, 1e12))
def test_the_multiplier_is_bounded_and_one_at_the_mean(value: float, mean: float) -> None:
    assert 0.25 <= value_multiplier(value, mean) <= 4
    assert value_multiplier(mean, mean) == 1


# -- bids -----------------------------------------------------------------------------------

values = st.just(0.0) | st.floats(1, 1e12)  # micros: less than one is nothing
medians = st.integers(1, 10**9)


@given(values, medians)
def test_a_shaded_bid_is_never_above_its_value(value: float, median: int) -> None:
    bid = shade(value, median)
    assert 0 <= bid <= value
    # The slope of the surplus is zero at the best bid: b (b + 2m) = m v.
    assert isclose(bid * (bid + 2 * median), median * value, rel_tol=1e-4, abs_tol=1e-4)


@given(values, values, medians)
def test_a_higher_value_never_lowers_the_bid(value: float, more: float, median: int) -> None:
    assert shade(value, median) <= shade(value + more, median)
    assert shade(value, median) <= shade(value, median + 1) * (1 + 1e-9) + 1e-3


@given(age_ms=st.integers(0, 10**12), in_cart=st.booleans(), is_customer=st.booleans())
def test_a_conversion_is_likelier_with_a_fresh_intent_a_cart_and_a_customer(
    age_ms: int, *, in_cart: bool, is_customer: bool
) -> None:
    chance = p_conversion(age_ms, in_cart=in_cart, is_customer=is_customer)
    assert 0 < chance <= 0.05
    assert p_conversion(age_ms + HOUR_MS, in_cart=in_cart, is_customer=is_customer) <= chance
    assert chance <= p_conversion(age_ms, in_cart=True, is_customer=is_customer)
    assert chance <= p_conversion(age_ms, in_cart=in_cart, is_customer=True)
    assert p_conversion(-age_ms, in_cart=in_cart, is_customer=is_customer) >= chance


@given(st.integers(0, 1000))
def test_each_further_impression_is_worth_no_more(used: int) -> None:
    assert 0.1 <= exposure_factor(used + 1) <= exposure_factor(used) <= 1


def test_the_first_impression_is_worth_itself_and_the_second_a_fifth_less() -> None:
    assert (exposure_factor(0), exposure_factor(1)) == (1.0, 0.8)


@given(st.integers(2 * HOUR_MS, 400 * DAY_MS), st.integers(0, DAY_MS))
def test_a_nearer_trip_is_more_pressing(in_ms: int, more: int) -> None:
    assert 0.5 <= trip_horizon_factor(in_ms + more) <= trip_horizon_factor(in_ms) <= 1.5


@given(st.integers(max_value=2 * HOUR_MS - 1))
def test_a_trip_that_is_gone_is_worth_nothing(in_ms: int) -> None:
    assert trip_horizon_factor(in_ms) == 0


# -- seats ----------------------------------------------------------------------------------

totals = st.integers(1, 500)
times = st.integers(-DAY_MS, 100 * DAY_MS)


@given(totals, times, st.integers(0, DAY_MS))
def test_more_seats_are_more_gain_and_more_demand_is_less(
    total: int, in_ms: int, more: int
) -> None:
    pressures = [seat_pressure(left, total, in_ms) for left in range(total + 1)]
    assert pressures[0] == 0
    assert all(0 <= pressure <= 1 for pressure in pressures)
    assert all(one <= next_one for one, next_one in itertools.pairwise(pressures))
    assert demand_to_come(total, in_ms) <= demand_to_come(total, in_ms + more)
    assert seat_pressure(total, total, in_ms + more) <= seat_pressure(total, total, in_ms)


def test_an_empty_flight_gains_the_fare_and_a_full_one_almost_nothing() -> None:
    assert seat_pressure(160, 160, DAY_MS) > 0.999
    assert seat_pressure(2, 160, 60 * DAY_MS) < 0.001
    assert seat_pressure(1, 160, 0) > 0.9
    assert isclose(demand_to_come(100, 10**12), 100 * EXPECTED_LOAD)


@given(st.integers(0, 10**10), st.floats(0, 0.05), st.floats(0.1, 4))
def test_a_price_is_the_product_of_its_factors(cpa: int, chance: float, factor: float) -> None:
    plain = value_cpm_micros(Factors(cpa, chance))
    assert plain == 1000.0 * cpa * chance
    for name in ("value_multiplier", "exposure_factor", "trip_horizon_factor", "seat_pressure",
                 "control"):  # fmt: skip
        assert isclose(value_cpm_micros(Factors(cpa, chance, **{name: factor})), plain * factor)
