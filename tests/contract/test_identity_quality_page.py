"""``docs/identity-quality.md`` shows what its result file holds, at the rates of the code."""

import io
import re

import msgspec
from rich.console import Console

from benchmarks.quality import NOISE_KINDS, Findings, NoiseRates, show_findings
from tests.unit.deploy.compose_file import ROOT

PAGE = (ROOT / "docs" / "identity-quality.md").read_text()
RESULT = (ROOT / "benchmarks" / "results" / "identity-quality.json").read_bytes()


def test_the_tables_are_those_of_the_result_file() -> None:
    out = io.StringIO()
    show_findings(msgspec.json.decode(RESULT, type=Findings), Console(file=out, width=80))
    shown = [line.strip() for line in PAGE.splitlines()]
    for line in out.getvalue().splitlines():
        assert line.strip() in shown


def test_the_commit_and_the_command_are_those_of_the_result_file() -> None:
    report = msgspec.json.decode(RESULT)
    assert f"`{report['commit'][:12]}`" in PAGE
    command = (
        f"kinbid bench identity-quality --seed {report['seeds'][0]} "
        f"--seeds {len(report['seeds'])} --persons {report['persons']} "
    )
    assert command in PAGE


def test_every_rate_stands_there_as_it_is() -> None:
    rates = NoiseRates()
    told = re.findall(r"^\| ([a-z ]+) \| (\d+)% \|", PAGE, re.MULTILINE)
    assert told == [(kind.replace("_", " "), f"{100 * rates.of(kind):.0f}") for kind in NOISE_KINDS]
    assert msgspec.json.decode(RESULT)["rates"] == msgspec.to_builtins(rates)
