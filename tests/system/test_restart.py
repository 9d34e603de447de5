"""A streams worker killed in the middle changes no profile and no count."""

import random

import pytest

from kinbid.monitor import read_metrics
from models.events import encode
from models.topics import Topics
from tests.system.client import Client
from tests.system.story import EVENTS, IMPRESSIONS, check, cut_streams_off, make_story

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CUTS = 15


def test_killing_the_streams_worker_changes_no_profile_and_no_count(client: Client) -> None:
    events, outcomes = make_story(client, random.Random(7))
    owner = client.settings.owner
    seen = [(e.ids[0].encode(), encode(e)) for e in events]
    billed = [(o.node.encode(), encode(o)) for o in outcomes]
    client.produce_raw(Topics.EVENTS.name(owner), seen[: EVENTS // 2])
    client.produce_raw(Topics.OUTCOMES.name(owner), billed[: IMPRESSIONS // 2])
    client.stack.restart_part("streams")
    client.produce_raw(Topics.EVENTS.name(owner), seen[EVENTS // 2 :])
    client.stack.restart_part("streams")
    client.produce_raw(Topics.OUTCOMES.name(owner), billed[IMPRESSIONS // 2 :])
    check(client, events, outcomes)


def test_losing_redis_again_and_again_changes_no_profile_and_no_count(client: Client) -> None:
    """Each cut is in the middle of a batch: what was sent arrives or does not, nobody knows."""
    events, outcomes = make_story(client, random.Random(8))
    owner = client.settings.owner
    retries_before = retries(client)
    for start in range(0, EVENTS, EVENTS // CUTS):
        part = events[start : start + EVENTS // CUTS]
        records = [(e.ids[0].encode(), encode(e)) for e in part]
        client.produce_raw(Topics.EVENTS.name(owner), records)
        cut_streams_off(client)
    billed = [(o.node.encode(), encode(o)) for o in outcomes]
    client.produce_raw(Topics.OUTCOMES.name(owner), billed)
    check(client, events, outcomes)
    assert retries(client) > retries_before, "no cut came in the middle of a batch"


def retries(client: Client) -> float:
    metrics = read_metrics(client.stack.addresses["metrics"]["streams"])
    return metrics["streams_batch_retries_total{dependency=redis}"]
