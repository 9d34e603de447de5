"""What becomes of links, told to people: evidence and quarantine to Kafka, verdicts from it.

Kafka hears of a refusal before Redis notes that it has: whoever repeats a batch or a verdict finds
the same changes again until both know, and none afterwards.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from models.commands import Steps
from models.evidence import Edge, Evidence, Pair, Reason, decode_evidence
from models.keys import Keys
from models.link_records import (
    EvidenceRecord,
    LinkRecord,
    QuarantineRecord,
    VerdictRecord,
    encode_link_record,
    pair_key,
)
from models.links import judge
from models.profile import publish_all
from models.splits import note
from models.topics import Topics
from runtime import clock
from runtime.link import Link
from runtime.settings import Settings
from streams.metrics import Metrics
from streams.stages.persons import Touched

__all__ = ["LinkLedger", "known_evidence"]


class LinkLedger:
    """Keeps evidence and quarantine in Kafka, and carries verdicts out."""

    TOPICS: Final = (Topics.EVIDENCE, Topics.QUARANTINE, Topics.VERDICTS)
    """Where pairs are kept."""

    def __init__(
        self,
        settings: Settings,
        producer: Any,  # noqa: ANN401 - untyped library
        redis: Link,
        metrics: Metrics,
        next_token: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._keys = Keys(settings.owner)
        self._limits = settings.limits
        self._evidence = Topics.EVIDENCE.name(settings.owner)
        self._quarantine = Topics.QUARANTINE.name(settings.owner)
        self._producer = producer
        self._redis = redis
        self._metrics = metrics
        self._next_token = next_token

    async def keep(self, touched: Iterable[Touched]) -> None:
        """Tells Kafka of a batch's evidence and refusals; returns when they are durable and noted.

        Raises:
            KafkaError: Kafka does not take them; the batch is to be tried again.
            RedisDownError: the same of Redis.
        """
        pairs: dict[Pair, None] = {}
        changed: dict[Pair, Reason | None] = {}
        edges: dict[Pair, Edge] = {}
        for one in touched:
            pairs |= dict.fromkeys(one.pairs)
            for link in one.links:
                if link.resettled is not None:
                    changed |= link.resettled.changed
                    edges |= link.resettled.edges
                    self._metrics.splits.inc(link.resettled.split_count)
        if pairs:
            known = await self._redis.run(known_evidence(self._keys, pairs))
            await self._send(self._evidence, {pair: _record(pair, known[pair]) for pair in known})
        await self.tell(changed, edges)

    async def judge(self, verdicts: Sequence[VerdictRecord]) -> None:
        """Carries verdicts out in their order, each to its end.

        Raises:
            KafkaError: Kafka does not take what follows from them; to be tried again.
            RedisDownError: the same of Redis.
        """
        for one in verdicts:
            done = await self._redis.run(
                judge(self._keys, one.a, one.b, one.verdict, self._next_token, limits=self._limits)
            )
            self._metrics.splits.inc(done.split_count)
            await self._redis.run(publish_all(self._keys, done.persons))
            await self.tell(done.changed, done.edges)
            self._metrics.verdicts.labels(one.verdict).inc()

    async def forget(self, pairs: Collection[Pair]) -> None:
        """Removes what Kafka keeps of pairs of which one is erased.

        Raises:
            KafkaError: Kafka does not take it.
        """
        owner = self._settings.owner
        for topic in self.TOPICS:
            await self._send(topic.name(owner), dict.fromkeys(pairs))

    async def tell(self, changed: Mapping[Pair, Reason | None], edges: Mapping[Pair, Edge]) -> None:
        """Tells Kafka of refusals that are new or over, and notes that it has been told.

        Raises:
            KafkaError: Kafka does not take them.
            RedisDownError: the same of Redis.
        """
        if not changed:
            return
        now_ms = clock.now_ms()
        await self._send(
            self._quarantine,
            {
                pair: None if reason is None else _refusal(pair, reason, edges[pair], now_ms)
                for pair, reason in changed.items()
            },
        )
        await self._redis.run(note(self._keys, changed))
        for reason in changed.values():
            if reason is not None:
                self._metrics.quarantined.labels(reason).inc()

    async def _send(self, topic: str, records: Mapping[Pair, LinkRecord | None]) -> None:
        sent = [
            await self._producer.send(
                topic,
                key=pair_key(*pair),
                value=None if record is None else encode_link_record(record),
            )
            for pair, record in records.items()
        ]
        await asyncio.gather(*sent)


def known_evidence(keys: Keys, pairs: Collection[Pair]) -> Steps[dict[Pair, Evidence]]:
    """The strongest and earliest evidence of each pair that has any and is not rejected."""
    replies = yield [("HGET", keys.evidence(a), f"e:{b}") for a, b in pairs]
    return {
        pair: decode_evidence(encoded)
        for pair, encoded in zip(pairs, replies, strict=True)
        if encoded is not None
    }


def _record(pair: Pair, evidence: Evidence) -> EvidenceRecord:
    return EvidenceRecord(
        a=pair[0], b=pair[1], kind=evidence.kind, event_time_ms=evidence.time_ms,
        confidence=evidence.confidence,
    )  # fmt: skip


def _refusal(pair: Pair, reason: Reason, edge: Edge, noted_ms: int) -> QuarantineRecord:
    return QuarantineRecord(
        a=pair[0], b=pair[1], reason=reason, kind=edge.evidence.kind,
        event_time_ms=edge.evidence.time_ms, noted_ms=noted_ms,
    )  # fmt: skip
