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
    BenchError,
    Site,
    run_identity,
    run_streams,
    show_identity,
    show_streams,
)
from kinbid import show, up
from kinbid.command import Json, check_json, write_json
from kinbid.engines import ChildProcess, EmbeddedKafka, RedisCluster, RedisEngine
from kinbid.progress import records_behind
from kinbid.stack import STOP_SECONDS, start_part
from models.errors import InvalidFieldError, UnknownNameError
from runtime.kafka import KafkaDownError
from runtime.link import RedisDownError
from runtime.redis_url import link_to
from runtime.settings import Settings, SettingsError, load, masked

__all__ = ["NO_ENGINES", "Quick", "Seed", "bench_app", "run_on_site"]

OWNER: Final = "bench"
SECRET: Final = "only-for-benchmarks"  # noqa: S105 - what it protects ends with the run
PUBLIC_URL: Final = "https://bid.bench.example"
"""https, as exchanges want it; nobody connects there."""
SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (1_000, 10_000)

bench_app = typer.Typer()

Kafka = Annotated[str | None, typer.Option(help="HOST:PORT of a Kafka that runs elsewhere.")]
Redis = Annotated[str | None, typer.Option(help="URL of a Redis or cluster that runs elsewhere.")]
Cluster = Annotated[bool, typer.Option("--cluster", help="Start a Redis Cluster of six nodes.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same population.")]
Quick = Annotated[bool, typer.Option("--quick", help="Small sizes: a look, not a result.")]
Only = Annotated[list[str] | None, typer.Option("--only", help=f"Parts: {', '.join(PARTS)}.")]


_Engines = tuple[str | None, str | None, bool]
"""``--kafka``, ``--redis`` and ``--cluster``."""

NO_ENGINES: Final[_Engines] = (None, None, False)
"""None is named, so all are started."""


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


class _BidderProcess:
    """A ``kinbid bidder`` process, as the benchmarks see it."""

    def __init__(self, child: ChildProcess, ready: dict[str, Any]) -> None:
        self._child = child
        self.url: str = ready["bidder"]
        self.pids: tuple[int, ...] = tuple(ready["pids"])
        self.metrics_urls: tuple[str, ...] = tuple(ready["metrics"])

    def stop(self) -> None:
        self._child.stop(STOP_SECONDS)


@contextlib.contextmanager
def bench_site(
    kafka: str | None, redis: str | None, base: Settings, *, is_cluster: bool = False
) -> Iterator[Site]:
    """Engines, and a way to start workers on them; all of them end with the block.

    Args:
        kafka: HOST:PORT of a broker that runs elsewhere; None starts the embedded one.
        redis: URL of a server or cluster that runs elsewhere; None starts one.
        base: settings from the environment.
        is_cluster: starts a cluster of six nodes instead of one server.

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
            server = _start_redis(folder / "redis", is_cluster=is_cluster)
            cleanup.enter_context(server)
            redis, redis_pids = server.url, server.pids
            engines["redis"] = server.description
        settings = msgspec.structs.replace(
            base, owner=OWNER, kafka_bootstrap=kafka, kafka_idempotence=idempotence,
            redis_url=redis, streams_admin_port=0, bidder_admin_port=0, bidder_port=0,
            bidder_workers=1, public_url=PUBLIC_URL, notice_secret=base.notice_secret or SECRET,
            identity_pepper=base.identity_pepper or SECRET,
        )  # fmt: skip

        def start_worker(chosen: Settings) -> _WorkerProcess:
            child, ready = start_part("streams", chosen, folder, log_path=folder / "streams.log")
            cleanup.callback(child.stop, STOP_SECONDS)
            return _WorkerProcess(child, ready["metrics"])

        def start_bidder(chosen: Settings) -> _BidderProcess:
            child, ready = start_part("bidder", chosen, folder, log_path=folder / "bidder.log")
            cleanup.callback(child.stop, STOP_SECONDS)
            return _BidderProcess(child, ready)

        yield Site(
            settings=settings, engines=engines, redis_pids=redis_pids, broker_pids=broker_pids,
            start_worker=start_worker, start_bidder=start_bidder,
            records_behind=records_behind, say=_say,
        )  # fmt: skip


def _start_redis(folder: Path, *, is_cluster: bool) -> RedisCluster | RedisEngine:
    return RedisCluster.start(folder) if is_cluster else RedisEngine.start(folder)


def _say(text: str) -> None:
    show.progress.print(text)


@contextlib.contextmanager
def _named_engines(kafka: str | None, redis: str | None) -> Iterator[None]:
    """Tells of an engine that cannot be used by the flag that named it.

    Raises:
        BenchError: in place of what says where settings are.
    """
    try:
        yield
    except KafkaDownError as error:
        raise BenchError(f"--kafka {kafka}: {error}" if kafka else str(error)) from error
    except RedisDownError as error:
        told = f"--redis {masked('redis_url', redis)}: {error}" if redis else str(error)
        raise BenchError(told) from error


def run_on_site(
    engines: _Engines, json: Path | None, work: Any  # noqa: ANN401 - a callback
) -> dict[str, Any]:  # fmt: skip
    """Runs a benchmark on a site and writes its report."""
    check_json(json)
    kafka, redis, is_cluster = engines
    if redis is not None:
        if is_cluster:
            raise SettingsError("--cluster starts a Redis Cluster, so --redis cannot name one")
        _check_url(redis)
    up.interruptible()
    with (
        _named_engines(kafka, redis),
        bench_site(kafka, redis, load().settings, is_cluster=is_cluster) as site,
    ):
        coroutine: Coroutine[Any, Any, dict[str, Any]] = work(site)
        report = uvloop.run(coroutine)
    write_json(json, report)
    return report


def _check_url(redis: str) -> None:
    try:
        link_to(redis)
    except InvalidFieldError as error:
        raise InvalidFieldError("--redis", error.value, error.wanted) from error


@bench_app.command("streams")
def bench_streams(  # noqa: PLR0917 - a command's parameters are its flags, given by name
    quick: Quick = False,  # noqa: FBT002 - a flag
    only: Only = None,
    seed: Seed = 7,
    kafka: Kafka = None,
    redis: Redis = None,
    cluster: Cluster = False,  # noqa: FBT002 - a flag
    json: Json = None,
) -> None:
    """CPU per event by stage, growth, merges, memory, lag, event to visible, several workers."""
    parts = tuple(only or PARTS)
    for part in parts:
        if part not in PARTS:
            raise UnknownNameError("part", part, PARTS)
    plan = QUICK if quick else FULL
    engines = kafka, redis, cluster
    report = run_on_site(engines, json, lambda site: run_streams(site, plan, seed, parts))
    show_streams(report, show.console)


@bench_app.command("identity")
def bench_identity(  # noqa: PLR0917 - as above
    quick: Quick = False,  # noqa: FBT002 - a flag
    seed: Seed = 7,
    kafka: Kafka = None,
    redis: Redis = None,
    cluster: Cluster = False,  # noqa: FBT002 - a flag
    json: Json = None,
) -> None:
    """Each step of the identity protocol: commands, rounds, CPU of Redis and of its client."""
    sizes, rounds = (QUICK_SIZES, 10) if quick else (SIZES, 50)
    report = run_on_site(
        (kafka, redis, cluster), json,
        lambda site: run_identity(site, sizes, rounds, repeats=5, seed=seed),
    )  # fmt: skip
    show_identity(report, show.console)
