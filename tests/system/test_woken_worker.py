"""A worker that was taken for dead and wakes up: whatever it was about, it changes nothing more."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kinbid.stack import Options, Stack
from runtime.settings import Settings
from tests.system.client import Client
from tests.system.story import check
from tests.system.workers import Feed, Worker, streams_workers

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SETTINGS = Settings(kafka_session_timeout_ms=2000)
STOPS = 2
MORE = 500


def test_a_worker_that_slept_past_its_session_changes_no_profile_and_no_count() -> None:
    with ExitStack() as running:
        stack = running.enter_context(Stack.start_engines(Options(), SETTINGS))
        workers = streams_workers(stack, 2, "tests.system.stopping")
        other, sleeper = running.enter_context(workers)
        client = Client(stack)
        feed = Feed(client, seed=5)
        feeding = running.enter_context(ThreadPoolExecutor(1)).submit(feed.run)
        running.callback(feed.end)
        client.until(lambda: sleeper.sample("streams_events_total"), bool)
        for _ in range(STOPS):
            oversleep(client, sleeper, other)
        feed.end()
        feeding.result(60)
        check(client, feed.events, feed.outcomes)


def oversleep(client: Client, sleeper: Worker, other: Worker) -> None:
    """Stops a worker before a write, until another one has gone on with the same persons."""
    own, others = (one.sample("streams_takeovers_total") for one in (sleeper, other))
    os.kill(sleeper.process.pid, signal.SIGUSR1)
    client.until(lambda: is_stopped(sleeper), bool)
    try:
        client.until(lambda: other.sample("streams_takeovers_total"), lambda now: now > others + 1)
        folded = other.sample("streams_events_total")
        client.until(lambda: other.sample("streams_events_total"), lambda now: now > folded + MORE)
    finally:
        os.kill(sleeper.process.pid, signal.SIGCONT)
    client.until(lambda: sleeper.sample("streams_takeovers_total"), lambda now: now > own)


def is_stopped(worker: Worker) -> bool:
    state = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"
