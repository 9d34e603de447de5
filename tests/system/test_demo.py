"""The demo ends well, and its world notices when kinbid is broken."""

import json
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kinbid.demo import DemoOptions, run_demo, violations
from kinbid.engines import free_port
from kinbid.scoreboard import Scoreboard
from kinbid.stack import Options
from runtime.settings import Settings

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ASKED_FOR = {
    "events", "events_per_s", "persons", "merges", "identity", "bid_requests", "bids",
    "impressions", "conversions", "spend", "over_cap_impressions", "sold_out_ads",
    "wrong_person_bids", "freshness_ms", "latency_ms", "bidder_cpu_us_per_request",
    "redis_cpu_us_per_request", "seed", "engines",
}  # fmt: skip


def test_the_demo_ends_well_and_writes_its_report(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "kinbid", "demo", "--seconds", "10", "--persons", "600",
         "--seed", "11", "--json", str(out)],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert report.keys() >= ASKED_FOR
    assert report["identity"].keys() >= {"precision", "recall_of_linkable", "linkable_share"}
    assert report["identity"]["precision"] == report["identity"]["recall_of_linkable"] == 1.0
    assert 0.5 < report["identity"]["linkable_share"] < 1
    assert report["freshness_ms"]["p50"] is not None
    assert set(report["latency_ms"]) == {"p50", "p99", "p999"}
    assert report["seed"] == 11
    for name in ("events", "persons", "merges", "bid_requests", "bids", "impressions", "spend"):
        assert report[name] > 0, name
    for name in ("over_cap_impressions", "sold_out_ads", "wrong_person_bids"):
        assert report[name] == 0, name
    for name in ("bidder_cpu_us_per_request", "redis_cpu_us_per_request"):
        assert report[name] > 0, name
    # At second 5 on a quick machine, a little later on one that is busy.
    plain_line = re.search(r"^seconds \d+  events \d", done.stdout, re.MULTILINE)
    assert plain_line, "plain lines where there is no terminal"
    assert "Nobody saw an ad beyond the cap" in done.stdout


@pytest.mark.parametrize(
    ("fault", "role", "counter", "seconds"),
    [
        ("ignore_caps", "bidder", "over_cap_impressions", 15),
        ("link_strangers", "streams", "wrong_person_bids", 15),
        # Which trips sell out depends on the day's flights: few are looked at in a short time.
        ("keep_stale_seats", "streams", "sold_out_ads", 30),
    ],
)
def test_the_world_notices_when_kinbid_is_broken(
    fault: str, role: str, counter: str, seconds: int
) -> None:
    command = (sys.executable, "-m", "tests.system.broken", fault, role)
    options = DemoOptions(
        seconds=seconds, seed=7, persons=300, stack=Options(commands={role: command})
    )
    board = Scoreboard(Console(file=StringIO()))
    report = run_demo(options, Settings(), board)
    assert report[counter] > 0
    assert any(counter in line for line in violations(report))
    others = {"over_cap_impressions", "wrong_person_bids", "sold_out_ads"} - {counter}
    told = {name: report[name] for name in others}
    if (
        fault != "link_strangers"
    ):  # who is taken for somebody else is also counted for somebody else
        assert told == dict.fromkeys(others, 0)


def run_up(*flags: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "kinbid", "up", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def read_addresses(process: subprocess.Popen[str], out: Path) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready"):
            return json.loads(out.read_text())  # type: ignore[no-any-return]
    raise AssertionError(process.stderr.read() if process.stderr else "no stderr")


def pids_of(addresses: dict[str, Any]) -> list[int]:
    return [pid for pids in addresses["pids"].values() for pid in pids]


def alive(pids: list[int]) -> list[int]:
    """Those that run still; a zombie waits for whoever adopts it and does nothing."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        if state != "Z":
            found.append(pid)
    return found


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_up_tells_its_addresses_and_leaves_nothing_behind(how: str, tmp_path: Path) -> None:
    out, port = tmp_path / "up.json", free_port()
    process = run_up("--bidder-port", str(port), "--json", str(out))
    try:
        addresses = read_addresses(process, out)
        assert addresses["bidder"] == f"http://127.0.0.1:{port}"
        assert addresses["metrics"].keys() >= {"bidder", "streams"}
        assert addresses["pids"].keys() >= {"bidder", "streams", "kafka", "redis"}
        assert addresses["kafka"].startswith("127.0.0.1:")
        assert addresses["redis"].startswith("redis://127.0.0.1:")
        pids = pids_of(addresses)
        assert alive(pids) == pids
        second = run_up("--bidder-port", str(port))
        _, said = second.communicate(timeout=60)
        assert second.returncode == 1
        assert str(port) in said
        assert "--bidder-port" in said
        assert "Traceback" not in said
        process.send_signal(getattr(signal, how))
        process.wait(30)
        deadline = time.monotonic() + 15
        while alive(pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert alive(pids) == []
    finally:
        process.kill()
        process.communicate()
