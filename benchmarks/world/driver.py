"""Drives a world against a running system: events to Kafka, ad slots to the bidder, in real time.

The loop is open: actions have fixed instants, and a latency counts from the instant at which its
request was due, so a slow answer cannot slow the measuring down (coordinated omission).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.world.actions import Action, Canary, Emit, Opportunity, Restock
from benchmarks.world.auctioneer import Auctioneer
from benchmarks.world.canary import POLL_MS, probe
from benchmarks.world.feed import Clock, Feed, make_producer
from benchmarks.world.http_client import HttpClient
from benchmarks.world.referee import Referee
from benchmarks.world.report import Backfill, Progress, Report, Tally
from benchmarks.world.story import World

__all__ = ["backfill", "run"]

NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000
START_DELAY_NS: Final = 50 * NS_PER_MS

LATE_SEND_MS: Final = 5
"""An action that begins later than this after its instant is counted as late."""

SHORTEST_SLEEP_NS: Final = 200_000
"""Shorter waits are not worth a turn of the event loop."""


async def backfill(
    world: World,
    *,
    bootstrap: str,
    topics_owner: str,
    referee: Referee,
    idempotence: bool = False,
) -> Backfill:
    """Produces the inventory and the history, and waits until Kafka has all of it.

    Args:
        world: whose.
        bootstrap: Kafka, ``HOST:PORT``.
        topics_owner: prefix of the topics.
        referee: told of each record.
        idempotence: see `make_producer`.
    """
    clock, failures = Clock(), Counter[str]()
    begun_ms = clock.now_ms()
    events, offers = world.backfill(), world.offers()
    async with make_producer(bootstrap, idempotence=idempotence) as producer:
        feed = Feed(_sender(producer), topics_owner, referee, clock, failures)
        for offer in offers:
            feed.put(offer)
        for event in events:
            feed.put(event, is_live=False)
        feed.finish()
        await feed.pump()
        await producer.flush()
    seconds = (clock.now_ms() - begun_ms) / 1000
    return Backfill(len(events), len(offers), round(seconds, 3), dict(failures))


async def run(
    world: World,
    *,
    bidder_url: str,
    bootstrap: str,
    topics_owner: str,
    seconds: float,
    referee: Referee,
    progress: Callable[[Progress], None],
    idempotence: bool = False,
    connections: int = 32,
) -> Report:
    """Plays the live part of a world in real time.

    Args:
        world: what happens.
        bidder_url: ``http://HOST:PORT``.
        bootstrap: Kafka, ``HOST:PORT``.
        topics_owner: prefix of the topics.
        seconds: how long.
        referee: judges; the one that was told of the backfill.
        progress: called once a second.
        idempotence: see `make_producer`.
        connections: to the bidder; opened at the start.

    Raises:
        HttpError: nobody listens at ``bidder_url``.
    """
    host = urlsplit(bidder_url).netloc
    client = HttpClient(connections=connections)
    try:
        await client.connect(host)
        async with make_producer(bootstrap, idempotence=idempotence) as producer:
            tally, clock = Tally(), Clock()
            feed = Feed(_sender(producer), topics_owner, referee, clock, tally.failures)
            auctioneer = Auctioneer(
                world, host, client=client, feed=feed, referee=referee, clock=clock, tally=tally,
                end_ms=clock.now_ms() + seconds * 1000,
            )  # fmt: skip
            live = Live(
                world, host, auctioneer, client=client, feed=feed, referee=referee, clock=clock,
                tally=tally,
            )  # fmt: skip
            report = await live.play(seconds, progress)
            await producer.flush()
            # Deliveries that failed in the flush belong to the report too.
            return msgspec.structs.replace(report, failures=dict(tally.failures))
    finally:
        client.close()


def _sender(producer: AIOKafkaProducer) -> Callable[[str, bytes, bytes], Any]:
    def send(topic: str, key: bytes, value: bytes) -> Any:  # noqa: ANN401 - untyped library
        return producer.send(topic, value=value, key=key)

    return send


class Live:
    """The live part: dispatches actions at their instants and reports every second.

    Args:
        world: what happens.
        host: the bidder's ``HOST:PORT``.
        auctioneer: sells the slots.
        client: for the probes.
        feed: for events and offers.
        referee: whose verdict is reported.
        clock: the driver's.
        tally: counts.
    """

    def __init__(
        self,
        world: World,
        host: str,
        auctioneer: Auctioneer,
        *,
        client: HttpClient,
        feed: Feed,
        referee: Referee,
        clock: Clock,
        tally: Tally,
    ) -> None:
        self._world = world
        self._host = host
        self._auctioneer = auctioneer
        self._client = client
        self._feed = feed
        self._referee = referee
        self._clock = clock
        self._tally = tally
        self._begun_ns = 0

    async def play(self, seconds: float, progress: Callable[[Progress], None]) -> Report:
        """Plays ``seconds`` of the world, and waits for what is under way at the end."""
        begun_cpu = time.process_time()
        self._begun_ns = self._clock.monotonic_ns() + START_DELAY_NS
        async with asyncio.TaskGroup() as services:
            services.create_task(self._feed.pump())
            ticker = services.create_task(self._tick(progress))
            async with asyncio.TaskGroup() as tasks:
                await self._dispatch_all(seconds, tasks)
                elapsed = max(seconds, self._elapsed_seconds())
            ticker.cancel()
            self._feed.finish()
        return self._tally.report(
            self._referee.verdict(),
            seed=self._world.seed,
            persons=self._world.persons,
            seconds=elapsed,
            cpu_seconds=time.process_time() - begun_cpu,
            grain_ms=POLL_MS,
        )

    def _elapsed_seconds(self) -> float:
        return (self._clock.monotonic_ns() - self._begun_ns) / NS_PER_SECOND

    async def _dispatch_all(self, seconds: float, tasks: asyncio.TaskGroup) -> None:
        for action in self._world.live(seconds):
            due_ns = self._begun_ns + action.offset_ms * NS_PER_MS
            left_ns = due_ns - self._clock.monotonic_ns()
            if left_ns > SHORTEST_SLEEP_NS:
                await asyncio.sleep(left_ns / NS_PER_SECOND)
            elif left_ns < -LATE_SEND_MS * NS_PER_MS:
                self._tally.late_sends += 1
                await asyncio.sleep(0)  # catching up must not starve the answers
            self._dispatch(action, due_ns, tasks)

    def _dispatch(self, action: Action, due_ns: int, tasks: asyncio.TaskGroup) -> None:
        match action:
            case Emit():
                self._tally.events += 1
                self._feed.put(action.event)
            case Restock():
                self._tally.offers += 1
                self._feed.put(action.offer)
            case Opportunity():
                tasks.create_task(self._auctioneer.sell(action, due_ns))
            case Canary():
                tasks.create_task(
                    probe(
                        action,
                        feed=self._feed,
                        client=self._client,
                        host=self._host,
                        clock=self._clock,
                        tally=self._tally,
                    )
                )

    async def _tick(self, progress: Callable[[Progress], None]) -> None:
        while True:
            await asyncio.sleep(1)
            progress(self._tally.progress(self._elapsed_seconds(), self._referee.verdict()))
