"""One bidder worker: ``python -m bidder.worker``, started by the supervisor, never by hand.

It inherits its listening socket and its metrics' memory, so a successor takes over both, and
connections that wait in the socket's queue are not lost.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from typing import Any, Final

import uvloop

from bidder.catalog_feed import CatalogFeed
from bidder.http1 import HttpConnection
from bidder.metrics import Counters, slot
from bidder.notices import Notices
from bidder.path import BidPath
from bidder.receipts import Outbox, Receipts, code_version
from bidder.server import Server
from models.budgets import Allowances
from models.catalog import Catalog
from models.errors import KinbidError
from models.keys import Keys
from models.watches import Watches
from runtime import clock, kafka, logs
from runtime.link import Link
from runtime.parent import end_with_parent
from runtime.redis_url import link_to
from runtime.settings import Settings, load

__all__ = ["main"]

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 5.0
REDIS_STALL_SECONDS: Final = 0.5  # a few bid requests' time: after that context is all there is
SPEND_UNKNOWN = slot("bidder_dependency_failures", "spend")
CATALOG_FAILURES = slot("bidder_dependency_failures", "catalog")


def main() -> int:
    """Runs the worker until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bidder.worker")
    for name in ("listener", "memory", "parent", "number"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    end_with_parent(args.parent)
    settings = load().settings
    logs.configure(f"bidder-{args.number}", settings.log_level)
    counters = Counters(args.memory)
    try:
        uvloop.run(_run(settings, socket.socket(fileno=args.listener), counters))
    except KinbidError as error:
        logger.critical("bidder_failed", extra={"reason": str(error)})
        return 1
    return 0


async def _run(settings: Settings, listener: socket.socket, counters: Counters) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, stopping.set)
    catalog = Catalog()
    allowances = Allowances(settings.time_zone)
    watches = Watches()
    feed = CatalogFeed(
        settings, catalog, allowances, lambda: counters.add(CATALOG_FAILURES), watches
    )
    redis = link_to(settings.redis_url, name="kinbid-bidder", stall_seconds=REDIS_STALL_SECONDS)
    await redis.connect()
    producer = await kafka.producer(settings)
    await feed.load()
    path = BidPath(settings, catalog, counters, allowances)
    outbox = Outbox(settings, counters, path.worker)
    path.receipts = Receipts(
        outbox, counters, watches, code=code_version(), public_url=settings.public_url,
        sample_percent=settings.receipt_sample_percent,
        full_percent=settings.receipt_full_percent,
    )  # fmt: skip
    notices = Notices(settings, producer, counters)
    server = Server(path, notices, redis, Keys(settings.owner), counters)
    # What the catalogue holds lives long: keep full collections from walking it.
    gc.collect()
    gc.freeze()
    following = asyncio.create_task(feed.follow())
    beating = asyncio.create_task(_beat(counters, redis, path, feed))
    shipping = asyncio.create_task(outbox.run())
    http = await loop.create_server(lambda: HttpConnection(server.handle), sock=listener)
    counters.set_ready(is_ready=True)
    logger.info("bidder_ready", extra={"campaigns": len(catalog.campaigns)})
    await _first_of(stopping, following, beating, shipping)
    await _stop(beating)
    counters.set_ready(is_ready=False)
    logger.info("bidder_stopping")
    http.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(server.drain(), DRAIN_SECONDS)
    await _stop(following, shipping)
    await outbox.close()
    await feed.stop()
    await producer.stop()
    await redis.close()
    if not stopping.is_set():
        raise KinbidError("a task of the worker ended unasked; its error is above")


async def _first_of(stopping: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Waits until told to stop, or until a task that never ends has ended."""
    told = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({told, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    for task in done - {told}:
        logger.critical("task_ended", exc_info=task.exception())


async def _beat(counters: Counters, redis: Link, path: BidPath, feed: CatalogFeed) -> None:
    """Shows that the loop is alive, whether it should get requests, and cleans up."""
    while True:
        now_ms = clock.now_ms()
        counters.beat(now_ms, feed.fresh_at_ms)
        counters.set_ready(is_ready=redis.is_up)
        path.own.forget_expired(now_ms)
        path.allowances.move_to(now_ms)
        counters.add(SPEND_UNKNOWN, path.allowances.are_closed)
        path.privacy.forget_strings(now_ms)
        if path.receipts is not None:
            path.receipts.refresh(now_ms)
        await asyncio.sleep(BEAT_SECONDS)


async def _stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
