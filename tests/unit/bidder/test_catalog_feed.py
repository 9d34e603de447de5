"""The catalogue's feed: what a record does, and how a broker's absence shows."""

import asyncio
import itertools
from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from bidder.catalog_feed import TOGETHER, CatalogFeed
from models.budgets import Allowances
from models.catalog import Catalog
from models.catalog_records import encode_record, record_key
from tests.unit.bidder.support import BRAND, RECORDS, SETTINGS, flight


class Record(NamedTuple):
    """What the bidder reads of a Kafka record."""

    key: bytes | None
    value: bytes | None
    topic: str = "demo.catalog.v1"


class FakeConsumer:
    """Gives what it was told, once; then fails, or waits for ever."""

    def __init__(self, *batches: list[Record] | Exception) -> None:
        self._batches = list(batches)
        self._given, self._asked = len(batches), 0
        self.heard_ms: dict[str, int | None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether all was given, and asked for once more."""
        return self._asked > self._given

    async def getmany(self, *parts: TopicPartition, timeout_ms: int) -> dict[TopicPartition, Any]:
        self._asked += 1
        if not self._batches:
            await asyncio.sleep(3_600)
        batch = self._batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return {parts[0]: batch}

    def last_poll_timestamp(self, part: TopicPartition) -> int | None:
        return self.heard_ms.get(part.topic)


class Case:
    """A feed of a catalogue, and how often it failed."""

    def __init__(self, *batches: list[Record] | Exception) -> None:
        self.catalog, self.allowances = Catalog(), Allowances("UTC")
        self.failures = 0
        self.feed = CatalogFeed(SETTINGS, self.catalog, self.allowances, self._count)
        self.consumer = FakeConsumer(*batches)
        self.feed._consumer = self.consumer

    def _count(self) -> None:
        self.failures += 1

    def follow(self) -> None:
        """Follows until nothing more comes."""

        async def run() -> None:
            following = asyncio.create_task(self.feed.follow())
            while self.consumer._batches:  # noqa: ASYNC110 - the feed tells nobody
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            following.cancel()

        asyncio.run(run())


def records() -> list[Record]:
    return [Record(record_key(one).encode(), encode_record(one)) for one in RECORDS]


def test_records_are_applied_and_tombstones_withdraw() -> None:
    case = Case(records(), [Record(f"campaign/{BRAND}".encode(), None), Record(None, None)])
    case.follow()
    assert len(case.catalog) == len(RECORDS) - 1
    assert BRAND not in case.catalog.campaigns
    assert case.failures == 0


@pytest.mark.parametrize("value", [b"", b"{", b'{"kind":"flight"}', b"\xff", b"[]"])
def test_a_record_that_cannot_be_used_is_counted_and_the_others_are_applied(
    value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case([Record(b"flight/x", value), *records()])
    case.follow()
    assert len(case.catalog) == len(RECORDS)
    assert case.failures == 1
    assert [record.getMessage() for record in caplog.records] == ["catalog_record_refused"]


def test_an_offer_older_than_the_one_that_stands_there_is_passed_over() -> None:
    older = flight(seats_left=0, updated_ms=1)
    case = Case(records(), [Record(record_key(older).encode(), encode_record(older))])
    case.follow()
    assert case.catalog.flights[older.advertiser, older.id].seats_left == flight().seats_left


def test_while_kafka_fails_the_catalogue_stays_and_the_feed_goes_on() -> None:
    case = Case(records()[:5], KafkaConnectionError("gone"), records()[5:])
    case.follow()
    assert len(case.catalog) == len(RECORDS)
    assert case.failures == 1


def test_the_catalogue_is_as_fresh_as_the_topic_that_was_heard_of_longest_ago() -> None:
    case = Case()
    assert case.feed.fresh_at_ms == 0
    case.consumer.heard_ms = {"demo.catalog.v1": 30}
    assert case.feed.fresh_at_ms == 0
    case.consumer.heard_ms |= {"demo.offers.v1": 20, "demo.spend.v1": 40}
    assert case.feed.fresh_at_ms == 20
    assert CatalogFeed(SETTINGS, Catalog(), Allowances("UTC"), lambda: None).fresh_at_ms == 0


def test_bid_requests_have_their_turn_while_thousands_of_records_are_applied() -> None:
    """A file of ten thousand campaigns must not hold up the loop until it is all applied."""
    case = Case([Record(record_key(one).encode(), encode_record(one)) for one in RECORDS] * 20)
    sizes = [0]

    async def run() -> None:
        following = asyncio.create_task(case.feed.follow())
        while not case.consumer.is_empty or len(sizes) < 3:
            await asyncio.sleep(0)
            sizes.append(len(case.catalog))
        following.cancel()

    asyncio.run(run())
    steps = [after - before for before, after in itertools.pairwise(sizes)]
    assert len(case.catalog) == len(RECORDS)
    assert max(steps) <= TOGETHER
