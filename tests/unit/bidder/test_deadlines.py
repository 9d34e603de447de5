"""How much time a request has."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.deadlines import LONGEST_TMAX_MS, SWEEP_MS, Deadlines, NetworkTime, Terms, limit_ms
from models.catalog_records import Exchange
from models.units import ExchangeId
from tests.unit.bidder.support import bid_request

NORTH = Exchange(id=ExchangeId("north"), default_tmax_ms=120, network_margin_ms=20)


def terms_of(exchange: Exchange) -> Terms:
    return Deadlines(lambda _: 0).terms(exchange)


@pytest.mark.parametrize(
    ("tmax", "budget_ms"),
    [(100, 80), (None, 100), (0, 100), (-5, 100), ("junk", 100), ("150", 130), (15, -5),
     (10**9, 4_980), (10**30, 4_980)],
)  # fmt: skip
def test_the_budget_is_the_limit_less_the_networks_share(tmax: object, budget_ms: int) -> None:
    """T1, T2, T5: as a request names it, absent, and as it cannot be meant."""
    assert terms_of(NORTH).budget_ms(bid_request(tmax=tmax).tmax) == budget_ms


def test_a_network_slower_than_configured_takes_more_of_the_limit() -> None:
    """T1: what is measured counts where it is more than the margin."""
    deadlines = Deadlines(lambda _: 0)
    terms = deadlines.terms(NORTH)
    terms.observe(3_000)
    assert terms.budget_ms(100) == 80
    terms.observe(700_000)
    assert terms.budget_ms(200) < 200 - 700_000 / 8_000
    south = Exchange(id=ExchangeId("south"), network_margin_ms=20)
    assert deadlines.terms(south).budget_ms(100) == 80, "another exchange's network is its own"


def test_a_changed_exchange_has_its_new_terms_and_its_old_network() -> None:
    deadlines = Deadlines(lambda _: 0)
    deadlines.terms(NORTH).observe(40_000)
    assert deadlines.terms(NORTH) is deadlines.terms(NORTH)
    for margin_ms, budget_ms in ((10, 50), (70, 30)):
        changed = msgspec.structs.replace(NORTH, network_margin_ms=margin_ms)
        assert deadlines.terms(changed).budget_ms(100) == budget_ms


def test_an_exchange_that_is_ninety_ms_away_leaves_nothing_of_a_hundred() -> None:
    terms = terms_of(NORTH)
    terms.observe(90_000)
    assert terms.budget_ms(100) == 0
    assert terms.budget_ms(300) == 200


@given(st.lists(st.integers(0, 500_000), min_size=1))
def test_the_round_trip_is_never_beyond_what_was_seen(seen_us: list[int]) -> None:
    network = NetworkTime()
    for each in seen_us:
        network.observe(each)
    assert 0 <= network.rtt_us <= max(seen_us)


def test_the_round_trip_is_nearer_to_the_slow_connections_than_to_the_quick_ones() -> None:
    network = NetworkTime()
    for _ in range(400):
        for each in (*[10_000] * 9, 50_000):
            network.observe(each)
    assert 15_000 < network.rtt_us < 50_000


@given(st.one_of(st.none(), st.integers()), st.integers(0, 400_000), st.integers(0, 100))
def test_an_answer_that_leaves_in_its_budget_and_a_sweep_arrives_within_the_limit(
    tmax: int | None, rtt_us: int, margin_ms: int
) -> None:
    """T1: the limit includes the network both ways."""
    exchange = Exchange(id=ExchangeId("x"), network_margin_ms=margin_ms)
    terms = terms_of(exchange)
    terms.observe(rtt_us)
    arrives_ms = terms.budget_ms(tmax) + SWEEP_MS + rtt_us / 1000
    assert arrives_ms <= limit_ms(tmax, exchange) or margin_ms < SWEEP_MS
    assert limit_ms(tmax, exchange) <= LONGEST_TMAX_MS
    assert terms.patience_ms >= 0
