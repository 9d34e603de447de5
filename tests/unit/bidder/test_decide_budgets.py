"""Budgets at a bid: what is left, the pacing multiplier, and money of bids in flight."""

from hypothesis import given
from hypothesis import strategies as st

from bidder.bids import Decision, Fate, Loss
from bidder.metrics import Counters, open_memory
from bidder.path import Answer, BidPath
from models.budgets import Allowance, Allowances
from models.spend_records import SpendMark
from models.topics import Topics
from models.units import MICROS
from tests.unit.bidder.support import (
    BRAND,
    NORTH,
    NOW_MS,
    SEATS,
    SETTINGS,
    MemoryRedis,
    bid_request,
    catalog,
    decision_of,
    the_bid,
)

BUDGET = 10 * MICROS


def decided(left_micros: int, control: float = 1.0, fates: list[Fate] | None = None) -> Decision:
    allowances: dict[str, Allowance] = {SEATS: Allowance(left_micros, control)}
    return decision_of(bid_request(at=2), allowances=allowances, fates=fates)


@given(st.integers(-10, 200_000), st.floats(0.01, 1.0))
def test_no_bid_costs_more_than_what_is_left(left_micros: int, control: float) -> None:
    for bid in decided(left_micros, control).bids:
        assert bid.campaign.id != SEATS or bid.bid_cpm_micros <= left_micros * 1000


def test_a_campaign_without_money_is_passed_over_and_explain_says_how_much_is_left() -> None:
    fates: list[Fate] = []
    assert the_bid(decided(1, fates=fates)).campaign.id == BRAND
    (lost,) = [fate.lost for fate in fates if fate.campaign == SEATS]
    assert (lost.reason, lost.detail) == (Loss.BUDGET_SPENT, "0.0000 left")


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_the_pacing_multiplier_lowers_the_value_before_it_is_shaded(
    one: float, other: float
) -> None:
    values = []
    for control in sorted((one, other)):
        bid = the_bid(decided(BUDGET, control))
        values.append(bid.value_cpm_micros if bid.campaign.id == SEATS else 0)
    assert values[0] <= values[1]
    full = the_bid(decided(BUDGET)).value_cpm_micros
    half = the_bid(decided(BUDGET, 0.5)).value_cpm_micros
    assert abs(half - full / 2) <= 1


def path_with_a_budget(memory_fd: int, budget_micros: int = BUDGET) -> BidPath:
    what, allowances = catalog(), Allowances("UTC")
    brand = what.campaigns[BRAND]
    for partition in range(Topics.OUTCOMES.partitions):
        allowances.learn(SpendMark(partition=partition, offset=0, counted_ms=NOW_MS))
    allowances.move_to(NOW_MS)
    changed = type(brand)(
        **{name: getattr(brand, name) for name in brand.__struct_fields__}
        | {"daily_budget_micros": budget_micros, "pacing": "fast"}
    )
    what.apply(changed)
    allowances.set_budget(changed)
    return BidPath(SETTINGS, what, Counters(memory_fd), allowances)


def test_what_a_bid_may_cost_is_set_aside_until_it_is_given_up_and_a_test_costs_nothing() -> None:
    """A12: a test request moves no budget."""
    with open_memory() as memory:
        path = path_with_a_budget(memory.fileno())
        redis = MemoryRedis()
        for test, left in ((1, BUDGET), (0, BUDGET - 190)):
            answer = redis.run(path.answer(bid_request(test=test), NORTH, NOW_MS))
            assert answer.body is not None
            assert path.allowances.of[BRAND].left_micros == left
        path.allowances.move_to(NOW_MS + NORTH.reservation_seconds * 1000)
        assert path.allowances.of[BRAND].left_micros == BUDGET


def test_bids_that_come_together_see_what_the_ones_before_may_cost() -> None:
    """Turn by turn: all decide before the first answer leaves."""
    with open_memory() as memory:
        path = path_with_a_budget(memory.fileno(), budget_micros=300)
        walking = [path.answer(bid_request(), NORTH, NOW_MS) for _ in range(3)]
        answers: list[Answer] = []
        replies: list[list[object] | None] = [None] * 3
        while walking:
            for place, steps in reversed(list(enumerate(walking))):
                try:
                    commands = steps.send(replies[place])  # type: ignore[arg-type]  # None starts it
                    replies[place] = [MemoryRedis().reply(one) for one in commands]
                except StopIteration as stop:
                    answers.append(stop.value)
                    del walking[place], replies[place]
        assert len([one for one in answers if one.body is not None]) == 1
