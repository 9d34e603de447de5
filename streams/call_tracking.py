"""Call tracking at the firehose: a batch's calls and leases become soft links and line states."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from models.catalog_records import encode_record, record_key
from models.commands import Steps
from models.events import Event
from models.evidence import pair_of
from models.keys import Keys
from models.link_records import told_record
from models.topics import Topics
from models.units import SECOND_MS
from runtime import clock
from runtime.link import Link
from runtime.settings import Settings
from streams.metrics import Metrics
from streams.stages.calls import (
    CallNews,
    Linked,
    SoftLink,
    apply_soft_link,
    join_number,
    leave_soft_link,
    link_told,
    measure_lines,
    news_of,
    phone_events,
)
from streams.stages.persons import Touched

__all__ = ["CallTracking"]

logger = logging.getLogger(__name__)


class CallTracking:
    """Follows what batches say of phone calls.

    Args:
        settings: whose calls.
        producer: of line states.
        redis: where numbers and lines are kept.
        metrics: where results are counted.
        next_token: gives a token that was never used before.
        is_replay: whether old records come again, all at once. Which call came from which session
            was found out when they were new, and stands in the evidence topic: books of numbers
            keep days, and would come to other joins.
    """

    def __init__(
        self,
        settings: Settings,
        producer: Any,  # noqa: ANN401 - untyped library
        redis: Link,
        metrics: Metrics,
        next_token: Callable[[], str],
        *,
        is_replay: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_replay = is_replay
        self._keys = Keys(settings.owner)
        self._limits = settings.limits
        self._lines_topic = Topics.OFFERS.name(settings.owner)
        self._grace_ms = settings.call_grace_seconds * SECOND_MS
        self._producer = producer
        self._redis = redis
        self._metrics = metrics
        self._next_token = next_token

    async def follow(self, events: Iterable[Event]) -> list[Touched]:
        """Joins calls to sessions, links callers, and tells bidders how the lines do.

        Doing a batch again changes nothing but counters.

        Raises:
            RedisDownError, RedisReplyError, KafkaError: to be tried again.
        """
        told = phone_events(events)
        if not told:
            return []
        news = news_of(told)
        linked = await self._join(news)
        await self._publish_lines(news)
        for calls in news.by_advertiser.values():
            for call in calls:
                missed = call.missed_reason or "unknown" if call.missed else "answered"
                self._metrics.calls.labels(missed).inc()
        return [self._touched(one) for one in linked]

    def _touched(self, one: Linked) -> Touched:
        soft, told = one.soft, None
        if not self._is_left(soft):
            told = told_record(
                soft.caller, soft.other, soft.evidence, withdrawn_ms=soft.withdrawn_ms
            )
        pair = pair_of(soft.caller, soft.other)
        return Touched(soft.caller, one.root, (one.made,), (pair,), (told,))

    async def _join(self, news: CallNews) -> list[Linked]:
        keys, now_ms, apply = self._keys, clock.now_ms(), self._apply
        found = await self._redis.run_all(
            [
                *(link_told(soft, apply) for soft in news.told),
                *(
                    join_number(
                        keys, number, entries, now_ms=now_ms, apply=apply, grace_ms=self._grace_ms
                    )
                    for number, entries in news.by_number.items()
                ),
            ]
        )
        for joins in found:
            for result in joins.results.values():
                self._metrics.call_joins.labels(result).inc()
            for one in joins.linked:
                if one.soft.withdrawn_ms is not None:
                    self._metrics.call_joins.labels("withdrawn").inc()
                    logger.warning("soft_link_withdrawn", extra={"call_id": one.soft.call_id})
        return [one for joins in found for one in joins.linked]

    def _apply(self, soft: SoftLink) -> Steps[Linked]:
        if self._is_left(soft):
            return leave_soft_link(self._keys, soft)
        return apply_soft_link(self._keys, soft, self._next_token, limits=self._limits)

    def _is_left(self, soft: SoftLink) -> bool:
        return self._is_replay() and soft.kind == "call_session"

    async def _publish_lines(self, news: CallNews) -> None:
        now_ms = clock.now_ms()
        states = await self._redis.run_all(
            measure_lines(self._keys, advertiser, calls, now_ms=now_ms)
            for advertiser, calls in news.by_advertiser.items()
        )
        for state in states:
            if state is not None:
                key = record_key(state).encode()
                await self._producer.send_and_wait(
                    self._lines_topic, key=key, value=encode_record(state)
                )
