"""Receipts in Kafka, found by the name of a bid or of a receipt, or by the exchange's auction id.

A name tells the worker and the second, so one partition is read from that second on: some thousand
records at most. An auction's id tells neither, so what is newest is searched first.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from kinbid.profile_report import time_text
from models.errors import EventError, KinbidError
from models.nonces import NonceParts, parse_nonce
from models.receipts import Receipt, auction_key, decode_receipt, receipt_partition
from models.topics import Topics
from models.units import DAY_MS, HOUR_MS, SECOND_MS
from runtime import clock, kafka
from runtime.settings import Settings

__all__ = ["NoReceiptError", "find_receipts"]

NEAR_MS: Final = 5 * SECOND_MS
"""A receipt is shipped with those of the same second, where nothing stands still."""
SHIPPING_MS: Final = 120 * SECOND_MS
"""Receipts wait for less than that, unless Kafka is away; then they come later, or never."""
BACK_MS: Final = (600 * SECOND_MS, 2 * HOUR_MS, DAY_MS, 3 * DAY_MS)
"""How far back an auction is looked for, step by step, before everything is read."""
POLL_MS: Final = 500
KEPT_DAYS: Final = (Topics.RECEIPTS.retention_ms or 0) // DAY_MS

_json: Final = msgspec.json.Encoder().encode


class NoReceiptError(KinbidError):
    """Nothing was kept under a name."""


async def find_receipts(
    settings: Settings, name: str, *, at_ms: int | None = None, exchange: str | None = None
) -> list[Receipt]:
    """The receipts of a name, oldest first: one of a bid's, of an auction's perhaps several.

    Args:
        settings: where Kafka is.
        name: of a receipt or a bid, or an auction's id.
        at_ms: about when the auction was, Unix ms; without it the newest is looked for first.
        exchange: whose auction it was; None for whichever, since each names its own.

    Raises:
        NoReceiptError: there is none.
        KafkaDownError: no broker answers.
    """
    named = parse_nonce(name)
    async with _receipts(settings) as topic:
        found = [] if named is None else await topic.of_nonce(name, named)
        found = found or await topic.of_auction(name, at_ms, exchange)
    if not found:
        raise NoReceiptError(_nothing_of(name, named, exchange, topic.read))
    return sorted(found, key=lambda one: one.time_ms)


def _nothing_of(name: str, named: NonceParts | None, exchange: str | None, read: int) -> str:
    where = "" if exchange is None else f" from {exchange}"
    when = ""
    if named is not None and named.second_ms <= clock.now_ms():
        when = f" (a bid of that name was made at {time_text(named.second_ms)})"
    return (
        f"no receipt of {name}{where}{when}: {read:,} records were read. Of most decisions none "
        f"is kept (KINBID_RECEIPT_SAMPLE_PERCENT), and each for {KEPT_DAYS} days; `kinbid receipts "
        "on` keeps all of a campaign, an exchange or a person from now on"
    )


@asynccontextmanager
async def _receipts(settings: Settings) -> AsyncIterator["_Receipts"]:
    await kafka.ensure_topics(settings)
    name = Topics.RECEIPTS.name(settings.owner)
    with kafka.failures_told(f"{name} cannot be read"):
        async with kafka.consuming(settings) as consumer:
            parts = [TopicPartition(name, n) for n in range(Topics.RECEIPTS.partitions)]
            consumer.assign(parts)
            async with kafka.patience():
                ends = await kafka.true_ends(consumer, parts)
            yield _Receipts(consumer, ends)


class _Receipts:
    """The topic, up to where it ended when this began."""

    def __init__(self, consumer: Any, ends: dict[TopicPartition, int]) -> None:  # noqa: ANN401
        self._consumer = consumer
        self._ends = ends
        self.read = 0

    async def of_nonce(self, name: str, named: NonceParts) -> list[Receipt]:
        """The receipt that one of its names leads to."""
        part = next(one for one in self._ends if one.partition == receipt_partition(named.worker))
        begin = await self._starts([part], named.second_ms)
        for end_ms in (named.second_ms + NEAR_MS, named.second_ms + SHIPPING_MS, None):
            end = self._ends if end_ms is None else await self._starts([part], end_ms)
            found = await self._search([part], begin, end, name.encode())
            kept = [one for one in found if name in one.names]
            if kept:
                return kept
            begin = end
        return []

    async def of_auction(
        self, auction: str, at_ms: int | None, exchange: str | None
    ) -> list[Receipt]:
        """The receipts of the latest time at which an exchange asked under that id."""
        key, parts = auction_key(auction), list(self._ends)
        steps: list[Mapping[TopicPartition, int]] = [self._ends]
        if at_ms is not None:
            steps = [
                await self._starts(parts, at_ms + SHIPPING_MS),
                await self._starts(parts, at_ms - SHIPPING_MS),
            ]
        else:
            now_ms = clock.now_ms()
            steps += [await self._starts(parts, now_ms - back_ms) for back_ms in BACK_MS]
            steps.append(dict.fromkeys(parts, 0))
        for ends, begins in pairwise(steps):
            found = await self._search(parts, begins, ends, b'"auction":' + _json(key))
            kept = [one for one in found if one.auction == key and exchange in {None, one.exchange}]
            if kept:
                return kept
        return []

    async def _starts(
        self, parts: Sequence[TopicPartition], time_ms: int
    ) -> dict[TopicPartition, int]:
        """The first record of each partition that is not older; its end where there is none."""
        told = await self._consumer.offsets_for_times(dict.fromkeys(parts, time_ms))
        starts = {}
        for part in parts:
            one = told.get(part)
            # The embedded broker answers with a time below 0 where others answer nothing.
            is_told = one is not None and one.timestamp >= 0
            starts[part] = one.offset if is_told else self._ends[part]
        return starts

    async def _search(
        self,
        parts: Sequence[TopicPartition],
        begins: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
        needle: bytes,
    ) -> list[Receipt]:
        """Receipts with these bytes in them, between two places of each partition."""
        consumer, found = self._consumer, list[Receipt]()
        left = [part for part in parts if begins[part] < ends[part]]
        consumer.assign(left)
        for part in left:
            consumer.seek(part, begins[part])
        async with kafka.patience() as moved:
            while left:
                fetched = await consumer.getmany(*left, timeout_ms=POLL_MS)
                if fetched:
                    moved()
                for part, records in fetched.items():
                    found += self._matching(records, ends[part], needle)
                done = [part for part in left if await consumer.position(part) >= ends[part]]
                left = [part for part in left if part not in done]
        return found

    def _matching(self, records: Sequence[Any], end: int, needle: bytes) -> list[Receipt]:
        self.read += len(records)
        found = []
        for record in records:
            if record.offset < end and needle in record.value:
                try:
                    found.append(decode_receipt(record.value))
                except EventError as error:
                    raise NoReceiptError(f"{record.key!r} cannot be read: {error}") from error
        return found
