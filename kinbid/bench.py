"""``kinbid bench``: engines and worker processes for the benchmarks, and their commands."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import uvloop

from benchmarks.bench import (
    FULL,
    PARTS,
    QUICK,
    Site,
    run_identity,
    run_streams,
    show_identity,
    show_streams,
)
from kinbid import show, up
from kinbid.engines import ChildProcess, EmbeddedKafka, RedisEngine
from kinbid.progress import records_behind
from kinbid.stack import STOP_SECONDS, start_part
from models.errors import UnknownNameError
from runtime.settings import Settings, SettingsError, load

__all__ = ["bench_app"]

OWNER: Final = "bench"
SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (1_000, 10_000)

bench_app = typer.Typer()

Kafka = Annotated[str | None, typer.Option(help="HOST:PORT of a Kafka that runs elsewhere.")]
Redis = Annotated[str | None, typer.Option(help="URL of a Redis that runs elsewhere.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same population.")]
Quick = Annotated[bool, typer.Option("--quick", help="Small sizes: a look, not a result.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
Only = Annotated[list[str] | None, typer.Option("--only", help=f"Parts: {', '.join(PARTS)}.")]


class _WorkerProcess:
    """A ``kinbid streams`` process, as the benchmarks see it."""

    def __init__(self, child: ChildProcess, metrics_url: str) -> None:
        self._child = child
        self.metrics_url = metrics_url

    @property
    def pid(self) -> int:
        return self._child.pid

    def stop(self) -> None:
        self._child.stop(STOP_SECONDS)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._child.wait(STOP_SECONDS)


@contextlib.contextmanager
def bench_site(kafka: str | None, redis: str | None, base: Settings) -> Iterator[Site]:
    """Engines, and a way to start workers on them; all of them end with the block.

    Args:
        kafka: HOST:PORT of a broker that runs elsewhere; None starts the embedded one.
        redis: URL of a server that runs elsewhere; None starts one.
        base: settings from the environment.

    Raises:
        KinbidError: an engine is missing or does not start.
    """
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="kinbid-bench-")))
        idempotence = base.kafka_idempotence
        broker_pids: tuple[int, ...] = ()
        redis_pids: tuple[int, ...] = ()
        engines = {"kafka": f"named: {kafka}", "redis": "named"}
        if kafka is None:
            broker = cleanup.enter_context(EmbeddedKafka.start(folder / "kafka"))
            kafka, idempotence = broker.bootstrap, broker.supports_idempotence
            engines["kafka"], broker_pids = broker.description, broker.pids
        if redis is None:
            server = cleanup.enter_context(RedisEngine.start(folder / "redis"))
            redis, redis_pids = server.url, server.pids
            engines["redis"] = server.description
        settings = msgspec.structs.replace(
            base, owner=OWNER, kafka_bootstrap=kafka, kafka_idempotence=idempotence,
            redis_url=redis, streams_admin_port=0,
        )  # fmt: skip

        def start_worker(chosen: Settings) -> _WorkerProcess:
            child, ready = start_part("streams", chosen, folder, log_path=folder / "streams.log")
            cleanup.callback(child.stop, STOP_SECONDS)
            return _WorkerProcess(child, ready["metrics"])

        yield Site(
            settings=settings, engines=engines, redis_pids=redis_pids, broker_pids=broker_pids,
            start_worker=start_worker, records_behind=records_behind, say=_say,
        )  # fmt: skip


def _say(text: str) -> None:
    show.progress.print(text)


def _run(
    kafka: str | None, redis: str | None, json: Path | None, work: Any  # noqa: ANN401 - a callback
) -> dict[str, Any]:  # fmt: skip
    """Runs a benchmark on a site and writes its report."""
    if json is not None and not os.access(json if json.exists() else json.parent, os.W_OK):
        raise SettingsError(f"--json {json}: cannot be written")
    up.interruptible()
    with bench_site(kafka, redis, load().settings) as site:
        coroutine: Coroutine[Any, Any, dict[str, Any]] = work(site)
        report = uvloop.run(coroutine)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return report


@bench_app.command("streams")
def bench_streams(  # noqa: PLR0917 - a command's parameters are its flags, given by name
    quick: Quick = False,  # noqa: FBT002 - a flag
    only: Only = None,
    seed: Seed = 7,
    kafka: Kafka = None,
    redis: Redis = None,
    json: Json = None,
) -> None:
    """CPU per event by stage, growth, merges, memory, lag, event to visible, several workers."""
    parts = tuple(only or PARTS)
    for part in parts:
        if part not in PARTS:
            raise UnknownNameError("part", part, PARTS)
    plan = QUICK if quick else FULL
    report = _run(kafka, redis, json, lambda site: run_streams(site, plan, seed, parts))
    show_streams(report, show.console)


@bench_app.command("identity")
def bench_identity(
    quick: Quick = False,  # noqa: FBT002 - a flag
    seed: Seed = 7,
    kafka: Kafka = None,
    redis: Redis = None,
    json: Json = None,
) -> None:
    """Each step of the identity protocol: commands, rounds, CPU of Redis and of its client."""
    sizes, rounds = (QUICK_SIZES, 10) if quick else (SIZES, 50)
    report = _run(
        kafka, redis, json, lambda site: run_identity(site, sizes, rounds, repeats=5, seed=seed)
    )
    show_identity(report, show.console)
