"""Where a benchmark runs: engines that are up, and how to start a worker on them."""

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bench.cpu import cpu_micros
from benchmarks.bench.provenance import provenance
from models.commands import Command, Steps
from models.errors import KinbidError
from runtime.link import Link
from runtime.settings import Settings

__all__ = [
    "BenchError", "Bidder", "Site", "Worker", "about", "ask", "info", "metric", "owned",
    "redis_cpu_micros", "scrape",
]  # fmt: skip

SCRAPE_SECONDS: Final = 10.0


class BenchError(KinbidError):
    """A measurement did not come about; the text says what was missing."""


class Worker(Protocol):
    """A ``kinbid streams`` process."""

    @property
    def pid(self) -> int:
        """Process id."""

    @property
    def metrics_url(self) -> str:
        """Where its ``/metrics`` is."""

    def stop(self) -> None:
        """Ends it, drained."""

    def kill(self) -> None:
        """Ends it at once, with -9."""


class Bidder(Protocol):
    """A ``kinbid bidder`` process and its workers."""

    @property
    def url(self) -> str:
        """Where exchanges connect, without a path."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers."""

    @property
    def metrics_urls(self) -> tuple[str, ...]:
        """Where each worker's ``/metrics`` is."""

    def stop(self) -> None:
        """Ends it, drained."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Engines, and who starts workers.

    Attributes:
        settings: where Kafka and Redis are.
        engines: name to description, for people.
        redis_pids: processes of a Redis of ours; empty for one that runs elsewhere.
        broker_pids: processes of a broker of ours; empty for one that runs elsewhere.
        start_worker: starts ``kinbid streams`` with the settings given.
        start_bidder: starts ``kinbid bidder`` with the settings given; on the main thread.
        records_behind: how many of the records that stand in Kafka now are not folded within
            the seconds given.
        say: tells people how far it is.
    """

    settings: Settings
    engines: dict[str, str]
    redis_pids: tuple[int, ...]
    broker_pids: tuple[int, ...]
    start_worker: Callable[[Settings], Worker]
    start_bidder: Callable[[Settings], Bidder]
    records_behind: Callable[[Settings, float], Awaitable[int]]
    say: Callable[[str], None]


def owned(site: Site, name: str) -> Settings:
    """The settings of one scenario: topics and keys of its own on the same engines."""
    return msgspec.structs.replace(site.settings, owner=f"{site.settings.owner}-{name}")


def ask(*commands: Command) -> Steps[list[Any]]:
    """One step of commands, and their replies."""
    return (yield list(commands))


async def info(link: Link, section: str) -> list[dict[str, str]]:
    """What each server that owns keys tells of itself."""
    told = [(await server.run(ask(("INFO", section))))[0] for server in link.servers]
    return [
        dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        for text in told
    ]


async def redis_cpu_micros(site: Site, link: Link) -> float:
    """CPU that Redis has used, in microseconds, all its servers together.

    Of our own servers it is the system's figure, replicas included; of far ones what those that own
    keys say themselves.
    """
    if site.redis_pids:
        return cpu_micros(site.redis_pids)
    told = await info(link, "cpu")
    return sum(float(one["used_cpu_user"]) + float(one["used_cpu_sys"]) for one in told) * 1e6


Samples = dict[str, list[tuple[dict[str, str], float]]]


async def scrape(worker: Worker) -> Samples:
    """Every sample of a worker's metrics, by series name."""
    text = await asyncio.to_thread(_get, f"{worker.metrics_url}/metrics")
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS) as reply:  # noqa: S310 - our own
        body: bytes = reply.read()
    return body.decode()


def metric(samples: Samples, name: str, **labels: str) -> float:
    """The sum of a series over all labels that are not given."""
    return sum(
        value
        for found, value in samples.get(name, [])
        if all(found.get(key) == wanted for key, wanted in labels.items())
    )


def about(site: Site, seed: int, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a reader needs to repeat a run: commit, machine, versions, seed and settings."""
    return provenance(seed, chosen, site.engines)
