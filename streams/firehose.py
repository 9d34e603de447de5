"""The firehose: behaviour and outcomes, a batch at a time, from Kafka into persons.

One batch: fetch, decode, write dead letters, fold and link every identifier's records in lock step,
publish the bid views of the persons touched, carry consents to further identifiers. Then offsets
are committed, at most every ``COMMIT_SECONDS``. A crash anywhere in between repeats records whose
watermark says that they have been folded: the profile is the same.
"""

import asyncio
import itertools
import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from models.commands import Steps
from models.errors import EventError
from models.keys import Keys
from models.link_records import EvidenceRecord, VerdictRecord, decode_verdict
from models.matches import Match, keep_match, read_match
from models.profile import publish_all
from models.topics import Topics
from runtime import clock
from runtime.link import Link, RedisDownError, RedisReplyError
from runtime.settings import Settings
from streams.batch_size import BatchSize
from streams.call_tracking import CallTracking
from streams.consents import ConsentCarrier
from streams.dead_letters import DeadLetters
from streams.fold_marks import FoldMarks
from streams.link_ledger import LinkLedger, follow_record
from streams.metrics import Metrics
from streams.ownership import Ownership
from streams.replay import Replay
from streams.stage_clock import StageClock
from streams.stages.cap_leaks import Billed, leaks_of
from streams.stages.persons import (
    Batch,
    KnownLinks,
    LastRoots,
    Refused,
    Touched,
    digest_events,
    digest_outcomes,
    look_around,
    read_batch,
)

if TYPE_CHECKING:
    from models.identifiers import NodeId

__all__ = ["Firehose"]

logger = logging.getLogger(__name__)

COMMIT_SECONDS: Final = 0.2
POLL_MS: Final = 200
RETRY_SECONDS: Final = 0.2
FOLLOWED_AT_ONCE: Final = 5000
PACE_SECONDS: Final = 0.01
"""A batch that is not full begins so long after the one before: what trickles in is done together.

At a quarter of its capacity, records coming one by one, that takes 0.72 of the CPU an event.
"""


class Firehose(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped library
    """Reads the two firehose topics, verdicts on links and matches, and writes persons.

    Args:
        settings: whose records, and where Redis and Kafka are.
        consumer: of the group of streams.
        producer: of what is told about links, lines and dead letters.
        redis: where persons are kept.
        metrics: what is counted.
        replay: reads in place of the consumer; None where no record is an old one.
    """

    def __init__(
        self,
        settings: Settings,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        redis: Link,
        metrics: Metrics,
        *,
        replay: Replay | None = None,
    ) -> None:
        self._settings = settings
        self._keys = Keys(settings.owner)
        self._consumer = consumer
        self._source = replay or consumer
        self._dead_letters = DeadLetters(settings, producer, metrics)
        self._redis = redis
        self._metrics = metrics
        self._kinds = {
            Topics.EVENTS.name(settings.owner): "events",
            Topics.OUTCOMES.name(settings.owner): "outcomes",
            Topics.VERDICTS.name(settings.owner): "verdicts",
            Topics.MATCHES.name(settings.owner): "matches",
        }
        self.assigned = asyncio.Event()
        """The group has dealt its partitions out."""
        self.ready = asyncio.Event()
        """And Redis was looked at: it knows of them what it should."""
        self._owned = Ownership(Keys(settings.owner), redis, consumer, metrics, self._kinds)
        self._done: dict[TopicPartition, int] = {}
        self._known = KnownLinks()
        self._roots = LastRoots()
        self._losses_seen = 0
        self._tokens = itertools.count()
        self._incarnation = f"{os.getpid():x}.{clock.now_ms():x}"
        self._replay = replay
        self._calls = CallTracking(
            settings, producer, redis, metrics, self._next_token, is_replay=self._reads_again
        )
        self._consents = ConsentCarrier(settings, producer, is_replay=self._reads_again)
        self._limits = settings.limits
        self._ledger = LinkLedger(settings, producer, redis, metrics, self._next_token)
        self._busy = asyncio.Lock()
        self._marks = FoldMarks(settings, consumer, producer, metrics)
        self._stages = StageClock(metrics.stage_seconds)
        self._last_commit = 0.0
        self.beat = time.monotonic()
        """When the loop last came round, for the health check."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What its consumer subscribes to."""
        return tuple(self._kinds)

    # -- ownership -------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Finishes the batch in hand, commits it, and gives the partitions up."""
        async with self._busy:
            await self._commit()
            self._owned.give_up()
            self._done.clear()
            self._marks.forget()
            for partition in revoked:  # whoever has it now tells how far behind it is
                labels = self._kinds[partition.topic], partition.partition
                self._metrics.lag.remove(*labels)
                self._metrics.lag_seconds.remove(*labels)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Takes nothing over yet: that happens with a partition's first records."""
        self.assigned.set()
        self._marks.begin()
        logger.info("partitions_assigned", extra={"partitions": len(assigned)})

    async def begin(self, partitions: Iterable[TopicPartition]) -> None:
        """Takes all partitions over for a Redis from which the owner's keys were removed.

        Raises:
            RedisDownError, RedisReplyError: Redis cannot be used.
        """
        await self._owned.begin(partitions)

    async def _check(self) -> None:
        """Ends the worker if Redis has lost what was folded, also while no record comes."""
        is_assigned = self.assigned.is_set()
        await self._owned.check()
        if is_assigned:
            self.ready.set()

    def _reads_again(self) -> bool:
        """Whether what it reads had been folded before a rebuild."""
        return self._replay is not None and not self._replay.is_over

    # -- the loop --------------------------------------------------------------------------

    async def run(self) -> None:
        """Reads until cancelled.

        Raises:
            RedisForgotError: Redis has lost what was folded into it.
        """
        size = BatchSize(self._settings.streams_batch_records)
        while True:
            began, cpu = time.monotonic(), time.thread_time()
            self.beat = began
            fetched = await self._source.getmany(timeout_ms=POLL_MS, max_records=size.limit)
            async with self._busy:
                self._stages.charge("fetch")
                if fetched:
                    await self._until_done(fetched)
                if time.monotonic() - self._last_commit >= COMMIT_SECONDS:
                    await self._check()
                    await self._commit()
                    if self._replay is None:
                        await self._marks.tell()
                self._stages.charge("commit")
            count, took_seconds = sum(map(len, fetched.values())), time.monotonic() - began
            if count < size.limit:
                await asyncio.sleep(max(0.0, PACE_SECONDS - took_seconds))
            worked_seconds = time.thread_time() - cpu
            size.learn(count, took_seconds=took_seconds, worked_seconds=worked_seconds)

    async def stop(self) -> None:
        """Commits what is done."""
        async with self._busy:
            await self._commit()

    async def _commit(self) -> None:
        self._last_commit = time.monotonic()
        if not self._done:
            return
        try:
            await self._consumer.commit(dict(self._done))
        except CommitFailedError:
            logger.warning("commit_fenced", extra={"partitions": len(self._done)})
            self._owned.give_up()
        except KafkaError as error:
            # Not committed is repeated, and repeating changes nothing: go on.
            self._metrics.retries.labels("kafka").inc()
            logger.warning("commit_failed", extra={"reason": str(error)})
            return
        self._done.clear()

    async def _until_done(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        """Does a batch again until Redis and Kafka have taken it: nothing is skipped."""
        while True:
            try:
                await self._process(fetched)
            except (RedisDownError, RedisReplyError) as error:
                dependency, reason = "redis", str(error)
                # What this attempt sent may still arrive: the next one writes under an epoch of
                # its own, and makes every link again so that its merges are published.
                self._owned.give_up()
                self._known.clear()
            except CommitFailedError:
                logger.warning("ownership_lost")
                self._owned.give_up()
                self._marks.forget()
                return
            except KafkaError as error:
                dependency, reason = "kafka", str(error)
                # Evidence and refusals may not have been told: they are found by linking again.
                self._known.clear()
            else:
                return
            for partition, records in fetched.items():
                self._set_lag(partition, records[0].offset, records[0].timestamp)
            self._metrics.retries.labels(dependency).inc()
            logger.warning("batch_retried", extra={"dependency": dependency, "reason": reason})
            self.beat = time.monotonic()
            await asyncio.sleep(RETRY_SECONDS)

    async def _process(self, fetched: dict[TopicPartition, list[Any]]) -> None:
        started = time.monotonic()
        if self._redis.losses != self._losses_seen:
            self._losses_seen = self._redis.losses
            self._known.clear()
            self._owned.give_up()  # it may have come back empty: that is asked before it is used
        work: list[Steps[Touched]] = []
        batches: list[Batch] = []
        verdicts: list[VerdictRecord] = []
        for partition, records in fetched.items():
            epoch = await self._owned.epoch_of(partition, records[0].offset)
            if self._kinds[partition.topic] == "verdicts":
                verdicts += await self._read_verdicts(partition, records)
                continue
            if self._kinds[partition.topic] == "matches":
                await self._keep_matches(partition, records)
                continue
            batch = read_batch(
                ((one.offset, one.timestamp, one.key, one.value) for one in records),
                "events" if self._kinds[partition.topic] == "events" else "outcomes",
            )
            await self._bury(partition, batch.refused)
            work += self._digest(batch, epoch)
            batches.append(batch)
        self._stages.charge("decode")
        touched = await self._look_around(await self._redis.run_all(work))
        self._roots.learn(touched)
        events = [
            event for batch in batches for entries in batch.events.values() for _, event in entries
        ]
        touched += await self._calls.follow(events)
        self._stages.charge("fold")
        await self._publish(touched)
        await self._measure_caps(touched)
        await self._ledger.keep(touched)
        await self._ledger.judge(verdicts)
        await self._consents.carry(events)
        self._stages.charge("publish")
        self._account(fetched, started)
        self._stages.charge("account")

    def _digest(self, batch: Batch, epoch: int) -> list[Steps[Touched]]:
        keys, known, root_of = self._keys, self._known, self._roots.of
        work = [
            digest_events(
                keys, node, epoch, entries,
                known=known, next_token=self._next_token, limits=self._limits,
                last_root=root_of(node),
            )
            for node, entries in batch.events.items()
        ]  # fmt: skip
        # A contextual impression names no identifier: there is nobody to count it for.
        work += [
            digest_outcomes(keys, node, epoch, entries, last_root=root_of(node))
            for node, entries in batch.outcomes.items()
            if node
        ]
        return work

    async def _read_verdicts(
        self, partition: TopicPartition, records: list[Any]
    ) -> list[VerdictRecord]:
        verdicts: list[VerdictRecord] = []
        refused: list[Refused] = []
        for record in records:
            if record.value is None:
                continue  # removed, as one of the pair was erased
            try:
                verdicts.append(decode_verdict(record.key, record.value))
            except EventError as error:
                refused.append(Refused(record.offset, record.key, record.value, str(error)))
        await self._bury(partition, refused)
        return verdicts

    async def _keep_matches(self, partition: TopicPartition, records: list[Any]) -> None:
        """A match leads to a cookie and is no link: persons have nothing to do with it."""
        matches: dict[NodeId, Match] = {}
        refused: list[Refused] = []
        for record in records:
            try:
                match = read_match(record.key, record.value, record.timestamp)
                matches[match.node] = match  # the newest of a user id stands
            except EventError as error:
                refused.append(Refused(record.offset, record.key, record.value, str(error)))
        await self._bury(partition, refused)
        now_ms = clock.now_ms()
        await self._redis.run_all(keep_match(self._keys, one, now_ms) for one in matches.values())

    async def follow_evidence(self, records: Sequence[EvidenceRecord]) -> None:
        """Makes the links that evidence speaks for which no record of a topic will tell again.

        Raises:
            RedisDownError, KafkaError: to be done again.
        """
        for start in range(0, len(records), FOLLOWED_AT_ONCE):
            touched = await self._redis.run_all(
                follow_record(self._keys, one, self._next_token, self._limits)
                for one in records[start : start + FOLLOWED_AT_ONCE]
            )
            touched = await self._look_around(touched)
            await self._publish(touched)
            await self._ledger.keep(touched)

    async def _look_around(self, touched: list[Touched]) -> list[Touched]:
        """Once for all that is contested in a batch."""
        return await self._redis.run(
            look_around(self._keys, touched, self._next_token, limits=self._limits)
        )

    async def _publish(self, touched: list[Touched]) -> None:
        persons: defaultdict[NodeId, set[NodeId]] = defaultdict(set)
        for one in touched:
            if not one.is_view_new:
                continue  # most page views: what bidders read stays what it is
            persons[one.root].add(one.node)
            for other in one.others:
                persons[other].add(other)
            for link in one.links:
                self._metrics.links.labels(link.result).inc()
        await self._redis.run_all(
            publish_all(self._keys, nodes, root) for root, nodes in persons.items()
        )

    async def _measure_caps(self, touched: Sequence[Touched]) -> None:
        """Counts impressions beyond their caps, and how long after their bids they were billed."""
        billed = [Billed(one.node, one.root, one.billed) for one in touched if one.billed]
        if not billed or self._reads_again():
            return
        for cause in await self._redis.run(leaks_of(self._keys, billed)):
            self._metrics.over_cap.labels(cause).inc()
        for one in billed:
            for billing in one.billings:
                if billing.bid_time_ms:
                    delay_ms = max(0, billing.notice_time_ms - billing.bid_time_ms)
                    self._metrics.billing_delay.labels(billing.exchange).observe(delay_ms / 1000)

    def _account(self, fetched: dict[TopicPartition, list[Any]], started: float) -> None:
        now_ms = clock.now_ms()
        for partition, records in fetched.items():
            self._done[partition] = records[-1].offset + 1
            kind = self._kinds[partition.topic]
            self._metrics.events.labels(kind).inc(len(records))
            self._metrics.age.observe(kind, [max(0, now_ms - one.timestamp) for one in records])
            self._set_lag(partition, records[-1].offset + 1, records[-1].timestamp)
            self._marks.learn(partition, records[-1].timestamp)
        self._metrics.batch.observe(time.monotonic() - started)

    def _set_lag(self, partition: TopicPartition, next_offset: int, read_ms: int) -> None:
        """Tells how far behind a partition is: in records, and by the age of the newest read."""
        end = self._consumer.highwater(partition)
        if end is None:
            return
        labels = self._kinds[partition.topic], partition.partition
        lag = max(0, end - next_offset)
        self._metrics.lag.labels(*labels).set(lag)
        age_seconds = max(0, clock.now_ms() - read_ms) / 1000
        self._metrics.lag_seconds.labels(*labels).set(age_seconds if lag else 0)

    async def _bury(self, partition: TopicPartition, refused: list[Refused]) -> None:
        if self._reads_again():
            return  # they were buried when they came, and are kept no longer than from then
        for one in refused:
            source = (partition.topic, partition.partition, one.offset)
            record = (one.key, one.value)
            await self._dead_letters.bury(self._kinds[partition.topic], source, record, one.reason)

    def _next_token(self) -> str:
        return f"{self._incarnation}.{next(self._tokens):x}"
