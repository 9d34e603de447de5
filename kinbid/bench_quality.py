"""``kinbid bench identity-quality``: how well persons are recovered from noisy evidence."""

import asyncio
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from benchmarks.quality import (
    FEWEST_PERSONS,
    MOST_SEEDS,
    Findings,
    NoiseRates,
    count_runs,
    measure,
    resolve_on_redis,
    show_findings,
)
from kinbid import show, up
from kinbid.engines import RedisEngine
from models.events import Event
from models.identifiers import NodeId
from runtime.settings import SettingsError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Adds the command to ``kinbid bench``."""
    app.command("identity-quality")(identity_quality)


def identity_quality(
    seed: Annotated[int, typer.Option(help="Of the first world; the others follow it.")] = 7,
    seeds: Annotated[int, typer.Option(min=1, max=MOST_SEEDS, help="Worlds of each kind.")] = 5,
    persons: Annotated[int, typer.Option(min=FEWEST_PERSONS, help="People in each world.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, max=4, help="Streams workers at once.")] = 2,
    json: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Precision and recall of persons in noisy worlds, beside two baselines, on a real Redis."""
    if json is not None and not os.access(json if json.exists() else json.parent, os.W_OK):
        raise SettingsError(f"--json {json}: cannot be written")
    rates = NoiseRates()
    up.interruptible()
    with (
        tempfile.TemporaryDirectory(prefix="kinbid-quality-") as folder,
        RedisEngine.start(Path(folder)) as redis,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        task = progress.add_task("", total=count_runs(rates, seeds))

        def kinbid(events: Sequence[Event]) -> Mapping[NodeId, NodeId]:
            resolved = asyncio.run(resolve_on_redis(redis.url, events, workers=workers))
            progress.advance(task)
            return resolved

        findings = measure(
            kinbid, seed=seed, seeds=seeds, persons=persons, rates=rates,
            advance=lambda noise: progress.update(task, description=noise.replace("_", " ")),
        )  # fmt: skip
        description = redis.description
    if json is not None:
        _write(json, _report(findings, description, workers))
    show_findings(findings, show.console)


def _report(findings: Findings, redis: str, workers: int) -> dict[str, Any]:
    """The findings, and what a reader needs to repeat them."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "redis": redis,
        "workers": workers,
        **msgspec.to_builtins(findings),
    }


def _write(path: Path, report: dict[str, Any]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    except OSError as error:
        raise SettingsError(f"--json {path}: cannot be written ({error.strerror})") from error


def _commit() -> str | None:
    """The commit of the code that ran; None where it was not installed from a repository."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except OSError:
        return None
    return done.stdout.strip() or None
