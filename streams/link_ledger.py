"""What becomes of links: evidence, history and quarantine told to Kafka, verdicts heard from it.

Kafka hears of a refusal before Redis notes that it has: whoever repeats a batch or a verdict finds
the same changes again until both know, and none afterwards.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from models.card_words import CardWord, merge_of
from models.commands import Steps
from models.evidence import Edge, Evidence, Limits, Pair, Reason, decode_evidence
from models.forest import find
from models.identifiers import is_crm
from models.keys import Keys
from models.link_records import (
    EvidenceRecord,
    LinkRecord,
    QuarantineRecord,
    ToldRecord,
    VerdictRecord,
    encode_link_record,
    pair_key,
    told_key,
    told_record,
)
from models.links import Contested, LinkResult, declare, follow, judge
from models.profile import publish_all
from models.splits import Resettled, note, resettle
from models.topics import Topics
from runtime import clock
from runtime.link import Link
from runtime.settings import Settings
from streams.metrics import Metrics
from streams.stages.persons import Touched

__all__ = ["LinkLedger", "follow_record", "known_evidence"]


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
        self._keys = Keys(settings.owner)
        self._limits = settings.limits
        self._evidence = Topics.EVIDENCE.name(settings.owner)
        self._history = Topics.LINK_HISTORY.name(settings.owner)
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
        results: dict[Pair, LinkResult] = {}
        told: dict[bytes, tuple[ToldRecord, LinkResult]] = {}
        looks: list[Resettled] = []
        for one in touched:
            for pair, link, record in zip(one.pairs, one.links, one.told, strict=True):
                results[pair] = link.result
                if record is not None:
                    told[told_key(record)] = record, link.result
            looks += [link.resettled for link in one.links if link.resettled is not None]
        if results:
            known = await self._redis.run(known_evidence(self._keys, results))
            # Side by side: with many merges a batch waits for Kafka, not for the processor. Both to
            # their ends: evidence of an attempt that failed must not come after that of the next.
            ended = await asyncio.gather(
                self._keep_evidence(results, known), self._keep_history(told, known),
                return_exceptions=True,
            )  # fmt: skip
            for error in filter(None, ended):
                raise error
        await self.tell(looks)

    async def judge(self, verdicts: Sequence[VerdictRecord]) -> None:
        """Carries verdicts out in their order, each to its end.

        Raises:
            KafkaError: Kafka does not take what follows from them; to be tried again.
            RedisDownError: the same of Redis.
        """
        for one in verdicts:
            done = await self._redis.run(
                judge(
                    self._keys,
                    one.a,
                    one.b,
                    one.verdict,
                    self._next_token,
                    at_ms=one.at_ms,
                    limits=self._limits,
                )
            )
            await self._redis.run(publish_all(self._keys, done.to_publish))
            await self.tell([done])
            self._metrics.verdicts.labels(one.verdict).inc()

    async def _keep_evidence(
        self, results: Mapping[Pair, LinkResult], first: Mapping[Pair, Evidence | None]
    ) -> None:
        """Tells of each pair's strongest and earliest evidence, which ``first`` is so far."""
        gone = {pair: None for pair, result in results.items() if result in TAKEN_BACK}
        known: Mapping[Pair, Evidence | None] = {**gone, **first}
        while known:
            await self._send(
                self._evidence, {pair_key(*pair): _record(pair, known[pair]) for pair in known}
            )
            # Another worker may have sent a newer word on these cards before our older one.
            cards = [pair for pair in known if all(map(is_crm, pair))]
            again = await self._redis.run(known_evidence(self._keys, cards)) if cards else {}
            known = {pair: again[pair] for pair in again if again[pair] != known[pair]}

    async def _keep_history(
        self,
        told: Mapping[bytes, tuple[ToldRecord, LinkResult]],
        known: Mapping[Pair, Evidence | None],
    ) -> None:
        """Tells of evidence whose pair may know stronger one later, or none any more."""
        records = {
            key: None if result == "erased" else record
            for key, (record, result) in told.items()
            if result in TAKEN_BACK or _is_news(record, known)
        }
        await self._send(self._history, records)

    async def forget(self, pairs: Collection[Pair]) -> None:
        """Removes what Kafka keeps of pairs of which one is erased, but for their history.

        Raises:
            KafkaError: Kafka does not take it.
        """
        for topic in self.TOPICS:
            gone = [pair_key(*pair) for pair in pairs]
            await self._send(topic.name(self._keys.owner), dict.fromkeys(gone))

    async def forget_history(self, keys: Collection[bytes]) -> None:
        """Removes these records from the history.

        Raises:
            KafkaError: Kafka does not take it.
        """
        await self._send(self._history, dict.fromkeys(keys))

    async def tell(self, looks: Sequence[Resettled]) -> None:
        """Tells of what has changed, then looks again where others have looked meanwhile.

        Raises:
            KafkaError: Kafka does not take it; the looks are to be had again.
            RedisDownError: the same of Redis.
        """
        while looks:
            changed: dict[Pair, Reason | None] = {}
            edges: dict[Pair, Edge] = {}
            for look in looks:
                self._metrics.splits.inc(look.split_count)
                changed |= look.changed
                edges |= look.edges
            now_ms = clock.now_ms()
            await self._send(
                self._quarantine,
                {
                    pair_key(*pair): None
                    if reason is None
                    else _refusal(pair, reason, edges[pair], now_ms)
                    for pair, reason in changed.items()
                },
            )
            standing = await self._redis.run_all(note(self._keys, look) for look in looks)
            for reason in changed.values():
                if reason is not None:
                    self._metrics.quarantined.labels(reason).inc()
            told = zip(looks, standing, strict=True)
            passed = [look for look, stands in told if look.changed and not stands]
            looks = [await self._look_again(look) for look in passed]

    async def _look_again(self, passed: Resettled) -> Resettled:
        steps = resettle(self._keys, passed.persons, self._limits, self._next_token)
        look = await self._redis.run(steps)
        await self._redis.run(publish_all(self._keys, look.to_publish))
        return look

    async def _send(self, topic: str, records: Mapping[bytes, LinkRecord | None]) -> None:
        sent = [
            await self._producer.send(
                topic,
                key=key,
                value=None if record is None else encode_link_record(record),
            )
            for key, record in records.items()
        ]
        await asyncio.gather(*sent)


def follow_record(
    keys: Keys, record: EvidenceRecord, next_token: Callable[[], str], limits: Limits
) -> Steps[Touched]:
    """Follows evidence as Kafka has kept it; what is contested is left to be looked at.

    Which of two merged cards survives is not kept, and decides nothing about who is one person: the
    smaller does, until the CRM's own record of that time tells.
    """
    if record.kind == "crm_merge":
        word = CardWord(record.event_time_ms, record.a)
        declared = yield from declare(keys, record.a, record.b, word, next_token, limits=limits)
        root = yield from find(keys, record.a)
        return Touched(record.a, root, (declared,), ((record.a, record.b),), (None,))
    evidence = Evidence(record.kind, record.event_time_ms, record.confidence)
    followed = yield from follow(keys, record.a, record.b, evidence, next_token, limits=limits)
    root = yield from find(keys, record.a)
    if isinstance(followed, Contested):
        return Touched(record.a, root, contested=(followed,))
    told = told_record(record.a, record.b, evidence)
    return Touched(record.a, root, (followed,), ((record.a, record.b),), (told,))


TAKEN_BACK: Final = frozenset({"withdrawn", "erased"})
"""Results of links after which nothing may be known of a pair that was known before."""


def known_evidence(keys: Keys, pairs: Collection[Pair]) -> Steps[dict[Pair, Evidence | None]]:
    """The strongest and earliest evidence of each pair that has any, whatever was decided of it.

    None stands for a merge of cards that the CRM has taken back, where nothing else is known.
    """
    cards = [pair for pair in pairs if all(map(is_crm, pair))]
    replies = yield [
        *(("HGET", keys.evidence(a), f"e:{b}") for a, b in pairs),
        *(("HGET", keys.evidence(a), f"w:{b}") for a, b in cards),
    ]
    known: dict[Pair, Evidence | None] = {
        pair: decode_evidence(encoded)
        for pair, encoded in zip(pairs, replies[: len(pairs)], strict=True)
        if encoded is not None
    }
    for pair, word in zip(cards, replies[len(pairs) :], strict=True):
        if word is not None:
            known[pair] = merge_of(word) or known.get(pair)
    return known


def _is_news(record: ToldRecord, known: Mapping[Pair, Evidence | None]) -> bool:
    """Whether evidence that stands may be outdone later, or came before a pair's strongest."""
    strongest = known.get((record.a, record.b))
    if strongest is None or record.kind == "crm_card":
        return False  # not kept, since its identifier has too many; nothing is stronger than a card
    if record.event_time_ms != strongest.time_ms:
        return record.event_time_ms < strongest.time_ms
    return record.kind == strongest.kind


def _record(pair: Pair, evidence: Evidence | None) -> EvidenceRecord | None:
    if evidence is None:
        return None
    return EvidenceRecord(
        a=pair[0], b=pair[1], kind=evidence.kind, event_time_ms=evidence.time_ms,
        confidence=evidence.confidence,
    )  # fmt: skip


def _refusal(pair: Pair, reason: Reason, edge: Edge, noted_ms: int) -> QuarantineRecord:
    return QuarantineRecord(
        a=pair[0], b=pair[1], reason=reason, kind=edge.evidence.kind,
        event_time_ms=edge.evidence.time_ms, noted_ms=noted_ms,
    )  # fmt: skip
