"""Several streams workers of one stack, and people whom they have to keep up with."""

import asyncio
import os
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from kinbid.engines import ChildProcess
from kinbid.monitor import read_metrics
from kinbid.stack import Stack, _await_ready
from models.events import Event, Outcome, encode
from models.topics import Topics
from runtime import kafka as kafka_clients
from runtime.settings import as_environment
from tests.system.client import Client
from tests.system.story import People, make_outcomes

__all__ = ["Feed", "Worker", "streams_workers"]

SLICE = 50
SLICE_SECONDS = 0.05
LONGEST_FEED = 40_000


class Worker:
    """One streams worker and where its metrics are."""

    def __init__(self, stack: Stack, number: int, program: str = "kinbid") -> None:
        self._reading, writing = os.pipe()
        self._name = f"streams-{number}"
        self.process = ChildProcess.start(
            self._name,
            [sys.executable, "-m", program, "streams", "--ready-fd", str(writing)],
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
def streams_workers(stack: Stack, count: int, *programs: str) -> Iterator[list[Worker]]:
    """So many workers, the last ones run by ``programs`` in place of kinbid's own."""
    named = ["kinbid"] * (count - len(programs)) + [*programs]
    with ExitStack() as running:
        workers = [Worker(stack, number, program) for number, program in enumerate(named)]
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
