"""Tiny runs of both benchmarks on real engines: every part ends well and tells what it should.

No figure is compared with a limit here: a busy machine must not fail a test.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.bench import (
    PARTS,
    Plan,
    Site,
    run_identity,
    run_streams,
    show_identity,
    show_streams,
)
from benchmarks.bench.identity import OPERATIONS
from kinbid.bench import bench_app, bench_site
from kinbid.engines import KafkaCluster, RedisCluster
from models.errors import KinbidError, UnknownNameError
from runtime.settings import Settings
from streams.stage_clock import STAGES

pytestmark = [pytest.mark.system, pytest.mark.integration]

TINY = Plan(
    persons=(30, 60), base_persons=30, events=600, repeats=1, busy_history=100,
    memory_persons=(5, 10), hot_events=300, offer_seconds=1, workers=(1, 2),
)  # fmt: skip
ORIGIN = {"benchmark", "commit", "changed_files", "machine", "versions", "seed", "settings"}
COST = {"worker_us", "redis_us", "broker_us", "events", "seconds", "stages_us", "is_inside"}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with bench_site(None, None, Settings(kafka_session_timeout_ms=2000)) as made:
        yield made


@pytest.fixture(scope="module")
def report(site: Site) -> dict[str, Any]:
    """All parts, as they stand in the JSON file."""
    made = asyncio.run(run_streams(site, TINY, 7, tuple(PARTS)))
    show_streams(made, Console(quiet=True))
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return plain


def test_a_report_says_how_to_repeat_it(report: dict[str, Any]) -> None:
    assert report.keys() == ORIGIN | set(PARTS)
    assert report["seed"] == 7
    assert report["settings"]["plan"]["persons"] == [30, 60]
    assert {"python", "hiredis", "kafka", "redis"} <= report["versions"].keys()
    assert {"system", "cpu", "cpus", "load_average"} == report["machine"].keys()


def test_every_case_has_its_cost_and_spread(report: dict[str, Any]) -> None:
    cases, merges = report["growth"]["cases"], report["merges"]["by_merge_percent"]
    assert [(case["persons"], case["events"]) for case in cases] == [(30, 50), (60, 50), (30, 100)]
    assert list(merges) == ["0", "5", "20"]
    for case in (*cases, *merges.values()):
        assert case["median"].keys() == COST
        assert len(case["repeats"]) == TINY.repeats
        low, high = case["worker_us_spread"]
        assert low <= case["median"]["worker_us"] <= high


def test_merges_are_as_many_as_were_asked_for(report: dict[str, Any]) -> None:
    assert report["merges"]["linked"] == TINY.events * (5 + 20) / 100


def test_stages_add_up_to_the_whole(report: dict[str, Any]) -> None:
    apart = report["stages"]["apart_us"]
    assert apart.keys() == {*STAGES, "sum", "whole"}
    assert sum(apart[stage] for stage in STAGES) == pytest.approx(apart["sum"])
    assert apart["sum"] <= apart["whole"] * 1.01
    worker = report["stages"]["worker"]
    outside = report["stages"]["worker_outside_its_stages_us"]
    assert sum(worker["stages_us"].values()) + outside == pytest.approx(worker["worker_us"])


def test_lag_canaries_memory_and_workers_are_told(report: dict[str, Any]) -> None:
    load = report["load"]
    for points in (load["plain_lag"], load["hot_identifier"]["lag"], load["merge_storm"]["lag"]):
        assert points
        assert all(point.keys() == {"at", "produced", "lag_records"} for point in points)
    assert load["hot_identifier"]["events"] == TINY.hot_events
    assert load["hot_identifier"]["alone"]["worker_us"] > 0
    for seen in load["event_to_visible"].values():
        assert 0 < seen["p50_ms"] <= seen["p99_ms"] <= seen["max_ms"]
    assert_memory_is_told(report)
    assert [sum(case["shares"]) for case in report["workers"].values()] == [TINY.events] * 2


def assert_memory_is_told(report: dict[str, Any]) -> None:
    measured = report["memory"]["measured"]
    spans = [(step["from_persons"], step["to_persons"]) for step in measured["growth"]]
    assert spans == [(0, 10), (5, 10)]
    assert measured["keys_by_kind"]["n"] > 2
    assert len(report["memory"]["costs"]) == 2


def test_canaries_are_new_visitors_known_persons_and_merges(report: dict[str, Any]) -> None:
    seen = report["load"]["event_to_visible"]
    assert set(seen) <= {"new visitor", "known person", "sign-in that merges"}
    assert next(iter(seen)) == "new visitor"


def test_a_killed_worker_loses_and_doubles_nothing(report: dict[str, Any]) -> None:
    assert "one_killed" not in report["workers"]["1"]
    killed = report["workers"]["2"]["one_killed"]
    assert killed["events"] > killed["merges"] > 0
    assert (killed["lost"], killed["doubled"]) == (0, 0)
    assert killed["redelivered"] > 0, "else nothing was put to the test"


def test_identity_tells_every_operation(site: Site) -> None:
    made = asyncio.run(run_identity(site, (20,), rounds=1, repeats=2, seed=7))
    show_identity(made, Console(quiet=True))
    plain = msgspec.json.decode(msgspec.json.encode(made))
    assert plain.keys() == ORIGIN | {"by_persons"}
    costs = plain["by_persons"]["20"]
    assert costs.keys() == OPERATIONS.keys()
    assert (costs["find"]["commands"], costs["find"]["rounds"]) == (2, 2)
    assert (costs["fold"]["commands"], costs["fold"]["rounds"]) == (3, 3)
    assert costs["merge"]["commands"] > costs["link, known"]["commands"]


@pytest.mark.apache
def test_memory_load_and_identity_are_measured_on_a_redis_cluster(
    clusters: tuple[KafkaCluster, RedisCluster],
) -> None:
    _, redis = clusters
    with bench_site(None, redis.url, Settings()) as site:
        made = asyncio.run(run_streams(site, TINY, 7, ("memory", "load")))
        costs = asyncio.run(run_identity(site, (20,), rounds=1, repeats=1, seed=7))
    report = msgspec.json.decode(msgspec.json.encode(made))
    assert_memory_is_told(report)
    assert report["memory"]["costs"][0]["redis_us"] > 0
    assert report["load"]["event_to_visible"]
    merge = costs["by_persons"]["20"]["merge"]
    assert merge.redis_us > 0


def test_cluster_starts_six_nodes_whose_processes_are_all_measured() -> None:
    with bench_site(None, None, Settings(), is_cluster=True) as made:
        assert made.settings.redis_url.startswith("redis+cluster://")
        assert len(made.redis_pids) == 6
        assert "6 nodes" in made.engines["redis"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--redis", "redis://:secret@127.0.0.1:1"], "--redis redis://(hidden)@127.0.0.1:1: "),
        (["--kafka", "127.0.0.1:1"], "--kafka 127.0.0.1:1: "),
        (["--redis", "127.0.0.1:1"], "--redis: '127.0.0.1:1' is not redis://"),
        (["--cluster", "--redis", "redis://127.0.0.1:1"], "--cluster starts a Redis Cluster"),
    ],
)
def test_an_engine_that_cannot_be_used_is_told_of_by_its_flag(flags: list[str], told: str) -> None:
    result = CliRunner().invoke(bench_app, ["streams", "--quick", "--only", "memory", *flags])
    assert isinstance(result.exception, KinbidError)
    assert told in str(result.exception)
    assert "KINBID_" not in str(result.exception)
    assert "secret" not in str(result.exception)


def test_a_part_that_does_not_exist_is_refused_before_anything_starts() -> None:
    result = CliRunner().invoke(bench_app, ["streams", "--only", "grwth"])
    assert isinstance(result.exception, UnknownNameError)
    assert "growth" in str(result.exception)
