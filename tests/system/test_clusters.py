"""Several streams workers on six Redis nodes and three brokers: what breaks changes no profile."""

import asyncio
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from kinbid.engines import ChildProcess, KafkaCluster, RedisCluster
from kinbid.monitor import read_metrics
from kinbid.stack import Stack, _await_ready
from models.events import Event, Outcome, encode
from models.keys import Keys
from models.topics import Topics
from runtime import kafka as kafka_clients
from runtime.settings import Settings, as_environment
from tests.system.client import Client
from tests.system.conftest import move_slots, on_clusters
from tests.system.story import People, check, cut_streams_off, make_outcomes

pytestmark = [pytest.mark.system, pytest.mark.apache, pytest.mark.timeout(300)]

SLICE = 50
SLICE_SECONDS = 0.05
LONGEST_FEED = 40_000
PATIENCE_SECONDS = 60.0


class Worker:
    """One streams worker and where its metrics are."""

    def __init__(self, stack: Stack, number: int) -> None:
        self._reading, writing = os.pipe()
        self._name = f"streams-{number}"
        self.process = ChildProcess.start(
            self._name,
            [sys.executable, "-m", "kinbid", "streams", "--ready-fd", str(writing)],
            log_path=stack.folder / f"{self._name}.log",
            env={**os.environ, **as_environment(stack.settings), "TMPDIR": str(stack.folder)},
            pass_fds=(writing,),
        )
        os.close(writing)
        self.metrics = ""

    def await_ready(self) -> None:
        try:
            self.metrics = _await_ready(self._name, self.process, self._reading)["metrics"]
        finally:
            os.close(self._reading)

    def sample(self, name: str) -> float:
        return sum(
            value
            for sample, value in read_metrics([self.metrics]).items()
            if sample.partition("{")[0] == name
        )


@contextmanager
def streams_workers(stack: Stack, count: int) -> Iterator[list[Worker]]:
    with ExitStack() as running:
        workers = [Worker(stack, number) for number in range(count)]
        for worker in workers:
            running.enter_context(worker.process)
        for worker in workers:
            worker.await_ready()
        yield workers


class Feed:
    """People who never stop, until they are told to."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client = client
        self._rng = random.Random(seed)
        self.people = People(client, self._rng)
        self.events: list[Event] = []
        self.outcomes: list[Outcome] = []
        self._enough = threading.Event()

    def end(self) -> None:
        self._enough.set()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        owner = self._client.settings.owner
        producer = await kafka_clients.producer(self._client.settings)

        async def produce(topic: str, records: list[tuple[bytes, bytes]]) -> None:
            sent = [await producer.send(topic, key=k, value=value) for k, value in records]
            await asyncio.gather(*sent)

        try:
            while not self._enough.is_set() and len(self.events) < LONGEST_FEED:
                part = [self.people.event() for _ in range(SLICE)]
                self.events += part
                records = [(event.ids[0].encode(), encode(event)) for event in part]
                await produce(Topics.EVENTS.name(owner), records)
                await asyncio.sleep(SLICE_SECONDS)
            self.outcomes = make_outcomes(self._client, self._rng, self.people)
            billed = [(outcome.node.encode(), encode(outcome)) for outcome in self.outcomes]
            await produce(Topics.OUTCOMES.name(owner), billed)
        finally:
            await producer.stop()


@pytest.mark.parametrize("count", [2, 4])
def test_moving_slots_a_failover_a_dead_broker_and_a_dead_worker_change_no_profile_and_no_count(
    clusters: tuple[KafkaCluster, RedisCluster], count: int
) -> None:
    kafka, redis = clusters
    options, settings = on_clusters(clusters, Settings())
    with ExitStack() as running:
        stack = running.enter_context(Stack.start_engines(options, settings))
        workers = running.enter_context(streams_workers(stack, count))
        client = Client(stack)
        feed = Feed(client, seed=count)
        feeding = running.enter_context(ThreadPoolExecutor(1)).submit(feed.run)
        running.callback(feed.end)
        for worker in workers:  # two and four share four partitions of each topic
            client.until(lambda w=worker: w.sample("streams_events_total"), bool)  # type: ignore[misc]
        keys = Keys(stack.settings.owner)
        assert move_slots(redis, keys, feed.people.nodes, step=1) > 0
        cut_streams_off(client)
        old_master = redis.masters()[0]
        redis.fail_over(old_master)
        redis.kill(old_master)
        running.callback(lambda: redis.restart(old_master))
        assert move_slots(redis, keys, feed.people.nodes, step=2) > 0
        broker = count % 3
        kafka.kill(broker)
        running.callback(lambda: kafka.restart(broker))
        dead, *alive = workers
        os.kill(dead.process.pid, signal.SIGKILL)
        taken = sum(worker.sample("streams_takeovers_total") for worker in alive)
        client.until(
            lambda: sum(worker.sample("streams_takeovers_total") for worker in alive),
            lambda now: now > taken,
            PATIENCE_SECONDS,
        )
        feed.end()
        feeding.result(PATIENCE_SECONDS)
        check(client, feed.events, feed.outcomes, PATIENCE_SECONDS)
