"""The fuzzer for some seconds, and all that it starts from or has ever found."""

import importlib.util
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import FOUND, seeds
from tests.fuzz.targets import TARGETS

SECONDS: Final = 10
PATIENCE_SECONDS: Final = 120
LEAST_INPUTS: Final = 300  # an idle machine tries 30,000 in the time

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris has wheels for Linux on x86_64 only; seeds and finds are tried without it",
)


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=PATIENCE_SECONDS, check=False, errors="replace",
    )  # fmt: skip


@needs_atheris
@pytest.mark.parametrize("target", TARGETS)
def test_h3_h14_p6_the_fuzzer_finds_nothing(target: str, tmp_path: Path) -> None:
    """H3, H14, P6: whatever the bytes, an answer that makes sense, and the same for every cut."""
    done = fuzz(target, "--seconds", str(SECONDS), "--folder", str(tmp_path))
    assert done.returncode == 0, done.stdout[-3_000:]
    tried = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    assert tried is not None
    assert int(tried[1]) > LEAST_INPUTS


@needs_atheris
def test_the_fuzzer_finds_a_planted_fault_and_keeps_the_input(tmp_path: Path) -> None:
    planted = ("http", "--module", "tests.fuzz.planted")
    done = fuzz(*planted, "--seconds", "60", "--seed", "1", "--folder", str(tmp_path))
    assert done.returncode != 0
    assert "HttpParserCallbackError" in done.stdout
    file = re.search(r"Test unit written to (\S+)", done.stdout)
    assert file is not None
    assert b"GET " in Path(file[1]).read_bytes()
    again = fuzz(*planted, file[1])
    assert again.returncode != 0
    assert "ZeroDivisionError" in again.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_passes(target: str) -> None:
    """All public sample requests among them."""
    inputs = list(seeds(target))
    assert len(inputs) >= 20
    for one in inputs:
        TARGETS[target](one)


@pytest.mark.parametrize("file", sorted(FOUND.glob("*/*")), ids=lambda file: file.name)
def test_what_was_found_once_passes_for_ever(file: Path) -> None:
    TARGETS[file.parent.name](file.read_bytes())


def test_mutated_samples_pass_without_the_fuzzer_too() -> None:
    """P1 to P6: unknown fields, nulls, other types, other places."""
    chance = random.Random(1)
    for body in seeds("openrtb"):
        TARGETS["openrtb"](mutated(json.loads(body), chance))
