"""Makes records durable before their sender is told so: in Kafka, or on disk until Kafka is back.

Kafka is asked first. Once it has not answered in time, records go to the spool, without asking,
until a segment of the spool has gone through again. A record may reach Kafka twice (it was slow, or
a worker died while it sent a segment on), and its nonce makes that harmless.

Declared mode without a spool, or with one that is full or fails: closed. The sender is told that
the notice was not taken, and repeats it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aiokafka.errors import KafkaError

from bidder import metrics
from bidder.metrics import Counters
from bidder.notices.segments import KafkaRecord
from bidder.notices.spool import Claim, Spool
from runtime.settings import Settings

__all__ = ["Keeper"]

logger = logging.getLogger(__name__)

KAFKA_FAILURES = metrics.slot("bidder_dependency_failures", "kafka")
SPOOL_FAILURES = metrics.slot("bidder_dependency_failures", "spool")
SPOOLED = metrics.slot("bidder_spooled_records")
DRAINED = metrics.slot("bidder_drained_records")

KAFKA_SECONDS: Final = 0.05
"""OpenX wants an answer within 80 ms; Kafka takes a few, and a disk some ten."""
UNSPOOLED_SECONDS: Final = 1.0
"""Where there is no spool: exchanges give a notice little time, and then repeat it."""
LOOK_SECONDS: Final = 1.0
SEND_SECONDS: Final = 5.0
AT_ONCE: Final = 500


class Keeper:
    """Keeps records.

    Args:
        settings: where the spool is, and how large it may be.
        producer: of Kafka.
        counters: of this worker.

    Raises:
        SpoolError: there is to be a spool, and its folder cannot be used.
    """

    def __init__(self, settings: Settings, producer: Any, counters: Counters) -> None:  # noqa: ANN401 - untyped library
        self._producer = producer
        self._counters = counters
        self._spool: Spool | None = None
        if settings.spool_directory:
            folder = Path(settings.spool_directory) / settings.owner
            self._spool = Spool(folder, settings.spool_megabytes << 20)
        self._asks_kafka = True

    async def keep(self, record: KafkaRecord) -> bool:
        """Makes a record durable; False where nobody could, so that the sender has to repeat it."""
        spool = self._spool
        if self._asks_kafka or spool is None:
            seconds = UNSPOOLED_SECONDS if spool is None else KAFKA_SECONDS
            if await self._send([record], seconds):
                return True
            self._asks_kafka = False
        if spool is None:
            return False
        if not await spool.append(record):
            self._counters.add(SPOOL_FAILURES)
            return False
        self._counters.add(SPOOLED)
        return True

    async def _send(self, records: Sequence[KafkaRecord], seconds: float) -> bool:
        sent = (
            self._producer.send_and_wait(
                one.topic, value=one.value, key=one.key, headers=list(one.headers)
            )
            for one in records
        )
        try:
            # What Kafka takes after that comes twice, and the nonce in it counts once.
            async with asyncio.timeout(seconds):
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError):
            self._counters.add(KAFKA_FAILURES)
            return False
        return True

    # -- draining ------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Sends what is spooled on, whoever spooled it, until cancelled."""
        while True:
            if self._spool is not None:
                await self._drain_all(self._spool)
            await asyncio.sleep(LOOK_SECONDS)

    async def _drain_all(self, spool: Spool) -> None:
        try:
            while await self._drain_one(spool):
                pass
        except OSError as error:
            self._counters.add(SPOOL_FAILURES)
            logger.error("spool_failed", extra={"reason": str(error)})  # noqa: TRY400
        self._counters.set_spool(spool.bytes_waiting)

    async def _drain_one(self, spool: Spool) -> bool:
        """Sends one segment on; whether there may be more to send."""
        claim = await spool.claim()
        self._counters.set_spool(spool.bytes_waiting)
        if claim is None:
            # Nothing waits for us: the next notice finds out whether Kafka is there.
            self._asks_kafka = True
            return False
        is_sent = False
        try:
            is_sent = await self._send_on(claim)
        finally:
            await asyncio.shield(spool.remove(claim) if is_sent else spool.release(claim))
        if is_sent:
            self._asks_kafka = True
        return is_sent

    async def _send_on(self, claim: Claim) -> bool:
        segment = claim.segment
        if segment.damaged or segment.torn_bytes:
            logger.warning(
                "spool_segment_not_whole",
                extra={
                    "file": claim.path.name,
                    "damaged": segment.damaged,
                    "torn_bytes": segment.torn_bytes,
                },
            )
            self._counters.add(SPOOL_FAILURES, segment.damaged)
        # One alone finds out whether Kafka is there: hundreds would pile up in the producer.
        first, rest = segment.records[:1], segment.records[1:]
        chunks = [first] + [rest[place : place + AT_ONCE] for place in range(0, len(rest), AT_ONCE)]
        for chunk in chunks:
            if chunk and not await self._send(chunk, SEND_SECONDS):
                return False
            self._counters.add(DRAINED, len(chunk))
        logger.info(
            "spool_segment_sent", extra={"file": claim.path.name, "records": len(segment.records)}
        )
        return True

    async def close(self) -> None:
        """Ends; what is spooled waits for whoever comes next."""
        if self._spool is not None:
            with contextlib.suppress(OSError):
                await self._spool.close()
