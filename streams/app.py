"""The streams worker: Faust hosts it and carries the low-rate topics, the firehose runs beside.

This is the only module that knows Faust.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import faust
import uvloop
from aiokafka.errors import KafkaError

from models.catalog_records import encode_record
from models.errors import EventError, KinbidError
from models.keys import Keys
from models.rebuild_mark import is_rebuild_marked
from models.topics import Topics
from runtime import clock, kafka, logs
from runtime.admin import AdminServer
from runtime.link import Link
from runtime.redis_url import link_to
from runtime.settings import Settings
from streams.dead_letters import DeadLetters
from streams.firehose import Firehose
from streams.metrics import Metrics
from streams.spend import SpendKeeper
from streams.stages.offers import OfferGate
from streams.suppression import suppress

__all__ = ["run"]

logger = logging.getLogger(__name__)

STALL_SECONDS: Final = 30.0
SILENCE_MS: Final = 10_000
OFFERS_AT_ONCE: Final = 500
OFFERS_WITHIN_SECONDS: Final = 0.02
RETRY_SECONDS: Final = 0.5
YOUNG_OBJECTS: Final = 20_000
"""Objects between two runs of the collector: a batch makes some thousands that do not stay."""


class UnfinishedRebuildError(KinbidError):
    """Redis holds only a part of what Kafka tells: what is folded now might never be whole."""

    def __init__(self, owner: str) -> None:
        super().__init__(
            f"Redis holds only a part of what is known of owner {owner!r}: a rebuild is under way, "
            "or one broke off. Wait for it, or run `kinbid rebuild --yes`, which finishes it; then "
            "start streams"
        )


def run(settings: Settings, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Runs the worker until SIGTERM or SIGINT, then drains.

    Args:
        settings: where Kafka and Redis are.
        on_ready: called with what is worth telling once the worker is ready.

    Raises:
        KinbidError: Kafka or Redis cannot be used, a rebuild is not finished, or Redis has lost
            what was folded into it.
    """
    logs.configure("streams", settings.log_level)
    uvloop.run(_main(settings, on_ready))


async def _main(settings: Settings, on_ready: Callable[[dict[str, Any]], None]) -> None:
    await kafka.ensure_topics(settings)
    metrics = Metrics()
    redis = link_to(settings.redis_url, name="kinbid-streams")
    await redis.connect()
    if await redis.run(is_rebuild_marked(Keys(settings.owner))):
        raise UnfinishedRebuildError(settings.owner)
    logger.info("erased_known", extra={"identifiers": await suppress(settings, redis)})
    owner = settings.owner
    producer = await kafka.producer(settings)
    consumer = await kafka.consumer(settings, group=f"{owner}.streams")
    firehose = Firehose(settings, consumer, producer, redis, metrics)
    consumer.subscribe(firehose.topics, listener=firehose)
    billed = await kafka.consumer(settings, group=f"{owner}.streams-spend")
    spend = SpendKeeper(settings, billed, producer, metrics)
    billed.subscribe([spend.topic], listener=spend)
    app = _faust_app(settings, Path(tempfile.gettempdir()) / "kinbid-faust")
    _carry_offers(app, settings, await _offer_gate(settings), producer, metrics)
    admin = AdminServer(
        settings.admin_host, settings.streams_admin_port, metrics.registry,
        healthy=lambda: _stalled(firehose), ready=lambda: _not_ready(redis, consumer),
    )  # fmt: skip
    loops = [asyncio.create_task(one.run()) for one in (firehose, spend)]
    await app.start()
    await _until(firehose.ready, loops)
    if firehose.ready.is_set():
        # Only now: until it is ready there is nothing to drain: a signal may just end the process.
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        _keep_collector_quiet()
        logger.info("streams_ready", extra={"admin": admin.url})
        on_ready({"metrics": admin.url})
        await _until(stopping, loops)
    logger.info("streams_stopping")
    await app.stop()
    for task in loops:
        task.cancel()
    await firehose.stop()
    await spend.stop()
    await consumer.stop()
    await billed.stop()
    await producer.stop()
    await redis.close()
    admin.close()
    _raise_if_ended(loops)


def _raise_if_ended(loops: list[asyncio.Task[None]]) -> None:
    """Tells of a loop that has ended by itself, which none does."""
    for task in loops:
        if task.done() and not task.cancelled():
            error = task.exception()
            logger.critical("loop_ended", exc_info=error)
            raise (
                error if isinstance(error, KinbidError) else KinbidError(f"a loop ended: {error!r}")
            )


def _keep_collector_quiet() -> None:
    """What stands now stays; records and profiles go by reference count, without any cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


async def _until(event: asyncio.Event, loops: list[asyncio.Task[None]]) -> None:
    """Waits for the event, or for a loop to end by itself."""
    waiter = asyncio.create_task(event.wait())
    await asyncio.wait({waiter, *loops}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()


def _stalled(firehose: Firehose) -> str | None:
    idle = time.monotonic() - firehose.beat
    return f"the firehose has not moved for {idle:.0f} s" if idle > STALL_SECONDS else None


def _not_ready(redis: Link, consumer: Any) -> str | None:  # noqa: ANN401 - untyped library
    if not redis.is_up:
        return "Redis cannot be reached"
    assigned = consumer.assignment()
    if not assigned:
        return "no partitions assigned yet"
    heard_ms = max(consumer.last_poll_timestamp(part) or 0 for part in assigned)
    if clock.now_ms() - heard_ms <= SILENCE_MS:
        return None
    return "Kafka does not answer" if heard_ms else "Kafka has not answered yet"


def _faust_app(settings: Settings, datadir: Path) -> faust.App:
    brokers = ";".join(f"kafka://{one}" for one in settings.kafka_bootstrap.split(","))
    return faust.App(
        f"{settings.owner}.streams-offers",
        broker=brokers,
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=settings.kafka_session_timeout_ms / 1000,
        broker_heartbeat_interval=settings.kafka_session_timeout_ms / 6000,
        stream_wait_empty=False,
        broker_commit_interval=0.5,
        datadir=str(datadir),  # Faust makes it, and keeps nothing in it: there are no tables
    )


async def _offer_gate(settings: Settings) -> OfferGate:
    """A gate that knows the versions which are on sale already."""
    gate = OfferGate()

    def remember(record: Any) -> None:  # noqa: ANN401 - untyped library
        # What stands there was let through by a gate; an older kind of record just is not known.
        with contextlib.suppress(EventError):
            gate.admit(record.key, record.value)

    await kafka.read_topic(settings, Topics.OFFERS.name(settings.owner), remember)
    return gate


def _carry_offers(
    app: faust.App,
    settings: Settings,
    gate: OfferGate,
    producer: Any,  # noqa: ANN401 - untyped library
    metrics: Metrics,
) -> None:
    owner = settings.owner
    source = app.topic(
        Topics.INVENTORY.name(owner), key_serializer="raw", value_serializer="raw",
        key_type=bytes, value_type=bytes,
    )  # fmt: skip
    target = Topics.OFFERS.name(owner)
    dead_letters = DeadLetters(settings, producer, metrics)

    async def carry(event: Any) -> Any:  # noqa: ANN401 - the producer's future, untyped
        try:
            admitted = gate.admit(event.key, event.value)
        except EventError as error:
            await dead_letters.bury(
                "inventory", _source(event), (event.key, event.value), str(error)
            )
            known = gate.forget(event.key)
            # Nobody knows what is left of what cannot be read: it is not advertised any more.
            return None if known is None else await producer.send(target, key=known, value=None)
        if admitted is None:
            metrics.stale_offers.inc()
            return None
        name, offer = admitted
        metrics.offers.labels(name.partition("/")[0]).inc()
        value = None if offer is None else encode_record(offer)
        return await producer.send(target, key=name.encode(), value=value)

    @app.agent(source, name="offers")
    async def offers(stream: Any) -> None:  # noqa: ANN401 - untyped library
        """Publishes offers; Faust commits a record only after it is durable downstream."""
        async for events in stream.take_events(OFFERS_AT_ONCE, within=OFFERS_WITHIN_SECONDS):
            await _until_durable(events, carry, metrics)


def _source(event: Any) -> tuple[str, int, int]:  # noqa: ANN401 - untyped library
    message = event.message
    return message.topic, message.partition, message.offset


async def _until_durable(events: Any, carry: Any, metrics: Metrics) -> None:  # noqa: ANN401
    """Carries records until Kafka has them all; repeating one only repeats its newest version."""
    while True:
        try:
            sent = [await carry(event) for event in events]
            await asyncio.gather(*(future for future in sent if future is not None))
        except KafkaError as error:
            metrics.retries.labels("kafka").inc()
            logger.warning("offers_retried", extra={"reason": str(error)})
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
