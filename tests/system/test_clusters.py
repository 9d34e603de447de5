"""Several streams workers on six Redis nodes and three brokers: what breaks changes no profile."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from kinbid.engines import KafkaCluster, RedisCluster
from kinbid.stack import Stack
from models.keys import Keys
from runtime.settings import Settings
from tests.system.client import Client
from tests.system.conftest import move_slots, on_clusters
from tests.system.story import check, cut_streams_off
from tests.system.workers import Feed, streams_workers

pytestmark = [pytest.mark.system, pytest.mark.apache, pytest.mark.timeout(300)]

PATIENCE_SECONDS = 60.0


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
