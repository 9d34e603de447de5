"""What stops the loop is measured: garbage collections and lateness."""

import asyncio
import gc
import time
from collections.abc import Iterator

import pytest

from bidder.collector import (
    FULL,
    LEISURE_MS,
    LONGEST_MS,
    PAUSES,
    SETTLE_AT,
    YOUNG,
    Collector,
)
from bidder.lag import LAG, LagMeter
from bidder.metrics import Counters
from bidder.path import BidPath
from tests.unit.bidder.support import (
    COOKIE,
    NORTH,
    NOW_MS,
    SETTINGS,
    MemoryRedis,
    bid_request,
    catalog,
    person,
)

USER = {"buyeruid": COOKIE}


@pytest.fixture
def collector(counters: Counters) -> Iterator[Collector]:
    made = Collector(counters)
    made.watch()
    yield made
    made.unwatch()
    gc.unfreeze()


def test_every_collection_is_timed_and_full_ones_are_counted(
    collector: Collector, counters: Counters
) -> None:
    gc.disable()
    try:
        gc.collect(0)
        gc.collect(1)
        assert (counters.count_in(PAUSES), counters.slots[FULL]) == (2, 0)
        gc.collect()
        assert (counters.count_in(PAUSES), counters.slots[FULL]) == (3, 1)
    finally:
        gc.enable()
    collector.unwatch()
    gc.collect()
    assert counters.count_in(PAUSES) == 3
    collector.watch()


def test_what_lives_long_is_not_walked_again(collector: Collector) -> None:
    kept = [[number] for number in range(10_000)]
    before = gc.get_freeze_count()
    collector.settle()
    assert gc.get_freeze_count() > before
    assert all(one is not kept for one in gc.get_objects()), "no collection meets it"


def test_new_records_are_frozen_once_they_are_many(collector: Collector) -> None:
    collector.settle()
    frozen = gc.get_freeze_count()
    kept = [[number] for number in range(SETTLE_AT)]
    collector.changed(SETTLE_AT - 1)
    assert gc.get_freeze_count() <= frozen
    collector.changed(1)
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_only_the_young_are_walked_while_requests_come(
    collector: Collector, counters: Counters
) -> None:
    kept = [[[number] for number in range(YOUNG)] for _ in range(20)]
    assert len(kept) <= counters.count_in(PAUSES) <= len(kept) + 2
    collector.tidy(LONGEST_MS, is_idle=False)
    assert counters.slots[FULL] == 1, "the first look at the clock"
    collector.tidy(LONGEST_MS + LEISURE_MS, is_idle=False)
    assert counters.slots[FULL] == 1
    collector.tidy(LONGEST_MS + LEISURE_MS, is_idle=True)
    assert counters.slots[FULL] == 2
    collector.tidy(LONGEST_MS + 2 * LEISURE_MS - 1, is_idle=True)
    assert counters.slots[FULL] == 2
    collector.tidy(2 * LONGEST_MS + LEISURE_MS, is_idle=False)
    assert counters.slots[FULL] == 3


def test_a_bid_leaves_no_cycle_behind(counters: Counters) -> None:
    path, redis = BidPath(SETTINGS, catalog(), counters), MemoryRedis()
    redis.put(person())

    def bid() -> None:
        answer = redis.run(path.answer(bid_request(user=USER), NORTH, NOW_MS))
        assert answer.reserved, "a bid for a person"

    bid()  # whatever is made once
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            bid()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_no_collection_runs_into_a_change(collector: Collector) -> None:
    def failing_change() -> None:
        with collector.changing():
            assert not gc.isenabled()
            raise LookupError

    with pytest.raises(LookupError):
        failing_change()
    assert gc.isenabled()


def test_a_loop_that_was_held_up_is_told_so(counters: Counters) -> None:
    async def scenario() -> None:
        meter = LagMeter(counters)
        meter.start()
        await asyncio.sleep(0.01)
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is measured
        while not counters.count_in(LAG):  # noqa: ASYNC110 - the meter tells nobody
            await asyncio.sleep(0.01)
        meter.stop()
        seen = counters.count_in(LAG)
        await asyncio.sleep(0.1)
        assert counters.count_in(LAG) == seen

    asyncio.run(scenario())
    place = counters.slots.tolist()
    assert sum(place) >= 200_000_000, "the sum holds a fifth of a second at least"
