"""Spend, on a real Kafka-compatible broker: counted once through kills, and told to bidders."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import pytest

from bidder.catalog_feed import load_market
from kinbid.engines import EmbeddedKafka
from models.budgets import day_at
from models.catalog_records import Campaign, encode_record, record_key
from models.events import Billing, encode
from models.identifiers import NodeId
from models.spend_records import Pacing, SpendRecord, decode_spend
from models.topics import Topics
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId, SegmentId
from runtime import clock, kafka
from runtime.settings import Settings
from streams.metrics import Metrics
from streams.spend import SpendKeeper

pytestmark = pytest.mark.integration

PATIENCE_SECONDS: Final = 60.0
BUDGET: Final = 1_000_000
CAMPAIGN: Final = Campaign(
    id=CampaignId("seats"), advertiser=AdvertiserId("airline"), goal="flight",
    segments=(SegmentId("airline/all"),), daily_budget_micros=BUDGET,
)  # fmt: skip


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with EmbeddedKafka.start(tmp_path_factory.mktemp("kafka")) as broker:
        yield Settings(
            kafka_bootstrap=broker.bootstrap,
            kafka_idempotence=broker.supports_idempotence,
            time_zone="Asia/Tokyo",
        )


def billing(nonce: int, time_ms: int) -> Billing:
    return Billing(
        node=NodeId(f"k{nonce:022d}"), nonce=str(nonce), campaign=CAMPAIGN.id,
        creative=CreativeId("c"), exchange=ExchangeId("e"), clearing_cpm_micros=7000,
        notice_time_ms=time_ms, personal=True,
    )  # fmt: skip


async def tell(settings: Settings, nonces: range) -> None:
    """Each notice twice, as exchanges do."""
    now_ms = clock.now_ms()
    async with kafka.producing(settings) as producer:
        await producer.send_and_wait(
            Topics.CATALOG.name(settings.owner),
            key=record_key(CAMPAIGN).encode(), value=encode_record(CAMPAIGN),
        )  # fmt: skip
        for nonce in (*nonces, *nonces):
            one = billing(nonce, now_ms)
            await producer.send(
                Topics.OUTCOMES.name(settings.owner), key=one.node.encode(), value=encode(one)
            )
        await producer.flush()


@contextlib.asynccontextmanager
async def keeping(settings: Settings) -> AsyncIterator[SpendKeeper]:
    """A keeper that is killed in the end: nothing is told on the way out."""
    consumer = await kafka.consumer(settings, group=f"{settings.owner}.streams-spend")
    producer = await kafka.producer(settings)
    keeper = SpendKeeper(settings, consumer, producer, Metrics())
    consumer.subscribe([keeper.topic], listener=keeper)
    loop = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        keeper._books.clear()
        await keeper.stop()
        await consumer.stop()
        await producer.stop()


async def until(what: Callable[[int], bool], settings: Settings) -> int:
    """Waits for what is spent today, as bidders know it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        _, allowances = await load_market(settings)
        today = day_at(clock.now_ms(), settings.time_zone).name
        spent = allowances.spent_micros(CAMPAIGN.id, today)
        if what(spent) and allowances.is_current:
            assert 0 < allowances.of[CAMPAIGN.id].left_micros <= BUDGET - spent
            return spent
        assert time.monotonic() < deadline, f"{spent} micros are known"
        await asyncio.sleep(0.1)


async def records(settings: Settings) -> list[SpendRecord]:
    found: list[SpendRecord] = []
    topic = Topics.SPEND.name(settings.owner)
    await kafka.read_topic(settings, topic, lambda one: found.append(decode_spend(one.value)))
    return found


def test_spend_is_counted_once_through_repeats_and_kills_and_bidders_know_it(
    settings: Settings,
) -> None:
    async def run() -> None:
        await kafka.ensure_topics(settings)
        await tell(settings, range(100))
        async with keeping(settings):
            assert await until(lambda spent: spent >= 700, settings) == 700
        await tell(settings, range(50, 150))
        async with keeping(settings):
            assert await until(lambda spent: spent >= 1050, settings) == 1050
            async with keeping(settings):  # the partitions are shared now
                await tell(settings, range(150, 200))
                assert await until(lambda spent: spent >= 1400, settings) == 1400
        await asyncio.sleep(1)
        assert await until(lambda spent: spent >= 1400, settings) == 1400
        assert any(isinstance(one, Pacing) for one in await records(settings))

    asyncio.run(run())
