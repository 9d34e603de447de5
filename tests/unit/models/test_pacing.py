"""The pacing loop: steps, delays, clamps, dead plants, and whole days of it."""

from math import isfinite, log, sqrt
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.budgets import Day, day_at
from models.catalog_records import Campaign
from models.pacer import TICK_MS, next_pacing, paced
from models.spend_records import Pacing
from models.units import DAY_MS, HOUR_MS, MICROS, AdvertiserId, CampaignId, SegmentId
from models.value.pacing import LOWEST, control_of, next_log_control, tick_target_micros
from models.value.shading import shade

BUDGET = 100 * MICROS
TODAY = Day("2026-11-30", 0, DAY_MS)

amounts = st.floats(0, 1e15)


def campaign(**changes: object) -> Campaign:
    made = Campaign(
        id=CampaignId("seats"), advertiser=AdvertiserId("air"), goal="flight",
        segments=(SegmentId("air/all"),), daily_budget_micros=BUDGET,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


@given(st.floats(LOWEST, 0), amounts, amounts)
def test_the_multiplier_stays_within_its_bounds_whatever_was_spent(
    before: float, target: float, actual: float
) -> None:
    after = next_log_control(before, target, actual)
    assert isfinite(after)
    assert LOWEST <= after <= 0
    assert 0.01 - 1e-12 <= control_of(after) <= 1
    assert abs(after - before) <= 0.25 + 1e-12


@given(st.floats(-3, -1), st.floats(1, 1e9), st.floats(1, 1e9))
def test_what_overspends_falls_and_what_underspends_rises(
    before: float, target: float, actual: float
) -> None:
    after = next_log_control(before, target, actual)
    assert (after < before) is (actual > target * (1 + 1e-12)) or after == before


@given(st.floats(LOWEST, 0), st.floats(1, 1e9), st.floats(1, 1e9), st.floats(0.001, 1000))
def test_another_currency_leaves_the_multiplier_as_it_is(
    before: float, target: float, actual: float, rate: float
) -> None:
    same = next_log_control(before, target, actual)
    assert next_log_control(before, target * rate, actual * rate) == pytest.approx(same, abs=1e-9)


def test_a_plant_that_was_dead_at_the_clamp_moves_off_it_with_its_first_tick() -> None:
    state = -1.0
    for _ in range(1000):
        state = next_log_control(state, 100.0, 0.0)
    assert state == 0.0
    assert next_log_control(state, 100.0, 300.0) < 0.0
    for _ in range(1000):
        state = next_log_control(state, 1.0, 1e9)
    assert state == LOWEST
    assert next_log_control(state, 100.0, 50.0) > LOWEST


def test_a_step_in_the_plant_is_followed_without_overshooting() -> None:
    """A plant that spends in proportion to the multiplier, a third of it wanted."""
    state, seen = 0.0, []
    for _ in range(30):
        state = next_log_control(state, 100.0, 300.0 * control_of(state))
        seen.append(state)
    assert seen == sorted(seen, reverse=True)
    assert state == pytest.approx(log(1 / 3), abs=1e-3)


@pytest.mark.parametrize("shock", [1.0, 1.8, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_a_day_spends_its_budget_evenly_and_never_more_than_a_tick_beyond(
    shock: float, seed: int
) -> None:
    """First-price auctions all day, told a tick late; traffic changes at noon."""
    random, before, spent, told = Random(seed), None, 0, 0
    one = campaign()
    by_hour: list[int] = [0] * 24
    largest = 0
    for tick in range(DAY_MS // TICK_MS):
        now_ms = tick * TICK_MS
        before = next_pacing(one, before, spent_micros=told, day=TODAY, now_ms=now_ms) or before
        assert before is not None
        control, told, cost = control_of(before.log_control), spent, 0
        for _ in range(int(40 * (shock if now_ms >= DAY_MS // 2 else 1.0))):
            value = random.expovariate(1 / 30_000) * control
            bid = shade(value, 10_000)
            if random.random() < bid / (10_000 + bid) and told + bid <= BUDGET:
                cost += int(bid)
        spent += cost
        largest = max(largest, cost)
        by_hour[now_ms // HOUR_MS] += cost
    assert 0.97 * BUDGET <= spent <= BUDGET + largest
    mean = sum(by_hour[1:]) / 23
    spread = sqrt(sum((one - mean) ** 2 for one in by_hour[1:]) / 23) / mean
    assert spread < 0.15


def test_a_loop_goes_on_from_what_was_published_of_it() -> None:
    first = next_pacing(campaign(), None, spent_micros=0, day=TODAY, now_ms=0)
    assert first is not None
    spends = [90_000 * tick + (tick % 3) * 20_000 for tick in range(1, 50)]

    def run(state: Pacing, *, forgets: bool) -> float:
        for tick, spent in enumerate(spends, start=1):
            if forgets:
                state = msgspec.json.decode(msgspec.json.encode(state), type=Pacing)
            moved = next_pacing(
                campaign(), state, spent_micros=spent, day=TODAY, now_ms=tick * TICK_MS
            )
            assert moved is not None
            state = moved
        return state.log_control

    assert run(first, forgets=True) == run(first, forgets=False) != 0.0


def test_a_new_day_begins_with_what_the_last_one_learnt() -> None:
    before = Pacing(
        campaign="seats", day="2026-11-29", log_control=-1.5, spent_micros=99, tick_ms=0
    )
    after = next_pacing(campaign(), before, spent_micros=1, day=TODAY, now_ms=30)
    assert after == Pacing(
        campaign="seats", day="2026-11-30", log_control=-1.5, spent_micros=1, tick_ms=30
    )
    assert next_pacing(campaign(), after, spent_micros=1, day=TODAY, now_ms=TICK_MS - 1) is None


def test_what_is_left_is_shared_evenly_among_the_ticks_that_are_left() -> None:
    assert tick_target_micros(100, 40, 6) == 10
    assert tick_target_micros(100, 140, 6) == 0
    assert tick_target_micros(100, 40, 0.2) == 60


def test_only_campaigns_with_a_budget_to_spread_are_paced() -> None:
    every = [
        campaign(),
        campaign(daily_budget_micros=None),
        campaign(pacing="fast"),
        campaign(is_active=False),
    ]
    assert paced(every) == every[:1]


@pytest.mark.parametrize(
    ("zone", "time_ms", "name", "hours"),
    [
        ("UTC", 1_795_186_800_000, "2026-11-20", 24),
        ("Europe/Moscow", 1_795_209_000_000, "2026-11-21", 24),
        ("Asia/Kathmandu", 1_795_201_000_000, "2026-11-21", 24),
        ("Europe/Berlin", 1_774_740_000_000, "2026-03-29", 23),
        ("America/New_York", 1_793_520_000_000, "2026-11-01", 25),
    ],
)
def test_a_day_is_the_owners(zone: str, time_ms: int, name: str, hours: int) -> None:
    day = day_at(time_ms, zone)
    assert (day.name, (day.ends_ms - day.begins_ms) / HOUR_MS) == (name, hours)
    assert day.begins_ms <= time_ms < day.ends_ms
    assert day_at(day.begins_ms, zone) == day_at(day.ends_ms - 1, zone) == day
