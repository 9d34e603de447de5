"""Who owns a partition, and a Redis that has forgotten that anybody ever did."""

import asyncio
import logging

import pytest
from aiokafka import TopicPartition

from models.commands import Steps
from models.keys import Keys
from models.topics import Topics
from runtime.link import RedisDownError
from streams.metrics import Metrics
from streams.ownership import Ownership, RedisForgotError
from tests.fakes.memory_store import MemoryStore, run

KEYS = Keys("o")
EVENTS, MORE = (TopicPartition(Topics.EVENTS.name("o"), number) for number in (0, 1))


class Redis:
    """As much of a link as an ownership uses."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.is_away = False

    async def run(self, steps: Steps[object]) -> object:
        if self.is_away:
            raise RedisDownError("gone")
        return run(self.store, steps)

    def lose_everything(self) -> None:
        self.store.data.clear()


class Consumer:
    """What its group has committed, and the partitions that it is to read."""

    def __init__(self, *assigned: TopicPartition) -> None:
        self.assigned = set(assigned)
        self.offsets: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.offsets.get(partition)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.offsets |= offsets


class Site:
    """One Redis and one group, and workers that come and go."""

    def __init__(self) -> None:
        self.redis, self.consumer = Redis(), Consumer(EVENTS)

    def worker(self) -> Ownership:
        kinds = {Topics.EVENTS.name("o"): "events"}
        return Ownership(KEYS, self.redis, self.consumer, Metrics(), kinds)  # type: ignore[arg-type]  # fakes


@pytest.fixture
def site() -> Site:
    return Site()


def take_over(worker: Ownership, partition: TopicPartition = EVENTS, offset: int = 0) -> int:
    return asyncio.run(worker.epoch_of(partition, offset))


def check(worker: Ownership) -> None:
    asyncio.run(worker.check())


def test_epochs_rise_with_every_owner_and_stay_while_there_is_one(site: Site) -> None:
    first, second = site.worker(), site.worker()
    assert [take_over(first), take_over(first), take_over(second)] == [1, 1, 2]
    first.give_up()
    assert take_over(first) == 3


def test_a_new_owner_begins_and_so_does_a_partition_that_is_added(site: Site) -> None:
    worker = site.worker()
    check(worker)
    assert take_over(worker) == 1
    site.consumer.offsets[EVENTS] = 9
    site.consumer.assigned.add(MORE)
    check(worker)
    assert take_over(worker, MORE) == 1
    check(site.worker())


@pytest.mark.parametrize("attempt", ["looks", "takes over"])
def test_a_redis_that_knows_nothing_of_folded_records_is_refused_each_time(
    site: Site, attempt: str
) -> None:
    take_over(site.worker())
    site.consumer.offsets[EVENTS] = 1234
    site.redis.lose_everything()
    for _ in range(2):
        with pytest.raises(RedisForgotError, match=r"up to offset 1,234.*kinbid rebuild --yes"):
            check(site.worker()) if attempt == "looks" else take_over(site.worker())
    assert not site.redis.store.data


def test_a_worker_notices_that_redis_was_emptied_under_its_hands(site: Site) -> None:
    worker = site.worker()
    take_over(worker)
    check(worker)
    site.redis.lose_everything()
    with pytest.raises(RedisForgotError):
        check(worker)


def test_what_it_took_over_itself_was_known_even_if_nothing_is_committed_yet(site: Site) -> None:
    """Records that were folded before the first commit would be passed over."""
    worker = site.worker()
    take_over(worker)
    site.redis.lose_everything()
    worker.give_up()
    with pytest.raises(RedisForgotError):
        take_over(worker)


def test_after_a_rebuild_partitions_of_which_nothing_is_left_are_known_too(site: Site) -> None:
    site.consumer.offsets |= {EVENTS: 7, MORE: 0}
    asyncio.run(site.worker().begin([EVENTS, MORE]))
    check(site.worker())
    assert take_over(site.worker(), offset=7) == 2


def test_a_redis_that_is_away_has_not_forgotten(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    worker = site.worker()
    take_over(worker)
    site.redis.is_away = True
    with caplog.at_level(logging.DEBUG, "streams.ownership"):
        check(worker)
    assert [record.msg for record in caplog.records] == ["epochs_unknown"]
    site.redis.is_away = False
    check(worker)
