"""``kinbid erase``: a person is forgotten, for good, and a certificate says what was done.

First it is written down in Kafka, for every identifier of the person, that nothing up to a time
counts any more; from then on no replay can bring them back. Whatever breaks off after that is
finished by the same command again, by whichever identifier.
"""

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import Any, Final

import msgspec

from kinbid.nodes import node_named
from kinbid.owned import frozen_views, matches_about, number_books
from kinbid.progress import records_behind
from kinbid.watching import end_watches_of_nodes
from models.commands import Steps
from models.consents import Consents, consents_of, withdrawn_in
from models.erasure import Holding, begin_erasure, disown, holding, part_erased, to_tell
from models.erasure_records import ErasureRecord, encode_erasure, outliving
from models.errors import EventError, KinbidError
from models.event_base import MAX_TIME_MS, stamp_of
from models.events import AccountErased, CarriedConsent, encode
from models.evidence import Pair
from models.forest import FROZEN_SECONDS, settle
from models.identifiers import NodeId, namespace_of
from models.keys import Keys
from models.link_records import pair_named, told_pair
from models.number_book import fields_about
from models.person_events import Purpose
from models.topics import Topics
from runtime import clock, kafka
from runtime.link import Link, RedisDownError, RedisReplyError
from runtime.redis_url import link_to
from runtime.settings import Settings
from streams.link_ledger import LinkLedger
from streams.metrics import Metrics
from streams.suppression import read_erasures

__all__ = ["Certificate", "ErasedIdentifier", "erase_person", "held_of"]

AHEAD_MS: Final = 5_000
"""An erasure's time lies so far ahead that every record which is on its way now is older."""

BATCH_BYTES: Final = 1_000_000
"""As Kafka takes them by default: several thousand identifiers, more than a person may have."""

TAKEN_OUT: Final = (*LinkLedger.TOPICS, Topics.LINK_HISTORY)
"""Compacted topics in which records of the erased are replaced by tombstones."""

STAYS: Final = (
    "events.v1, outcomes.v1: records under keyed hashes, as long as Kafka keeps them; none counts",
    "matches.v1: cookie matches under keyed hashes, for 60 days; none leads anywhere",
    "dead-letters.v1: what could not be read, for 30 days",
    "receipts.v1: what bidders decided for them, under keyed hashes, for 7 days",
    "watches.v1: which of them somebody watched, under keyed hashes, for 1 day; it is over",
    (
        "matches, dead letters, receipts, watches: up to a twelfth of that longer (a day at most), "
        "since brokers delete whole segments"
    ),
    "Redis: what merges and splits froze of these identifiers (q:, z:), for at most 60 s from then",
    (
        "Redis: where a split parted these from somebody else under whose identifier both stood, "
        "the bid view frozen under that one (z:), for 7 days from then; nothing leads there"
    ),
)


def old_records(written_ms: int) -> str:
    """What compacted topics hold of what was taken out, and until when, for people.

    Args:
        written_ms: when the last tombstone was written, Unix ms.
    """
    due_ms = written_ms + max(one.compact_within_ms or 0 for one in TAKEN_OUT)
    return (
        f"{', '.join(one.suffix for one in TAKEN_OUT)}: the records of before, under keyed hashes, "
        f"until the broker compacts them, which is due at {_time(due_ms)}, or with the first "
        "record that the topic gets after that; and what says that they are gone, a day longer"
    )


class ErasedIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """One identifier of a certificate, and what was held of it; ``links`` counts pairs."""

    namespace: str
    node: NodeId
    events: int
    orders: int
    impressions: int
    links: int

    @property
    def is_known(self) -> bool:
        """Whether anything is held of it."""
        return bool(self.events or self.orders or self.impressions or self.links)


class _Target(msgspec.Struct, frozen=True):
    """Who is to be erased.

    Attributes:
        nodes: the person's identifiers, and those of an erasure of it that broke off.
        is_open: whether there was one that broke off.
        erased_ms: until when nothing of them counts already, Unix ms; 0 if never erased.
        outliving: consents that the one that broke off had found withdrawn, and was to keep so.
    """

    nodes: list[NodeId]
    is_open: bool
    erased_ms: int
    outliving: list[Consents]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure has touched.

    Attributes:
        id: of the erasure.
        owner: whose data.
        erased_up_to: nothing up to this time counts, UTC.
        verified_at: when everything was read again and nothing was found, UTC.
        identifiers: of the person, with what was held before.
        erased_before: until when nothing of them counted already, UTC; None where they never were
            erased, or that one broke off.
        withdrawn: purposes to which the person had withdrawn consent. This word is kept, as to
            forget an objection is not to heed it; a later grant undoes it.
        told: identifiers that the person was seen with, which forget it.
        number_entries: entries removed from the books of call numbers.
        matches: cookie matches removed.
        records: per compacted topic, how many records were written, or tombstones.
        stays: what is not removed, and why it does not matter.
    """

    id: str
    owner: str
    erased_up_to: str
    verified_at: str
    identifiers: tuple[ErasedIdentifier, ...]
    erased_before: str | None
    withdrawn: tuple[Purpose, ...]
    told: int
    number_entries: int
    matches: int
    records: dict[str, int]
    stays: tuple[str, ...]

    @property
    def was_known(self) -> bool:
        """Whether anything was held of them."""
        return any(one.is_known for one in self.identifiers) or len(self.identifiers) > 1


async def held_of(settings: Settings, identifier: str) -> tuple[ErasedIdentifier, ...]:
    """What an erasure of the person would remove; nothing is changed.

    Raises:
        KinbidError: the identifier cannot be read, or Redis or Kafka cannot be used.
    """
    async with _eraser(settings) as eraser:
        target = await eraser.target_of(node_named(settings, identifier))
        return tuple(map(_told_of, await eraser.holdings(target.nodes)))


async def erase_person(
    settings: Settings, identifier: str, *, wait_seconds: float, may_be_unseen: bool = False
) -> Certificate:
    """Erases the person of an identifier, with all identifiers of theirs.

    Args:
        settings: where Redis and Kafka are.
        identifier: as :func:`kinbid.nodes.node_named` takes it.
        wait_seconds: how long to wait for streams: what it has not read yet may name more
            identifiers of the person.
        may_be_unseen: erase also what no event ever named: what is told of it up to now, and comes
            later, will not count.

    Raises:
        KinbidError: the identifier cannot be read, nothing is known of it, Redis or Kafka cannot be
            used, streams is behind, or something came back while it was done. The same command
            finishes what was begun.
    """
    node = node_named(settings, identifier)
    behind = await records_behind(settings, wait_seconds)
    # Once more: what it read it may have told again, to the further identifiers of a consent.
    behind = behind or await records_behind(settings, wait_seconds)
    if behind:
        raise KinbidError(
            f"streams has {behind:,} records left to read, which may name more identifiers of the "
            "person: start it, or wait for it, and erase then; nothing was changed"
        )
    async with _eraser(settings) as eraser:
        with _failures_told("nothing was changed"):
            target = await eraser.target_of(node)
            before = await eraser.holdings(target.nodes)
            if not (may_be_unseen or target.erased_ms) and all(held.is_empty for held in before):
                raise KinbidError(
                    f"nothing is known of {identifier}: no event named it, so perhaps it is "
                    "mistyped; nothing was changed. With --unseen it is erased all the same, and "
                    "nothing that is told of it up to then will ever count"
                )
            kept = await eraser.kept_pairs(target.nodes) if target.is_open else frozenset[Pair]()
        with _failures_told("the erasure broke off; the same command finishes it"):
            return await eraser.erase(target, before, kept)


@contextlib.asynccontextmanager
async def _eraser(settings: Settings) -> AsyncIterator["_Eraser"]:
    await kafka.ensure_topics(settings)
    redis = link_to(settings.redis_url, name="kinbid-erase")
    async with contextlib.AsyncExitStack() as cleanup:
        await redis.connect()
        cleanup.push_async_callback(redis.close)
        producer = await cleanup.enter_async_context(
            kafka.producing(settings, batch_bytes=BATCH_BYTES)
        )
        yield _Eraser(settings, redis, producer)


@contextlib.contextmanager
def _failures_told(what: str) -> Iterator[None]:
    try:
        with kafka.failures_told(what):
            yield
    except (RedisDownError, RedisReplyError) as error:
        raise type(error)(f"{what}: {error}") from error


class _Eraser:
    """Redis and Kafka for one erasure."""

    def __init__(self, settings: Settings, redis: Link, producer: Any) -> None:  # noqa: ANN401 - untyped library
        self._settings = settings
        self._keys = Keys(settings.owner)
        self._redis = redis
        self._producer = producer
        self._request = uuid.uuid4().hex
        self._token_count = 0

    async def target_of(self, node: NodeId) -> _Target:
        """Who is to be erased by an identifier."""
        members = set((await self._redis.run(settle(self._keys, node))).members)
        erasures = await read_erasures(self._settings)
        requests = {erasures[one].open_request for one in members & erasures.keys()} - {""}
        broken_off = [one for one in erasures.values() if one.open_request in requests]
        members.update(one.node for one in broken_off)
        erased_ms = max((erasures[one].erased_ms for one in members & erasures.keys()), default=0)
        kept = [consents_of(outliving(one)) for one in broken_off]
        return _Target(sorted(members), bool(broken_off), erased_ms, kept)

    async def kept_pairs(self, nodes: Collection[NodeId]) -> frozenset[Pair]:
        """Pairs with identifiers that Kafka still tells of.

        Redis, if it was rebuilt since the erasure was begun, knows nothing of them.
        """
        kept: dict[tuple[str, Pair], bool] = {}

        def remember(record: Any) -> None:  # noqa: ANN401 - untyped library
            with contextlib.suppress(EventError):  # a key of no form names nobody
                pair = pair_named(record.key)
                if not set(pair).isdisjoint(nodes):
                    kept[record.topic, pair] = record.value is not None

        for topic in LinkLedger.TOPICS:
            await kafka.read_topic(self._settings, topic.name(self._settings.owner), remember)
        return frozenset(pair for (_, pair), is_told in kept.items() if is_told)

    async def _history_keys(self, nodes: Collection[NodeId]) -> frozenset[bytes]:
        """Keys of what was ever told of pairs with identifiers: Redis knows only some of them."""
        kept: dict[bytes, bool] = {}

        def remember(record: Any) -> None:  # noqa: ANN401 - untyped library
            with contextlib.suppress(EventError):  # a key of no form names nobody
                if not set(told_pair(record.key)).isdisjoint(nodes):
                    kept[record.key] = record.value is not None

        topic = Topics.LINK_HISTORY.name(self._settings.owner)
        await kafka.read_topic(self._settings, topic, remember)
        return frozenset(key for key, is_told in kept.items() if is_told)

    async def holdings(self, nodes: Iterable[NodeId]) -> list[Holding]:
        """What is held of each."""
        return await self._redis.run_all(holding(self._keys, node) for node in nodes)

    async def erase(
        self, target: _Target, before: Collection[Holding], kept: Collection[Pair]
    ) -> Certificate:
        """Erases identifiers, and looks whether nothing is left.

        Args:
            target: who they are.
            before: what is held of each of them.
            kept: pairs with them that Redis may not know.
        """
        keys, limits, nodes = self._keys, self._settings.limits, target.nodes
        newest_ms = max(held.newest_ms for held in before)
        erased_ms = min(max(clock.now_ms() + AHEAD_MS, newest_ms), MAX_TIME_MS - 2)
        withdrawn = withdrawn_in([*target.outliving, *(held.consents for held in before)])
        begun = [
            ErasureRecord(
                node=node, erased_ms=erased_ms, open_request=self._request, withdrawn=withdrawn
            )
            for node in nodes
        ]
        await self._write(begun)
        pairs = (await self._redis.run(begin_erasure(keys, nodes, erased_ms))).union(kept)
        ledger = LinkLedger(
            self._settings, self._producer, self._redis, Metrics(), self._next_token
        )
        async with kafka.patience():
            await ledger.forget(pairs)
        told = await self._tell(
            nodes, pairs, erased_ms, [outliving(one) for one in begun if withdrawn]
        )
        entries = await self._clean_numbers(set(nodes))
        # The second time for identifiers that had too many links: what is void counted until then.
        for _ in range(2):
            parted = part_erased(keys, nodes, pairs, self._next_token, limits=limits)
            async with kafka.patience():
                await ledger.tell([await self._redis.run(parted)])
            await self._redis.run(disown(keys, nodes, pairs, erased_ms))
        # What was on its way when the erasure began has come by now.
        matches = await self._forget_matches(set(nodes))
        history = await self._history_keys(nodes)
        async with kafka.patience():
            await ledger.forget_history(history)
        await self._let_copies_expire(set(nodes))
        await end_watches_of_nodes(self._settings, nodes)
        self._check(await self.holdings(nodes))
        await self._write([ErasureRecord(node=node, erased_ms=erased_ms) for node in nodes])
        verified_ms = clock.now_ms()
        return Certificate(
            id=self._request,
            owner=self._settings.owner,
            erased_up_to=_time(erased_ms),
            verified_at=_time(verified_ms),
            identifiers=tuple(map(_told_of, before)),
            erased_before=_time(target.erased_ms) if target.erased_ms else None,
            withdrawn=withdrawn,
            told=told,
            number_entries=entries,
            matches=matches,
            records={
                Topics.ERASURES.suffix: len(nodes),
                **{topic.suffix: len(pairs) for topic in LinkLedger.TOPICS},
                Topics.LINK_HISTORY.suffix: len(history),
            },
            stays=(*STAYS, old_records(verified_ms)),
        )

    async def _write(self, records: Iterable[ErasureRecord]) -> None:
        """Writes all records as one batch: Kafka has all or none, and so none is left behind."""
        name, sent, left = Topics.ERASURES.name(self._settings.owner), [], list(records)
        async with kafka.patience():
            while left:
                batch = self._producer.create_batch()
                while left and batch.append(
                    timestamp=None, key=left[-1].node.encode(), value=encode_erasure(left[-1])
                ):
                    left.pop()
                sent.append(await self._producer.send_batch(batch, name, partition=0))
            await asyncio.gather(*sent)

    async def _tell(
        self,
        nodes: Collection[NodeId],
        pairs: Collection[Pair],
        erased_ms: int,
        kept: Iterable[CarriedConsent],
    ) -> int:
        """Has whoever folds their records forget them, but for the words that are kept.

        Returns how many other identifiers forget them.
        """
        told = [
            AccountErased(
                event_id=f"{self._request}/{one}/{other}", ids=(other,), event_time_ms=erased_ms,
                account=one,
            )
            for one, other in to_tell(nodes, pairs)
        ]  # fmt: skip
        name, now_ms = Topics.EVENTS.name(self._settings.owner), clock.now_ms()
        async with kafka.patience():
            sent = [
                await self._producer.send(
                    name, key=one.ids[0].encode(), value=encode(one),
                    timestamp_ms=stamp_of(one.event_time_ms, now_ms),
                )
                for one in (*told, *kept)
            ]  # fmt: skip
            await asyncio.gather(*sent)
        return len({one.ids[0] for one in told}.difference(nodes))

    async def _clean_numbers(self, nodes: Collection[NodeId]) -> int:
        removed = 0
        async for book, fields in number_books(self._redis, self._keys):
            about = list(fields_about(fields, nodes))
            if about:
                removed += await self._redis.run(_remove(book, about))
        return removed

    async def _forget_matches(self, nodes: Collection[NodeId]) -> int:
        removed = 0
        async for page in matches_about(self._redis, self._keys, nodes):
            removed += await self._redis.run(_unlink(page)) if page else 0
        return removed

    async def _let_copies_expire(self, nodes: Collection[NodeId]) -> None:
        """Has the bid views of before go that splits froze; frozen persons do when one is done."""
        async for page in frozen_views(self._redis, self._keys, nodes):
            if page:
                await self._redis.run(_expire(page))

    def _check(self, after: list[Holding]) -> None:
        left = [held.node for held in after if not held.is_empty]
        if left:
            raise KinbidError(
                f"something came back of {', '.join(left)} while it was erased: erase one of them "
                "again, and all of the person are"
            )

    def _next_token(self) -> str:
        self._token_count += 1
        return f"{self._request}.{self._token_count:x}"


def _unlink(names: list[bytes]) -> Steps[int]:
    return sum((yield [("UNLINK", name) for name in names]))


def _expire(names: list[bytes]) -> Steps[None]:
    yield [("EXPIRE", name, FROZEN_SECONDS) for name in names]


def _remove(key: bytes, fields: list[bytes]) -> Steps[int]:
    (removed,) = yield [("HDEL", key, *fields)]
    return int(removed)


def _told_of(held: Holding) -> ErasedIdentifier:
    return ErasedIdentifier(
        namespace=namespace_of(held.node).name.lower(),
        node=held.node,
        events=held.events,
        orders=held.orders,
        impressions=held.impressions,
        links=len(held.linked),
    )


def _time(ms: int) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC).isoformat(" ", "seconds")
