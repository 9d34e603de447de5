"""The same load for any other OpenRTB server: ``--target URL --pid N``."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Final, Literal

from benchmarks.bench.provenance import provenance
from benchmarks.load.audience import Audience
from benchmarks.load.bid_stand import corpus_facts
from benchmarks.load.cores import Cores
from benchmarks.load.corpus import Corpus
from benchmarks.load.crew import Crew, Measured, crew
from benchmarks.load.histogram import PERCENTILES
from benchmarks.load.latency import SHARE, WARM_UP_SECONDS, capacity_of
from benchmarks.load.outcome import bid_share, objections
from benchmarks.load.plan import LoadPlan
from benchmarks.load.requests import requests_of
from benchmarks.load.schedule import Arrivals
from models.identifiers import Pepper

__all__ = ["requests_for", "run_target"]

NOBODYS: Final = "nobody's secret"
"""Of hashes that are never made: the requests have the identifiers in clear."""
Mode = Literal["bid-path", "latency"]


def requests_for(plan: LoadPlan, seed: int) -> Corpus:
    """The requests that kinbid itself is measured with."""
    audience = Audience(seed, Pepper(NOBODYS), 0)
    return Corpus.of(requests_of(audience, plan.base_persons, plan.requests, seed))


def run_target(
    url: str,
    pids: Sequence[int],
    corpus: Corpus,
    plan: LoadPlan,
    *,
    mode: Mode,
    seed: int,
    rates: tuple[float, ...] = (),
    arrivals: Arrivals = "poisson",
) -> dict[str, Any]:
    """Loads a server that somebody else has started; where it runs is their choice, too.

    Args:
        url: where it takes bid requests.
        pids: its processes, and of whatever works for it.
        corpus: what is sent.
        plan: seconds, repeats and connections.
        mode: closed loop, or open loop.
        seed: of the schedules.
        rates: for the open loop; empty for a share of the capacity.
        arrivals: kind of the schedules.

    Raises:
        BenchError: nobody listens there, or a process has ended.
    """
    cores = Cores.of_this_machine()
    named = {str(pid): [pid] for pid in pids}
    many = plan.connections if mode == "bid-path" else plan.open_connections
    with crew(url, corpus, named, cores=cores, connections=many, processes=plan.generators) as load:
        load.closed(WARM_UP_SECONDS)
        if mode == "bid-path":
            found = [_figures([load.closed(plan.seconds) for _ in range(plan.repeats)])]
        else:
            chosen = rates or (capacity_of(load, arrivals) * SHARE,)
            found = [_figures(_open(load, plan, rate, arrivals, seed)) for rate in chosen]
    settings = {
        "plan": plan, "cores": cores, "corpus": corpus_facts(corpus), "arrivals": arrivals,
        "target": url,
    }  # fmt: skip
    return {
        "benchmark": f"{mode} of a target", **provenance(seed, settings), "runs": found,
        "objections": [text for one in found for text in one["objections"]],
    }  # fmt: skip


def _open(
    load: Crew, plan: LoadPlan, rate: float, arrivals: Arrivals, seed: int
) -> list[Measured]:  # fmt: skip
    return [
        load.open(rate, plan.seconds, kind=arrivals, seed=seed + turn)
        for turn in range(plan.repeats)
    ]


def _figures(runs: list[Measured]) -> dict[str, Any]:
    outcomes = [one.outcome for one in runs]
    cpu = {name: median(one.cpu_us[name] for one in runs) for name in runs[0].cpu_us}
    latency = {name: median(getattr(one.latency, name) for one in outcomes) for name in PERCENTILES}
    return {
        "offered_per_second": outcomes[0].offered_per_second,
        "per_second": median(one.per_second for one in outcomes),
        "cpu_us": cpu, "all_cpu_us": sum(cpu.values()), "latency": latency,
        "bid_share": bid_share(outcomes),
        "objections": objections(outcomes),
        "repeats": runs,
    }  # fmt: skip
