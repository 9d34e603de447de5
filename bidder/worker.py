"""One bidder worker: ``python -m bidder.worker``, started by the supervisor, never by hand.

It inherits its listening socket and its metrics' memory, so a successor takes the socket over, and
connections that wait in its queue are not lost.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
from typing import Any, Final, NamedTuple

import uvloop

from bidder.catalog_feed import CatalogFeed
from bidder.collector import Collector
from bidder.connections import Connections, HttpLimits, allow_descriptors
from bidder.doors import Doors
from bidder.drain import drain
from bidder.entrance import Entrance
from bidder.http1 import HttpConnection
from bidder.lag import LagMeter
from bidder.metrics import LAYOUT, STARTS, STARTS_WITH_CLIENTS, Counters, open_memory, slot
from bidder.notices import Keeper, Notices
from bidder.path import BidPath
from bidder.receipt_outbox import Outbox
from bidder.receipts import Receipts, code_version
from bidder.server import Server
from bidder.syncs import Syncs
from bidder.warmup import RehearsalRedis, rehearse
from models.budgets import Allowances
from models.catalog import Catalog
from models.errors import DownError, KinbidError
from models.fold_clock import FoldClock
from models.keys import Keys
from models.units import SECOND_MS
from models.watches import Watches
from runtime import clock, kafka, logs
from runtime.parent import end_with_parent
from runtime.pepper import pepper_of
from runtime.redis_url import link_to
from runtime.settings import Settings, load

__all__ = ["main"]

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 0.5
DRAIN_SECONDS: Final = 5.0
REDIS_STALL_SECONDS: Final = 0.5  # a few bid requests' time: after that context is all there is
REDIS_PATIENCE_SECONDS: Final = 0.05
"""Half of an ordinary request's time: who asks behind a command that waits longer gets no answer in
time, so the request is answered for its context at once."""

REDIS_OPEN_SECONDS: Final = 1.0
CATALOG_PATIENCE_SECONDS: Final = 2.0
"""Clients in the queue of a worker that died are not left without an answer for longer."""

CATALOG_RETRY_SECONDS: Final = 1.0
SPEND_UNKNOWN = slot("bidder_dependency_failures", "spend")
CATALOG_FAILURES = slot("bidder_dependency_failures", "catalog")


def main() -> int:
    """Runs the worker until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bidder.worker")
    for name in ("listener", "memory", "layout", "parent", "number"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--cause", choices=STARTS, required=True)
    args = parser.parse_args()
    end_with_parent(args.parent)
    settings = load().settings
    logs.configure(f"bidder-{args.number}", settings.log_level)
    try:
        _check_layout(args.layout)
        worker = _Worker(settings, Counters(args.memory), args.cause)
        uvloop.run(worker.run(socket.socket(fileno=args.listener)))
    except KinbidError as error:
        logger.critical("bidder_failed", extra={"reason": str(error)})
        return 1
    return 0


def _check_layout(layout: int) -> None:
    if layout != LAYOUT:
        raise KinbidError(
            "the code that is installed now has other metrics than the bidder that runs: "
            "end that and start it anew"
        )


class _Worker:
    """What one process does between its start and its end."""

    def __init__(self, settings: Settings, counters: Counters, cause: str) -> None:
        self._settings = settings
        self._counters = counters
        self._cause = cause
        self._catalog = Catalog()
        self._allowances = Allowances(settings.time_zone, settings.bidder_workers)
        self._folds = FoldClock(settings.streams_patience_seconds * SECOND_MS)
        self._collector = Collector(counters)
        self._watches = Watches()
        self._feed = self._new_feed()
        self._doors = Doors(counters)
        self._connections = Connections(_http_limits(settings), counters)
        self._is_leaving = False
        self._redis = link_to(
            settings.redis_url, name="kinbid-bidder", stall_seconds=REDIS_STALL_SECONDS,
            patience_seconds=REDIS_PATIENCE_SECONDS,
        )  # fmt: skip

    def _new_feed(self) -> CatalogFeed:
        return CatalogFeed(
            self._settings, self._catalog, self._allowances,
            lambda: self._counters.add(CATALOG_FAILURES),
            self._collector.changed,
            watches=self._watches,
            folds=self._folds,
        )  # fmt: skip

    async def run(self, listener: socket.socket) -> None:
        """Prepares, serves until told to stop, and drains."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopping.set)
        loop.add_signal_handler(signal.SIGINT, stopping.set)
        self._collector.watch()
        preparing = asyncio.create_task(self._prepare())
        await asyncio.wait({preparing}, timeout=self._patience_seconds)
        if preparing.done():
            await preparing  # raises what went wrong, before anybody is let in
        entrance = Entrance(listener, lambda: HttpConnection(self._doors.handle, self._connections))
        await entrance.open()
        self._counters.set_serving(is_serving=True)
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait({preparing, told}, return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            await self._serve(await preparing, told, entrance)
        else:
            entrance.close()
        await _stop(told, preparing)
        await self._feed.stop()
        await self._redis.close()
        if not stopping.is_set():
            raise KinbidError("a task of the worker ended unasked; its error is above")

    @property
    def _patience_seconds(self) -> float | None:
        """How long clients may wait for the catalogue; None where none can be in the queue."""
        return CATALOG_PATIENCE_SECONDS if self._has_clients else None

    @property
    def _has_clients(self) -> bool:
        return self._cause in STARTS_WITH_CLIENTS

    # -- before ----------------------------------------------------------------------------

    async def _prepare(self) -> "_Ready":
        """Everything that is needed to bid; without Redis there is less to bid on."""
        opening = asyncio.create_task(self._redis.open())
        producer = await self._fetch_catalog()
        await asyncio.wait({opening}, timeout=REDIS_OPEN_SECONDS)
        away = opening.result() if opening.done() else "it does not answer"
        if away is not None:
            logger.error("redis_away", extra={"reason": str(away)})
        path = BidPath(self._settings, self._catalog, self._counters, self._allowances, self._folds)
        keeper = Keeper(self._settings, producer, self._counters)
        notices = Notices(self._settings, self._catalog, keeper, self._counters, path.delays)
        syncs = Syncs(
            self._settings, pepper_of(self._settings), self._catalog, keeper, self._counters,
            may_keep_ids=lambda request: path.privacy.use_of(request).ids,
        )  # fmt: skip
        keys = Keys(self._settings.owner)
        self._warm_up(notices, syncs, keys)
        outbox = self._keep_receipts(path)
        # What the catalogue holds lives long: keep full collections from walking it.
        self._collector.settle()
        self._folds.move_to(clock.now_ms())
        server = Server(path, notices, self._redis, keys, self._counters, syncs=syncs)
        self._doors.open(server.handle)
        return _Ready(server, path, producer, keeper, outbox)

    def _keep_receipts(self, path: BidPath) -> Outbox:
        """Has the path's decisions kept, as far as the settings and watches ask for it."""
        settings, outbox = self._settings, Outbox(self._settings, self._counters, path.worker)
        path.receipts = Receipts(
            outbox, self._counters, self._watches,
            code=code_version(), public_url=settings.public_url, as_of=self._catalog.as_of,
            sample_percent=settings.receipt_sample_percent,
            full_percent=settings.receipt_full_percent,
        )  # fmt: skip
        return outbox

    async def _fetch_catalog(self) -> Any:  # noqa: ANN401 - aiokafka has no types
        """Reads the catalogue; a worker with clients in its queue tries as often as it takes."""
        while True:
            try:
                producer = await kafka.producer(self._settings)
                try:
                    with self._collector.changing():
                        await self._feed.load()
                except BaseException:
                    await producer.stop()
                    raise
            except DownError as error:
                self._counters.add(CATALOG_FAILURES)
                if not self._has_clients:
                    raise
                logger.warning("catalog_missing", extra={"reason": str(error)})
                await self._feed.stop()
                self._feed = self._new_feed()
                await asyncio.sleep(CATALOG_RETRY_SECONDS)
            else:
                return producer

    def _warm_up(self, notices: Notices, syncs: Syncs, keys: Keys) -> None:
        with open_memory() as memory:
            scratch = Counters(memory.fileno())
            path = BidPath(self._settings, self._catalog, scratch)
            redis = RehearsalRedis(self._catalog, clock.now_ms())
            server = Server(path, notices, redis, keys, scratch, syncs=syncs)
            count = rehearse(
                server.handle, redis, self._catalog, Connections(HttpLimits(), scratch)
            )
        logger.info("bidder_warm", extra={"requests": count})

    # -- meanwhile -------------------------------------------------------------------------

    async def _serve(self, ready: "_Ready", told: asyncio.Task[Any], entrance: Entrance) -> None:
        """Until told to stop, or until a task that never ends has ended; then drains."""
        lag = LagMeter(self._counters)
        lag.start()
        tasks = (
            asyncio.create_task(self._feed.follow()),
            asyncio.create_task(self._beat(ready.path, ready.server)),
            asyncio.create_task(self._connections.turn()),
            asyncio.create_task(ready.outbox.run()),
            asyncio.create_task(ready.keeper.drain()),
        )
        logger.info("bidder_ready", extra={"campaigns": len(self._catalog.campaigns)})
        done, _ = await asyncio.wait({told, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {told}:
            logger.critical("task_ended", exc_info=task.exception())
        self._is_leaving = True
        self._counters.set_ready(is_ready=False)
        entrance.close()
        logger.info("bidder_stopping", extra={"connections": len(self._connections)})
        silent = await drain(self._connections)
        logger.info("bidder_drained", extra={"silent": silent})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await ready.server.drain()
        lag.stop()
        await _stop(*tasks)
        await ready.outbox.close()
        await ready.keeper.close()
        await ready.producer.stop()

    async def _beat(self, path: BidPath, server: Server) -> None:
        """Shows that the loop is alive, whether it should get requests, and cleans up."""
        while True:
            now_ms = clock.now_ms()
            self._counters.beat(now_ms, self._feed.fresh_at_ms)
            self._counters.set_ready(is_ready=self._redis.is_up and not self._is_leaving)
            path.folds.move_to(now_ms)
            path.own.forget_expired(now_ms - path.folds.behind_ms)
            path.allowances.move_to(now_ms)
            self._counters.add(SPEND_UNKNOWN, path.allowances.are_closed)
            path.privacy.forget_strings(now_ms)
            if path.receipts is not None:
                path.receipts.refresh(now_ms)
            self._collector.tidy(now_ms, is_idle=server.is_idle)
            await asyncio.sleep(BEAT_SECONDS)


class _Ready(NamedTuple):
    """What a worker has when it can bid."""

    server: Server
    path: BidPath
    producer: Any  # aiokafka has no types
    keeper: Keeper
    outbox: Outbox


def _http_limits(settings: Settings) -> HttpLimits:
    asked = settings.bidder_connections
    allowed = allow_descriptors(asked)
    if allowed < asked:
        logger.warning("connections_limited", extra={"asked": asked, "allowed": allowed})
    return HttpLimits(
        idle_ms=settings.bidder_idle_seconds * 1000,
        receive_ms=settings.bidder_receive_seconds * 1000,
        connections=allowed,
    )


async def _stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
