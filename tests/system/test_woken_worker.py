"""A worker that was taken for dead and wakes up: whatever it was about, it changes nothing more."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from kinbid.stack import Options, Stack
from runtime.settings import Settings
from tests.system.client import Client
from tests.system.story import check
from tests.system.workers import Feed, Worker, streams_workers

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SETTINGS = Settings(kafka_session_timeout_ms=2000)
STOPS = 3


@contextmanager
def stopped(worker: Worker) -> Iterator[None]:
    """No step of the worker is made within it."""
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


def oversleep(client: Client, sleeper: Worker, other: Worker) -> None:
    """Stops a worker in the middle of its work until another one has it all; then it wakes up."""
    folded = sleeper.sample("streams_events_total")
    client.until(lambda: sleeper.sample("streams_events_total"), lambda now: now > folded)
    own, others = (one.sample("streams_takeovers_total") for one in (sleeper, other))
    with stopped(sleeper):
        client.until(lambda: other.sample("streams_takeovers_total"), lambda now: now > others + 1)
    client.until(lambda: sleeper.sample("streams_takeovers_total"), lambda now: now > own)


def test_a_worker_that_slept_past_its_session_changes_no_profile_and_no_count() -> None:
    with ExitStack() as running:
        stack = running.enter_context(Stack.start_engines(Options(), SETTINGS))
        sleeper, other = running.enter_context(streams_workers(stack, 2))
        client = Client(stack)
        feed = Feed(client, seed=5)
        feeding = running.enter_context(ThreadPoolExecutor(1)).submit(feed.run)
        running.callback(feed.end)
        for _ in range(STOPS):
            oversleep(client, sleeper, other)
        feed.end()
        feeding.result(60)
        check(client, feed.events, feed.outcomes)
