"""What a reservation has to outlast."""

import random

from hypothesis import given
from hypothesis import strategies as st

from bidder.billing_delays import ENOUGH, LAG_SECONDS, BillingDelays


def learned(delays_ms: list[int]) -> int | None:
    delays = BillingDelays()
    for delay_ms in delays_ms:
        delays.add("north", delay_ms)
    return delays.hold_seconds("north")


def test_nothing_is_known_before_enough_notices_have_come() -> None:
    assert learned([5_000] * (ENOUGH - 1)) is None
    assert BillingDelays().hold_seconds("north") is None
    known = learned([5_000] * ENOUGH)
    assert known is not None
    assert 5 + LAG_SECONDS <= known <= 5 * 1.14 + 1 + LAG_SECONDS


@given(st.integers(0, 2**32), st.floats(1.0, 13.0))
def test_a_reservation_outlasts_999_of_1000_notices(seed: int, scale: float) -> None:
    chance = random.Random(seed)
    delays_ms = [round(chance.lognormvariate(scale, 1.5)) for _ in range(ENOUGH)]
    known = learned(delays_ms)
    assert known is not None
    above = sum(delay_ms > (known - LAG_SECONDS) * 1000 for delay_ms in delays_ms)
    assert above <= ENOUGH / 1000


def test_exchanges_are_told_apart_and_what_changes_is_learned_anew() -> None:
    delays = BillingDelays()
    for _ in range(ENOUGH):
        delays.add("slow", 60_000)
    assert delays.hold_seconds("quick") is None
    slow = delays.hold_seconds("slow")
    for _ in range(12 * ENOUGH):
        delays.add("slow", 1_000)
    fast = delays.hold_seconds("slow")
    assert slow is not None
    assert fast is not None
    assert fast < slow / 10


def test_a_delay_beyond_all_buckets_or_below_0_is_taken() -> None:
    assert learned([10**12] * ENOUGH) is not None
    assert learned([-5] * ENOUGH) == 1 + LAG_SECONDS
