"""``kinbid bench latency``: the open loop, for kinbid and for the bare handler in turns."""

import contextlib
from statistics import median
from typing import Any, Final

from benchmarks.bench.site import Site, about
from benchmarks.load.bid_stand import corpus_facts, settings_facts, standing
from benchmarks.load.cores import Cores, pin
from benchmarks.load.corpus import Corpus
from benchmarks.load.crew import Crew, Measured, Pids, crew
from benchmarks.load.histogram import PERCENTILES
from benchmarks.load.outcome import LEAST_BIDS, objections
from benchmarks.load.plan import LoadPlan
from benchmarks.load.schedule import Arrivals
from benchmarks.load.servers import serving
from runtime import clock

__all__ = ["capacity_of", "run_latency"]

WARM_UP_SECONDS: Final = 1.0
PROBES: Final = 5
PROBE_SECONDS: Final = 2.0
LEAST_SHARE: Final = 0.3
"""The search for the capacity begins between so much of the closed loop's rate and all of it."""
SHARE: Final = 0.6
"""Of the capacity, the rate that is offered where none is given."""


async def run_latency(
    site: Site, plan: LoadPlan, seed: int, rates: tuple[float, ...], arrivals: Arrivals
) -> dict[str, Any]:
    """Latencies of both under the same offered load, in turns.

    Args:
        site: the engines.
        plan: sizes; its base is used.
        seed: of persons, requests and schedules.
        rates: requests a second; empty for 60 % of the capacity.
        arrivals: kind of the schedules.
    """
    cores, now_ms = Cores.of_this_machine(), clock.now_ms()
    pin(site.redis_pids, cores.server)
    async with contextlib.AsyncExitStack() as cleanup:
        stand = await cleanup.enter_async_context(
            standing(
                site, cores, campaigns=plan.base_campaigns, persons=plan.base_persons,
                requests=plan.requests, seed=seed, now_ms=now_ms,
            )
        )  # fmt: skip
        bare = cleanup.enter_context(serving("bare", cores.server))

        def loading(url: str, pids: Pids, corpus: Corpus = stand.corpus) -> Crew:
            many = plan.open_connections
            return cleanup.enter_context(
                crew(url, corpus, pids, cores=cores, connections=many, processes=plan.generators)
            )

        pids = {"bidder": stand.bidder.pids, "redis": site.redis_pids}
        to_kinbid, to_bare = loading(stand.url, pids), loading(bare.url, {"bare": [bare.pid]})
        to_kinbid.closed(WARM_UP_SECONDS)
        to_bare.closed(WARM_UP_SECONDS)
        capacity = None if rates else capacity_of(to_kinbid, arrivals)
        chosen = rates or ((capacity or 0.0) * SHARE,)
        loads = to_kinbid, to_bare
        found = [
            _at_rate(site, plan, loads, rate=one, arrivals=arrivals, seed=seed) for one in chosen
        ]
        settings = {
            "plan": plan, "cores": cores, "arrivals": arrivals, "now_ms": now_ms,
            "corpus": corpus_facts(stand.corpus), "bidder": settings_facts(stand.settings),
        }  # fmt: skip
    return {
        "benchmark": "latency", **about(site, seed, settings), "capacity_per_second": capacity,
        "rates": found,
        "objections": [
            f"{one['offered_per_second']:,.0f} a second: {text}"
            for one in found
            for text in one["objections"]
        ],
    }  # fmt: skip


def capacity_of(load: Crew, arrivals: Arrivals) -> float:
    """The highest rate that was delivered: halving between a share of the closed loop's and all."""
    highest = load.closed(PROBE_SECONDS).outcome.per_second
    delivered, refused = highest * LEAST_SHARE, highest
    for probe in range(PROBES):
        rate = (delivered + refused) / 2
        outcome = load.open(rate, PROBE_SECONDS, kind=arrivals, seed=probe).outcome
        if outcome.is_delivered:
            delivered = rate
        else:
            refused = rate
    return delivered


def _at_rate(
    site: Site,
    plan: LoadPlan,
    loads: tuple[Crew, Crew],
    *,
    rate: float,
    arrivals: Arrivals,
    seed: int,
) -> dict[str, Any]:
    """Repeats at one rate, in turns with the same schedules."""
    to_kinbid, to_bare = loads
    runs: list[Measured] = []
    beside: list[Measured] = []
    for turn in range(plan.repeats):
        # By turns first, so that what one leaves behind is not always the same one's trouble.
        for load, kept in ((to_kinbid, runs), (to_bare, beside))[:: 1 if turn % 2 else -1]:
            kept.append(load.open(rate, plan.seconds, kind=arrivals, seed=seed + turn))
        ours, theirs = runs[-1].outcome.latency, beside[-1].outcome.latency
        site.say(
            f"{rate:,.0f} a second: p50 {ours.p50_us:,.0f} us, p99 {ours.p99_us:,.0f} us; "
            f"bare {theirs.p50_us:,.0f} and {theirs.p99_us:,.0f}"
        )
    return {
        "offered_per_second": rate, "kinbid": _medians(runs), "bare": _medians(beside),
        "times_bare_p99": median(
            one.outcome.latency.p99_us / other.outcome.latency.p99_us
            for one, other in zip(runs, beside, strict=True)
            if other.outcome.latency.count
        ),
        "objections": [
            *objections([one.outcome for one in runs], least_bids=LEAST_BIDS),
            *(f"bare: {text}" for text in objections([one.outcome for one in beside])),
        ],
        "repeats": runs, "bare_repeats": beside,
    }  # fmt: skip


def _medians(runs: list[Measured]) -> dict[str, Any]:
    """The middle of each figure over the repeats."""
    latencies = [one.outcome.latency for one in runs]
    return {
        **{name: median(getattr(one, name) for one in latencies) for name in PERCENTILES},
        "lateness_p99_us": median(one.outcome.lateness.p99_us for one in runs),
        "cpu_us": {
            name: median(one.cpu_us[name] for one in runs) for name in runs[0].cpu_us
        },
    }  # fmt: skip
