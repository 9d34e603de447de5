"""Spend: billing notices counted per campaign and day, and told to every bidder.

Each worker counts the partitions of the outcomes that the group gives it. What it tells is its
state: who takes a partition over reads it from the spend topic and goes on where it ends, so
nothing is committed and nothing is counted twice. Whoever has the first partition paces, too.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from models.budgets import day_at
from models.catalog_records import Campaign, decode_record
from models.errors import EventError
from models.events import decode_outcome
from models.pacer import next_pacing, paced
from models.spend_book import REPEATS_WITHIN_MS, SpendBook
from models.spend_records import (
    CampaignSpend,
    Pacing,
    SpendRecord,
    decode_spend,
    encode_spend,
    spend_key,
)
from models.topics import Topics
from models.units import DAY_MS
from runtime import clock, kafka
from runtime.settings import Settings
from streams.metrics import Metrics

__all__ = ["SpendKeeper"]

logger = logging.getLogger(__name__)

POLL_MS: Final = 100
PUBLISH_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 0.5
LAST_SECONDS: Final = 2.0
FORGOTTEN_AFTER_MS: Final = 2 * DAY_MS
"""A partition that nobody has counted before is counted from so long ago."""
PACER: Final = 0


class SpendKeeper(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped library
    """Counts what campaigns spend.

    Args:
        settings: whose, and where Kafka is.
        consumer: of a group of its own.
        producer: of the spend topic.
        metrics: what is counted.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._consumer = consumer
        self._producer = producer
        self._metrics = metrics
        self._spend_topic = Topics.SPEND.name(settings.owner)
        self._books: dict[TopicPartition, SpendBook] = {}
        self._spends: dict[tuple[str, int], CampaignSpend] = {}
        self._pacings: dict[str, Pacing] = {}
        self._campaigns: dict[str, Campaign] = {}
        self._follower: AIOKafkaConsumer | None = None
        self._counted_ms: dict[TopicPartition, int] = {}
        self._busy = asyncio.Lock()

    @property
    def topic(self) -> str:
        """What its consumer subscribes to."""
        return Topics.OUTCOMES.name(self._settings.owner)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Tells what is counted, and gives the partitions up."""
        async with self._busy:
            await self._publish_last()
            for partition in revoked:
                self._books.pop(partition, None)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Takes nothing over yet: that happens in the loop."""

    async def run(self) -> None:
        """Counts until cancelled."""
        while True:
            try:
                async with self._busy:
                    await self._take_over()
                fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
                async with self._busy:
                    await self._count(fetched)
                    await self._publish()
                    await self._pace()
            except (KafkaError, kafka.KafkaDownError) as error:
                self._metrics.retries.labels("kafka").inc()
                logger.warning("spend_retried", extra={"reason": str(error)})
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(PUBLISH_SECONDS)

    async def stop(self) -> None:
        """Tells what is counted."""
        async with self._busy:
            await self._publish_last()
            await self._stop_following()

    async def _publish_last(self) -> None:
        """Tells what is counted, if Kafka takes it: whoever takes over counts again what is not."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._publish()
        except (KafkaError, TimeoutError) as error:
            logger.warning("spend_not_told", extra={"reason": str(error) or type(error).__name__})

    # -- taking over -----------------------------------------------------------------------

    async def _take_over(self) -> None:
        """Reads what was told of partitions that are new here, and begins after it."""
        new = [part for part in self._consumer.assignment() if part not in self._books]
        if not new:
            return
        known: list[SpendRecord] = []
        await kafka.read_topic(
            self._settings, self._spend_topic, lambda one: known.extend(self._learn(one))
        )
        now_ms = clock.now_ms()
        for part in new:
            book = SpendBook(part.partition, known)
            await self._seek(part, book, now_ms)
            self._books[part] = book
            logger.info("spend_taken_over", extra={"partition": part.partition})

    async def _seek(self, part: TopicPartition, book: SpendBook, now_ms: int) -> None:
        """Goes back far enough to know what may be repeated."""
        since_ms = now_ms - (REPEATS_WITHIN_MS if book.next_offset else FORGOTTEN_AFTER_MS)
        found = (await self._consumer.offsets_for_times({part: since_ms}))[part]
        ends = await self._consumer.end_offsets([part])
        start = ends[part] if found is None else found.offset
        self._consumer.seek(part, min(start, book.next_offset) if book.next_offset else start)

    def _learn(self, record: Any) -> list[SpendRecord]:  # noqa: ANN401 - untyped library
        if record.value is None:
            return []
        try:
            told = decode_spend(record.value)
        except EventError as error:
            logger.warning("spend_record_refused", extra={"reason": str(error)})
            return []
        self._remember(told)
        return [told]

    def _remember(self, record: SpendRecord) -> None:
        match record:
            case CampaignSpend():
                known = self._spends.get((record.campaign, record.partition))
                if known is None or record.offset > known.offset:
                    self._spends[record.campaign, record.partition] = record
            case Pacing():
                self._pacings[record.campaign] = record
            case _:
                pass

    # -- counting --------------------------------------------------------------------------

    async def _count(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        zone = self._settings.time_zone
        for partition, book in list(self._books.items()):
            records = fetched.get(partition, [])
            for record in records:
                try:
                    outcome = decode_outcome(record.value or b"")
                except EventError:
                    continue  # the firehose buries it
                book.fold(record.offset, outcome, day_at(outcome.time_ms, zone).name)
            known_ms = self._counted_ms.get(partition, 0)
            self._counted_ms[partition] = await kafka.told_until_ms(
                self._consumer, partition, int(records[-1].timestamp) if records else known_ms
            )

    async def _publish(self) -> None:
        for partition, book in self._books.items():
            counted_ms = self._counted_ms.get(partition, 0)
            changes = book.changes(counted_ms)
            if changes:
                await self._send(changes)
                book.published(counted_ms)

    async def _send(self, records: Iterable[SpendRecord]) -> None:
        sent = []
        for record in records:
            self._remember(record)
            key, value = spend_key(record).encode(), encode_spend(record)
            sent.append(await self._producer.send(self._spend_topic, key=key, value=value))
        await asyncio.gather(*sent)

    # -- pacing ----------------------------------------------------------------------------

    async def _pace(self) -> None:
        """Moves the control loops whose tick is over, where this is the worker that paces."""
        if all(part.partition != PACER for part in self._books):
            await self._stop_following()
            return
        await self._follow()
        now_ms = clock.now_ms()
        day = day_at(now_ms, self._settings.time_zone)
        moved: list[SpendRecord] = []
        for campaign in paced(self._campaigns.values()):
            pacing = next_pacing(
                campaign, self._pacings.get(campaign.id),
                spent_micros=self._spent_micros(campaign.id, day.name), day=day, now_ms=now_ms,
            )  # fmt: skip
            if pacing is not None:
                moved.append(pacing)
        await self._send(moved)

    def _spent_micros(self, campaign: str, day: str) -> int:
        return sum(
            one.spend_micros
            for partition in range(Topics.OUTCOMES.partitions)
            if (spend := self._spends.get((campaign, partition))) is not None
            for one in spend.days
            if one.day == day
        )

    async def _follow(self) -> None:
        """Learns what other workers counted, and which campaigns have budgets."""
        owner = self._settings.owner
        if self._follower is None:
            parts = [TopicPartition(one.name(owner), 0) for one in (Topics.SPEND, Topics.CATALOG)]
            self._follower = await kafka.consumer(self._settings)
            self._follower.assign(parts)
            await kafka.replay(self._follower, parts, self._apply)
        fetched = await self._follower.getmany(timeout_ms=0)
        for record in (one for records in fetched.values() for one in records):
            self._apply(record)

    async def _stop_following(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            await follower.stop()

    def _apply(self, record: Any) -> None:  # noqa: ANN401 - untyped library
        if record.topic == self._spend_topic:
            self._learn(record)
            return
        kind, _, name = (record.key or b"").decode(errors="replace").partition("/")
        if kind != "campaign":
            return
        self._campaigns.pop(name, None)
        if record.value is not None:
            with contextlib.suppress(EventError):  # bidders tell of it, and do not use it either
                told = decode_record(record.value)
                if isinstance(told, Campaign):
                    self._campaigns[told.id] = told
