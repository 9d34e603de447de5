"""``kinbid bench bid-path``: CPU of a bid, beside the bare handler's, by stage and by size."""

import contextlib
import urllib.request
from contextlib import AbstractContextManager
from statistics import median
from typing import Any, Final

from benchmarks.bench.site import Site, about
from benchmarks.load.bid_stages import STAGES, stages_of
from benchmarks.load.bid_stand import BidStand, corpus_facts, settings_facts, standing
from benchmarks.load.cores import Cores, pin, resident_bytes
from benchmarks.load.corpus import Corpus
from benchmarks.load.crew import Crew, Measured, Pids, crew
from benchmarks.load.outcome import LEAST_BIDS, Outcome, bid_share, objections
from benchmarks.load.plan import LoadPlan
from benchmarks.load.servers import serving
from runtime import clock

__all__ = ["run_bid_path"]

WARM_UP_SECONDS: Final = 1.0
LEAST_TIMES_BARE: Final = 1.5


class _Case:
    """A stand, who loads it, and what that came to."""

    def __init__(self, stand: BidStand, load: Crew) -> None:
        self.stand = stand
        self.load = load
        self.runs: list[Measured] = []
        self.beside: list[Measured] = []
        """The bare handler's run of the same turn."""
        self._pauses_before = _pauses(stand)

    def pauses(self) -> dict[str, float]:
        """What the worker says of pauses of its collector and its loop, while it was loaded."""
        before = self._pauses_before
        return {name: value - before.get(name, 0.0) for name, value in _pauses(self.stand).items()}


async def run_bid_path(site: Site, plan: LoadPlan, seed: int) -> dict[str, Any]:
    """Runs all cases in turns, closed loop.

    Returns:
        What :func:`about` says, and the figures; ``objections`` says why they are invalid.
    """
    cores, now_ms = Cores.of_this_machine(), clock.now_ms()
    pin(site.redis_pids, cores.server)
    async with contextlib.AsyncExitStack() as cleanup:
        cases: list[_Case] = []
        for campaigns, persons in plan.cases:
            stand = await cleanup.enter_async_context(
                standing(
                    site, cores, campaigns=campaigns, persons=persons, requests=plan.requests,
                    seed=seed, now_ms=now_ms,
                )
            )  # fmt: skip
            pids = {"bidder": stand.bidder.pids, "redis": site.redis_pids}
            load = cleanup.enter_context(_loading(stand.url, stand.corpus, pids, plan, cores))
            cases.append(_Case(stand, load))
        speed = _run_in_turns(site, plan, cases, cores)
        base = cases[0].stand
        stages = await stages_of(base.settings, base.corpus.messages(base.url))
        chosen = {
            "plan": plan, "cores": cores, "corpus": corpus_facts(base.corpus), "now_ms": now_ms,
            "bidder": settings_facts(base.settings),
        }  # fmt: skip
        rows = [_row(case) for case in cases]
    return {
        "benchmark": "bid-path", **about(site, seed, chosen), "cases": rows,
        "stages": STAGES, "stages_us": stages.micros, "personal_share": stages.personal_share,
        **_outside(rows[0], stages.micros["sum"]), "generator": speed,
        "growth": _growth(plan, rows),
        "objections": [
            *_too_slow(speed),
            *(
                f"{row['campaigns']:,} campaigns, {row['persons']:,} persons: {text}"
                for row in rows
                for text in row["objections"]
            ),
        ],
    }  # fmt: skip


def _loading(
    url: str, corpus: Corpus, pids: Pids, plan: LoadPlan, cores: Cores
) -> AbstractContextManager[Crew]:
    return crew(
        url, corpus, pids, cores=cores, connections=plan.connections, processes=plan.generators
    )


def _run_in_turns(
    site: Site, plan: LoadPlan, cases: list[_Case], cores: Cores
) -> dict[str, float]:  # fmt: skip
    """Every repeat of a case follows one of the bare handler; returns how fast the generator is."""
    corpus = cases[0].stand.corpus
    with (
        serving("bare", cores.server) as bare,
        serving("constant", cores.server) as constant,
        _loading(bare.url, corpus, {"bare": [bare.pid]}, plan, cores) as to_bare,
        _loading(constant.url, corpus, {"constant": [constant.pid]}, plan, cores) as to_constant,
    ):
        for load in (to_bare, to_constant, *(case.load for case in cases)):
            load.closed(WARM_UP_SECONDS)
        alone: list[Outcome] = []
        for _ in range(plan.repeats):
            for case in cases:
                case.beside.append(to_bare.closed(plan.seconds))
                case.runs.append(case.load.closed(plan.seconds))
                site.say(_progress(case))
            alone.append(to_constant.closed(plan.seconds).outcome)
    return _speed(alone, [one for case in cases for one in case.beside])


def _speed(alone: list[Outcome], bare: list[Measured]) -> dict[str, float]:
    """How fast the generator is when nothing holds it up, beside the bare handler.

    By CPU, since each has a core: rates would say how much of it the neighbours took.
    """
    generator_us = median([one.generator_us for one in alone])
    return {
        "generator_us": generator_us,
        "most_per_second": median([one.per_second for one in alone]),
        "bare_per_second": median([one.outcome.per_second for one in bare]),
        "times_bare": median([one.cpu_us["bare"] for one in bare]) / generator_us,
    }


def _progress(case: _Case) -> str:
    bidder, bare = case.runs[-1], case.beside[-1].cpu_us["bare"]
    return (
        f"{case.stand.campaigns:,} campaigns, {case.stand.persons:,} persons: "
        f"{bidder.cpu_us['bidder']:.1f} us + {bidder.cpu_us['redis']:.1f} us in Redis, "
        f"{bidder.outcome.per_second:,.0f} a second; bare {bare:.1f} us"
    )


def _row(case: _Case) -> dict[str, Any]:
    stand, runs = case.stand, case.runs
    bidder = [one.cpu_us["bidder"] for one in runs]
    redis = [one.cpu_us["redis"] for one in runs]
    bare = [one.cpu_us["bare"] for one in case.beside]
    outcomes = [one.outcome for one in runs]
    against = objections(outcomes, least_bids=LEAST_BIDS)
    against += objections([one.outcome for one in case.beside])
    return {
        "campaigns": stand.campaigns, "persons": stand.persons,
        "bidder_us": median(bidder), "bidder_us_spread": [min(bidder), max(bidder)],
        "redis_us": median(redis), "redis_us_spread": [min(redis), max(redis)],
        "bare_us": median(bare), "bare_us_spread": [min(bare), max(bare)],
        "times_bare": median([one / beside for one, beside in zip(bidder, bare, strict=True)]),
        "per_second": median([one.outcome.per_second for one in runs]),
        "kernel_share": median([one.kernel_share["bidder"] for one in runs]),
        "bid_share": bid_share(outcomes), "objections": against,
        "resident_bytes": [resident_bytes(pid) for pid in stand.bidder.pids],
        "pauses": case.pauses(), "repeats": runs, "bare_repeats": case.beside,
    }  # fmt: skip


def _pauses(stand: BidStand) -> dict[str, float]:
    """What workers say of pauses of their collector and their loop, since they began."""
    found: dict[str, float] = {}
    for url in stand.bidder.metrics_urls:
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:  # noqa: S310 - our own
            lines = reply.read().decode().splitlines()
        for line in lines:
            name, _, value = line.rpartition(" ")
            if line.startswith("bidder_") and ("_gc_" in name or "_loop_" in name):
                found[name] = found.get(name, 0.0) + float(value)
    return found


def _outside(row: dict[str, Any], stages_us: float) -> dict[str, float]:
    """What the worker uses beside its stages: what the kernel does for it, and the rest."""
    kernel_us = row["bidder_us"] * row["kernel_share"]
    return {"kernel_us": kernel_us, "rest_us": row["bidder_us"] - stages_us - kernel_us}


def _too_slow(speed: dict[str, float]) -> list[str]:
    """A generator that is hardly faster than what it measures is the bottleneck of the run."""
    times = speed["times_bare"]
    told = f"the generator is {times:.2f} times as fast as the bare handler"
    return [] if times >= LEAST_TIMES_BARE else [f"{told}, less than {LEAST_TIMES_BARE}"]


def _growth(plan: LoadPlan, rows: list[dict[str, Any]]) -> dict[str, float]:
    """Largest to smallest, by bidder and Redis together."""
    cost = {(row["campaigns"], row["persons"]): row["bidder_us"] + row["redis_us"] for row in rows}
    campaigns = sorted({one for one, persons in cost if persons == plan.base_persons})
    persons = sorted({one for campaigns, one in cost if campaigns == plan.base_campaigns})
    base_persons, base_campaigns = plan.base_persons, plan.base_campaigns
    return {
        "campaigns": cost[campaigns[-1], base_persons] / cost[campaigns[0], base_persons],
        "persons": cost[base_campaigns, persons[-1]] / cost[base_campaigns, persons[0]],
    }
