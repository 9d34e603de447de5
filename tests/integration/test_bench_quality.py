"""``kinbid bench identity-quality`` as people run it, in small worlds, on a Redis of its own."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.quality import ALL_NOISE, METRICS, NOISE_KINDS, NoiseRates


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kinbid", "bench", "identity-quality", *arguments],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


@pytest.mark.integration
def test_it_prints_the_tables_and_writes_what_a_reader_needs_to_repeat_it(tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    done = bench("--seed", "3", "--seeds", "2", "--persons", "20", "--json", str(path))
    assert done.returncode == 0, done.stderr
    for row in ("kinbid", "last sign-in", "naive union", "right links only", "gift order"):
        assert f"\n{row}" in done.stdout
    report = msgspec.json.decode(path.read_bytes())
    assert (report["seeds"], report["persons"], report["workers"]) == ([3, 4], 20, 2)
    assert report["rates"] == msgspec.to_builtins(NoiseRates())
    assert report["commit"] is None or len(report["commit"]) == 40
    assert report["redis"]
    assert len(report["scores"]) == 2 + len(NOISE_KINDS)
    kinbid = report["scores"][ALL_NOISE]["kinbid"]
    assert set(METRICS) < set(kinbid)
    assert len(kinbid["precision"]["values"]) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--persons", "9"], "--persons"),
        (["--seeds", "31"], "--seeds"),
        (["--workers", "5"], "--workers"),
        (["--json", "/absent/file.json"], "--json /absent/file.json: cannot be written"),
    ],
)
def test_what_it_cannot_do_is_told_at_once(arguments: list[str], told: str) -> None:
    done = bench(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
