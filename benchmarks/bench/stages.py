"""CPU by stage, apart: the worker's own loop in this process, on records fetched beforehand.

In a worker the next records arrive while a batch waits for Redis, so its stages hold a little of
the fetch. Here everything is fetched first and timed by itself, and then the same ``Firehose``
folds it.
"""

import asyncio
import time
from collections import deque
from typing import Any, Final

from benchmarks.bench.site import Site
from runtime import kafka
from runtime.redis_url import link_to
from runtime.settings import Settings
from streams.firehose import Firehose
from streams.metrics import Metrics
from streams.stage_clock import STAGES

__all__ = ["stages_apart"]

POLL_MS: Final = 500


class _Prefetched:
    """A consumer whose records have arrived already; all else is the real one's."""

    def __init__(self, consumer: Any, batches: deque[Any]) -> None:  # noqa: ANN401 - untyped library
        self._consumer = consumer
        self._batches = batches
        self.is_empty = asyncio.Event()

    async def getmany(self, **_: Any) -> Any:  # noqa: ANN401 - untyped library
        if not self._batches:
            self.is_empty.set()
            await asyncio.Event().wait()
        return self._batches.popleft()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - untyped library
        return getattr(self._consumer, name)


async def stages_apart(site: Site, settings: Settings, count: int) -> dict[str, float]:
    """Folds ``count`` records that wait in the owner's events topic, in this process.

    Returns:
        Microseconds of CPU per record: each of ``STAGES``, their ``sum``, and the ``whole`` that
        this process used meanwhile, all threads.
    """
    metrics = Metrics()
    redis = link_to(settings.redis_url, name="kinbid-bench")
    await redis.connect()
    producer = await kafka.producer(settings)
    consumer = await kafka.consumer(settings, group=f"{settings.owner}.streams")
    consumer.subscribe([f"{settings.owner}.events.v1"])
    try:
        fetch_began, whole_began = time.thread_time(), time.process_time()
        batches = await _fetch(consumer, settings.streams_batch_records, count)
        fetch_seconds = time.thread_time() - fetch_began
        site.say(f"fetched {count} records; folding them in this process")
        source = _Prefetched(consumer, batches)
        firehose = Firehose(settings, source, producer, redis, metrics)
        loop_task = asyncio.create_task(firehose.run())
        await source.is_empty.wait()
        loop_task.cancel()
        await firehose.stop()
        whole_seconds = time.process_time() - whole_began
    finally:
        await consumer.stop()
        await producer.stop()
        await redis.close()
    spent: dict[str, float] = {
        stage: metrics.registry.get_sample_value(
            "streams_stage_cpu_seconds_total", {"stage": stage}
        ) or 0.0
        for stage in STAGES
    }  # fmt: skip
    spent["fetch"] += fetch_seconds
    spent["sum"] = sum(spent.values())
    spent["whole"] = whole_seconds
    return {name: seconds * 1e6 / count for name, seconds in spent.items()}


async def _fetch(consumer: Any, most: int, count: int) -> deque[Any]:  # noqa: ANN401
    batches: deque[Any] = deque()
    got = 0
    while got < count:
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=most)
        if fetched:
            batches.append(fetched)
            got += sum(map(len, fetched.values()))
    return batches
