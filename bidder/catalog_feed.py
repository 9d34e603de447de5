"""The catalogue's feed: compacted topics, read from the beginning and then followed.

Without Kafka the bidder goes on with the catalogue that it has; how old that is, is a metric.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from models.budgets import Allowances
from models.catalog import Catalog
from models.catalog_records import Campaign, decode_record
from models.errors import EventError
from models.fold_clock import FoldClock
from models.spend_records import FoldMark, decode_spend
from models.topics import Topics
from models.watches import Watches, decode_watch
from runtime import clock, kafka
from runtime.settings import Settings

__all__ = ["CatalogFeed", "load_catalog", "load_market"]

logger = logging.getLogger(__name__)

POLL_MS = 500
FETCH_WAIT_MS = 100
"""A change may take this long to be noticed: a tenth of what marketers are promised."""


TOGETHER: Final = 8
"""Records that are applied before bid requests have their turn: at ten thousand campaigns that is
2 ms, while the thousands of records of one fetch take half a second."""


class CatalogFeed:
    """Keeps a catalogue current.

    Args:
        settings: where Kafka is.
        catalog: what to keep current.
        allowances: what campaigns may still spend, kept current as well.
        on_failure: called when Kafka fails or a record cannot be used.
        on_change: called with the number of records that have been applied together.
        watches: what receipts are asked for, kept current as well.
        folds: how far streams is, kept current as well.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        allowances: Allowances,
        on_failure: Callable[[], None],
        on_change: Callable[[int], None] | None = None,
        *,
        watches: Watches | None = None,
        folds: FoldClock | None = None,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._allowances = allowances
        self._watches = watches
        self._folds = folds
        self._suffix_at = len(Topics.CATALOG.name(settings.owner)) - len(Topics.CATALOG.suffix)
        self._on_failure = on_failure
        self._on_change = on_change
        self._partitions = [
            TopicPartition(topic.name(settings.owner), 0)
            for topic in (Topics.CATALOG, Topics.OFFERS, Topics.SPEND, Topics.WATCHES)
        ]
        self._consumer: Any = None

    async def load(self) -> None:
        """Reads everything that stands in the topics now.

        Raises:
            KafkaDownError: no broker answers.
        """
        await kafka.ensure_topics(self._settings)  # or the broker makes them with its own defaults
        self._consumer = await kafka.consumer(self._settings, fetch_wait_ms=FETCH_WAIT_MS)
        self._consumer.assign(self._partitions)
        await kafka.replay(self._consumer, self._partitions, self._apply)

    @property
    def fresh_at_ms(self) -> int:
        """When a broker last answered for each of the topics, Unix ms; 0 before that."""
        if self._consumer is None:
            return 0
        # Not when we last polled: a poll of a broker that is gone is just empty.
        return min(self._consumer.last_poll_timestamp(part) or 0 for part in self._partitions)

    async def follow(self) -> None:
        """Applies changes as they come, until cancelled."""
        while True:
            try:
                await self._poll(POLL_MS)
            except KafkaError as error:
                self._on_failure()
                logger.warning("catalog_feed_failed", extra={"reason": str(error)})
                await asyncio.sleep(POLL_MS / 1000)

    async def stop(self) -> None:
        """Ends the feed."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _poll(self, timeout_ms: int) -> None:
        fetched = await self._consumer.getmany(*self._partitions, timeout_ms=timeout_ms)
        for records in fetched.values():
            for place, record in enumerate(records, start=1):
                self._apply(record)
                if place % TOGETHER == 0:
                    await asyncio.sleep(0)  # bid requests wait meanwhile
        if fetched and self._on_change is not None:
            self._on_change(sum(map(len, fetched.values())))

    def _apply(self, record: Any) -> None:  # noqa: ANN401 - untyped library
        key = (record.key or b"").decode(errors="replace")
        suffix = record.topic[self._suffix_at :]
        try:
            if suffix == Topics.SPEND.suffix:
                self._learn(record.value)
            elif suffix == Topics.WATCHES.suffix:
                self._watch(record.value)
            else:
                self._change(key, record.value)
        except EventError as error:
            self._on_failure()
            logger.warning("catalog_record_refused", extra={"key": key, "reason": str(error)})
        if suffix != Topics.WATCHES.suffix:
            self._catalog.as_of[suffix] = record.offset + 1

    def _watch(self, value: bytes | None) -> None:
        if value is not None and self._watches is not None:
            self._watches.learn(decode_watch(value))

    def _learn(self, value: bytes | None) -> None:
        if value is None:
            return
        record = decode_spend(value)
        if not isinstance(record, FoldMark):
            self._allowances.learn(record)
        elif self._folds is not None:
            self._folds.learn(record)

    def _change(self, key: str, value: bytes | None) -> None:
        if value is None:
            self._catalog.withdraw(key)
            self._allowances.forget(key.removeprefix("campaign/"))
            return
        record = decode_record(value)
        self._catalog.apply(record)
        if isinstance(record, Campaign):
            self._allowances.set_budget(record)


async def load_catalog(settings: Settings) -> Catalog:
    """The catalogue as it stands now, for commands that look once.

    Raises:
        KafkaDownError: no broker answers.
    """
    return (await load_market(settings))[0]


async def load_market(settings: Settings) -> tuple[Catalog, Allowances]:
    """The catalogue and what campaigns may spend, as they stand now.

    Raises:
        KafkaDownError: no broker answers.
    """
    catalog, allowances = Catalog(), Allowances(settings.time_zone)
    feed = CatalogFeed(settings, catalog, allowances, lambda: None)
    try:
        await feed.load()
    finally:
        await feed.stop()
    allowances.move_to(clock.now_ms())
    return catalog, allowances
