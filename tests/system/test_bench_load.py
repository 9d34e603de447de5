"""Tiny runs of the bid benchmarks: kinbid, and a server of somebody else's, good and bad.

As in ``test_bench.py`` no figure is compared with a limit.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from benchmarks.bench.site import BenchError, Site
from benchmarks.load.bid_path import run_bid_path
from benchmarks.load.bid_stages import STAGES
from benchmarks.load.corpus import Corpus
from benchmarks.load.latency import run_latency
from benchmarks.load.plan import LoadPlan
from benchmarks.load.tables import show_bid_path, show_latency
from benchmarks.load.target import requests_for
from kinbid import bench_load
from kinbid.bench import bench_app, bench_site
from runtime.settings import Settings, SettingsError
from tests.unit.load.server import NO_BID, serving

pytestmark = [pytest.mark.system, pytest.mark.integration]

TINY = LoadPlan(
    campaigns=(5, 10), persons=(64, 128), base_campaigns=5, base_persons=64, requests=200,
    seconds=0.5, repeats=2, connections=4, open_connections=8,
)  # fmt: skip
ORIGIN = {"benchmark", "commit", "changed_files", "machine", "versions", "seed", "settings"}
bench_load.register(bench_app)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with bench_site(None, None, Settings()) as made:
        yield made


def plain(report: dict[str, Any]) -> dict[str, Any]:
    """A report as it stands in the JSON file."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(report))
    return made


@pytest.fixture(scope="module")
def bid_path(site: Site) -> dict[str, Any]:
    made = asyncio.run(run_bid_path(site, TINY, 7))
    show_bid_path(made, Console(quiet=True))
    return plain(made)


def test_a_report_says_how_to_repeat_it(bid_path: dict[str, Any]) -> None:
    assert bid_path.keys() >= ORIGIN
    assert bid_path["settings"]["plan"]["campaigns"] == [5, 10]
    corpus = bid_path["settings"]["corpus"]
    assert corpus["requests"] == 200
    assert len(corpus["sha256"]) == 64
    assert bid_path["settings"]["bidder"] == {
        "public_url": "https://bid.bench.example", "bidder_port": 0, "bidder_admin_port": 0,
        "streams_admin_port": 0, "kafka_idempotence": False,
    }  # fmt: skip
    assert {"python", "hdrhistogram", "kafka", "redis"} <= bid_path["versions"].keys()


def test_every_size_has_its_cost_beside_the_bare_handlers(bid_path: dict[str, Any]) -> None:
    sizes = [(case["campaigns"], case["persons"]) for case in bid_path["cases"]]
    assert sizes == [(5, 64), (10, 64), (5, 128)]
    for case in bid_path["cases"]:
        assert len(case["repeats"]) == len(case["bare_repeats"]) == TINY.repeats
        assert case["bidder_us"] > case["bare_us"] > 0
        assert case["redis_us"] > 0
        assert case["resident_bytes"][0] > 10e6


def test_everything_bids(bid_path: dict[str, Any]) -> None:
    assert [case["bid_share"] for case in bid_path["cases"]] == [1, 1, 1]
    assert [case["objections"] for case in bid_path["cases"]] == [[], [], []]
    assert 0 < bid_path["personal_share"] <= 1


def test_the_stages_are_parts_of_the_whole(bid_path: dict[str, Any]) -> None:
    stages = bid_path["stages_us"]
    assert stages.keys() == STAGES.keys() | {"sum"}
    assert all(stages[name] > 0 for name in STAGES)
    assert sum(stages[name] for name in STAGES) == pytest.approx(stages["sum"])


def test_latencies_of_both_at_the_same_rate(site: Site) -> None:
    made = asyncio.run(run_latency(site, TINY, 7, (100.0,), "poisson"))
    show_latency(made, Console(quiet=True))
    (at_rate,) = plain(made)["rates"]
    assert at_rate["offered_per_second"] == 100
    for runs in (at_rate["repeats"], at_rate["bare_repeats"]):
        assert [run["outcome"]["scheduled"] for run in runs] == [50, 50]
    for name in ("kinbid", "bare"):
        seen = at_rate[name]
        assert 0 < seen["p50_us"] <= seen["p99_us"] <= seen["max_us"]
    assert at_rate["times_bare_p99"] > 0


def test_the_rate_is_found_by_search_where_none_is_given(site: Site) -> None:
    made = asyncio.run(
        run_latency(site, msgspec.structs.replace(TINY, repeats=1), 7, (), "poisson")
    )
    (at_rate,) = made["rates"]
    assert at_rate["offered_per_second"] == pytest.approx(0.6 * made["capacity_per_second"])


# -- another server --------------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    return CliRunner().invoke(bench_app, [*arguments, "--repeats", "1", "--connections", "4"])


@pytest.fixture
def requests(tmp_path: Path) -> str:
    path = tmp_path / "requests.jsonl"
    Corpus.of({"id": f"r{number}", "imp": []} for number in range(20)).write(path)
    return str(path)


def test_any_server_is_measured_with_the_cpu_of_its_processes(
    tmp_path: Path, requests: str
) -> None:
    path, pid = tmp_path / "out.json", os.getpid()  # the server is a thread of this process
    with serving(lambda *_: NO_BID) as served:
        done = run(
            "bid-path", "--target", served.url, "--pid", str(pid), "--requests", requests,
            "--seconds", "0.5", "--generators", "2", "--json", str(path),
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(served.bodies) == 4  # two connections each
    assert "INVALID" not in done.stdout
    report = msgspec.json.decode(path.read_bytes())
    assert report["settings"]["target"] == served.url
    (figures,) = report["runs"]
    assert figures["cpu_us"].keys() == {str(pid)}
    assert figures["cpu_us"][str(pid)] > 1
    assert 0 < figures["repeats"][0]["outcome"]["answered"] < sum(map(len, served.bodies))


def test_a_load_that_is_not_delivered_is_invalid_and_the_command_fails(
    tmp_path: Path, requests: str
) -> None:
    def slow(_: int, __: bytes) -> bytes:
        time.sleep(0.01)
        return NO_BID

    path = tmp_path / "out.json"
    with serving(slow) as served:
        done = run(
            "latency", "--target", served.url, "--requests", requests, "--rate", "400",
            "--seconds", "0.5", "--json", str(path),
        )  # fmt: skip
    assert done.exit_code == 1
    assert "INVALID: 1 of 1 runs delivered less than 99%" in " ".join(done.stdout.split())
    report = msgspec.json.decode(path.read_bytes())
    assert report["objections"]
    assert report["runs"][0]["repeats"][0]["outcome"]["delivered_ratio"] < 0.5


def test_a_stall_of_the_server_is_found_in_the_report(tmp_path: Path, requests: str) -> None:
    path = tmp_path / "out.json"
    began = time.monotonic()
    stalled = [False]

    def answer(_: int, __: bytes) -> bytes:
        # After the warm-up of a second, in the midst of the measured one.
        if not stalled[0] and time.monotonic() - began > 4:
            stalled[0] = True
            time.sleep(0.2)
        return NO_BID

    with serving(answer) as served:
        run(
            "latency", "--target", served.url, "--requests", requests, "--rate", "300",
            "--seconds", "8", "--json", str(path),
        )  # fmt: skip
    figures = msgspec.json.decode(path.read_bytes())["runs"][0]
    assert stalled[0]
    assert figures["latency"]["max_us"] > 190_000
    # Sixty of 2400 requests were due meanwhile.
    assert figures["latency"]["p99_us"] > 60_000


def test_a_server_that_is_not_there_is_named(requests: str) -> None:
    done = run("latency", "--target", "http://127.0.0.1:9/bid", "--requests", requests)
    assert isinstance(done.exception, BenchError)
    assert "http://127.0.0.1:9/bid" in str(done.exception)


@pytest.mark.parametrize(
    "arguments", [["--pid", "1"], ["--requests", "x"], ["--target", "https://x/"]]
)
def test_flags_that_do_not_go_together_are_refused(arguments: list[str]) -> None:
    assert isinstance(run("bid-path", *arguments).exception, SettingsError)


def test_without_a_file_the_requests_are_those_of_our_own_benchmarks() -> None:
    corpus = requests_for(TINY, 7)
    assert len(corpus.bodies) == TINY.requests
    assert corpus.sha256 == requests_for(TINY, 7).sha256
