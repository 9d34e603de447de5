"""What a run of the world measured: counters while it runs, a snapshot a second, a report."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from benchmarks.world.referee import Verdict
from benchmarks.world.scores import IdentityScore
from models.units import MICROS

__all__ = ["Backfill", "Freshness", "Percentiles", "Progress", "Report", "Tally", "percentiles_ms"]

NS_PER_MS: Final = 1_000_000


class Percentiles(msgspec.Struct, frozen=True):
    """Of latencies in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p99: float | None = None
    p999: float | None = None


class Freshness(msgspec.Struct, frozen=True):
    """Event sent to Kafka until visible in a bid, in milliseconds.

    Attributes:
        grain: probes ask this often, so each value is up to this much too high.
        probes: how many were made.
        missed: how many saw nothing within their deadline; they are in no percentile.
        requests: bid requests that they took; they count nowhere else.
    """

    p50: float | None
    p99: float | None
    grain: float
    probes: int
    missed: int
    requests: int


class Backfill(msgspec.Struct, frozen=True):
    """What was produced before the live part, and what went wrong."""

    events: int
    offers: int
    seconds: float
    failures: dict[str, int]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a run, once a second; ``latency_ms`` is of the last second alone."""

    seconds: float
    events: int
    bid_requests: int
    bids: int
    wins: int
    impressions: int
    conversions: int
    spend_micros: int
    latency_ms: Percentiles
    over_cap_impressions: int
    sold_out_ads: int
    wrong_person_bids: int
    failures: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. Money is in units of the owner's currency, times are in milliseconds.

    Attributes:
        events: behaviour events sent in the live part; ``offers`` are sent beside them.
        bid_requests: without those of the freshness probes.
        impressions, spend: billed.
        latency_ms: from the scheduled instant of a request to the last byte of its answer.
        late_sends: actions that began more than ``LATE_SEND_MS`` after their instant.
        late_answers: bids that came after the request's ``tmax``, and so could not win.
        failures: what went wrong, by kind; empty after a clean run.
        violations: the first few findings behind the zeros, in words.
        driver_cpu_seconds: CPU time of this process during the run.
        identity: set by whoever can read the system's persons.
    """

    seed: int
    persons: int
    seconds: float
    events: int
    events_per_s: float
    offers: int
    bid_requests: int
    bid_requests_per_s: float
    bids: int
    personal_bids: int
    wins: int
    impressions: int
    conversions: int
    spend: float
    over_cap_impressions: int
    over_cap_per_owner: int
    sold_out_ads: int
    wrong_person_bids: int
    freshness_ms: Freshness
    latency_ms: Percentiles
    late_sends: int
    late_answers: int
    failures: dict[str, int]
    violations: tuple[str, ...]
    driver_cpu_seconds: float
    bids_by_format: dict[str, int] = {}
    identity: IdentityScore | None = None


class Tally:
    """The driver's counters."""

    def __init__(self) -> None:
        self.events = 0
        self.offers = 0
        self.bid_requests = 0
        self.bids = 0
        self.bids_by_format: Counter[str] = Counter()
        self.wins = 0
        self.late_sends = 0
        self.late_answers = 0
        self.probes = 0
        self.probes_missed = 0
        self.probe_requests = 0
        self.failures: Counter[str] = Counter()
        self.latencies_ns: list[int] = []
        self.freshness_ms: list[float] = []
        self._reported = 0

    def fresh_latencies_ns(self) -> list[int]:
        """Latencies since the last call."""
        fresh = self.latencies_ns[self._reported :]
        self._reported = len(self.latencies_ns)
        return fresh

    def progress(self, seconds: float, verdict: Verdict) -> Progress:
        """A snapshot; consumes the latencies of the time since the last one."""
        return Progress(
            seconds=seconds,
            events=self.events,
            bid_requests=self.bid_requests,
            bids=self.bids,
            wins=self.wins,
            impressions=verdict.impressions,
            conversions=verdict.conversions,
            spend_micros=verdict.spend_micros,
            latency_ms=percentiles_ms(self.fresh_latencies_ns()),
            over_cap_impressions=verdict.over_cap_impressions,
            sold_out_ads=verdict.sold_out_ads,
            wrong_person_bids=verdict.wrong_person_bids,
            failures=self.failures.total(),
        )

    def freshness(self, grain_ms: float) -> Freshness:
        """The probes' result."""
        p50, p99 = _quantiles(self.freshness_ms, (50, 99))
        return Freshness(
            p50=p50,
            p99=p99,
            grain=grain_ms,
            probes=self.probes,
            missed=self.probes_missed,
            requests=self.probe_requests,
        )

    def report(
        self,
        verdict: Verdict,
        *,
        seed: int,
        persons: int,
        seconds: float,
        cpu_seconds: float,
        grain_ms: float,
    ) -> Report:
        """The run's report."""
        return Report(
            seed=seed,
            persons=persons,
            seconds=round(seconds, 3),
            events=self.events,
            events_per_s=round(self.events / seconds, 1),
            offers=self.offers,
            bid_requests=self.bid_requests,
            bid_requests_per_s=round(self.bid_requests / seconds, 1),
            bids=self.bids,
            personal_bids=verdict.personal_bids,
            wins=self.wins,
            impressions=verdict.impressions,
            conversions=verdict.conversions,
            spend=verdict.spend_micros / MICROS,
            over_cap_impressions=verdict.over_cap_impressions,
            over_cap_per_owner=verdict.over_cap_per_owner,
            sold_out_ads=verdict.sold_out_ads,
            wrong_person_bids=verdict.wrong_person_bids,
            freshness_ms=self.freshness(grain_ms),
            latency_ms=percentiles_ms(self.latencies_ns),
            late_sends=self.late_sends,
            late_answers=self.late_answers,
            failures=dict(self.failures),
            violations=verdict.violations,
            driver_cpu_seconds=round(cpu_seconds, 3),
            bids_by_format=dict(sorted(self.bids_by_format.items())),
        )


def percentiles_ms(latencies_ns: Sequence[int]) -> Percentiles:
    """The percentiles of latencies in nanoseconds, as milliseconds."""
    return Percentiles(*_quantiles([value / NS_PER_MS for value in latencies_ns], (50, 99, 99.9)))


def _quantiles(values: Sequence[float], percents: Sequence[float]) -> list[float | None]:
    if not values:
        return [None] * len(percents)
    found = np.percentile(np.asarray(values, dtype=np.float64), percents)
    return [round(float(value), 3) for value in found]
