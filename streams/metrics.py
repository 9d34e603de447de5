"""Metrics of the streams worker; ``docs/metrics.md`` lists them for people."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from models.events import MissedReason
from models.evidence import Reason, Verdict
from models.links import LinkResult
from streams.age_histogram import AgeHistogram
from streams.stage_clock import STAGES
from streams.stages.calls import JoinResult
from streams.stages.cap_leaks import LEAK_CAUSES

__all__ = ["Metrics"]

TOPICS = ("events", "outcomes", "verdicts", "matches")
DELAY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
AGE_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """Every series of the worker, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own
        self.registry = CollectorRegistry()
        self.events = self._counter("streams_events", "Records folded.", "topic")
        self.links = self._counter("streams_links", "Links by result.", "result")
        self.dead_letters = self._counter("streams_dead_letters", "Records refused.", "topic")
        self.offers = self._counter("streams_offers", "Offers let through, by kind.", "kind")
        self.stale_offers = self._counter("streams_stale_offers", "Offers older than known.")
        self.retries = self._counter("streams_batch_retries", "Batches done again.", "dependency")
        self.takeovers = self._counter("streams_takeovers", "Partitions taken over.", "topic")
        self.calls = self._counter("streams_calls", "Inbound calls told of.", "result")
        self.call_joins = self._counter("streams_call_joins", "Calls joined or not.", "result")
        self.quarantined = self._counter(
            "streams_quarantined", "Links refused anew, or for another reason.", "reason"
        )
        self.verdicts = self._counter("streams_verdicts", "Verdicts carried out.", "verdict")
        self.splits = self._counter("streams_splits", "Persons split.")
        self.over_cap = self._counter(
            "streams_over_cap_impressions", "Billed beyond the caps of their bids.", "cause"
        )
        self.billing_delay = Histogram(
            "streams_billing_delay_seconds", "From a bid to the notice that bills it.",
            ["exchange"], buckets=DELAY_BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.age = AgeHistogram(
            "streams_event_age_seconds",
            "Age of a record, from its production, when its person's bid view is written.",
            AGE_BUCKETS, TOPICS,
        )  # fmt: skip
        self.registry.register(self.age)
        self.lag = Gauge(
            "streams_lag_records", "Records not read yet.", ["topic", "partition"],
            registry=self.registry,
        )  # fmt: skip
        self.lag_seconds = Gauge(
            "streams_lag_seconds", "Age of the newest record read; 0 when all are read.",
            ["topic", "partition"], registry=self.registry,
        )  # fmt: skip
        self.stage_seconds = self._counter(
            "streams_stage_cpu_seconds", "CPU of the firehose's thread by stage.", "stage"
        )
        self.batch = Histogram(
            "streams_batch_duration_seconds", "Time to fold and publish one batch.",
            buckets=AGE_BUCKETS, registry=self.registry,
        )  # fmt: skip

        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Makes every series that can be named now: a rate misses a counter that begins at 1."""
        for topic in TOPICS:
            self.events.labels(topic)
            self.takeovers.labels(topic)
        for topic in ("events", "outcomes", "inventory", "verdicts", "matches"):
            self.dead_letters.labels(topic)
        for dependency in ("kafka", "redis"):
            self.retries.labels(dependency)
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        for kind in ("flight", "product"):
            self.offers.labels(kind)
        self._begin_links_at_zero()

    def _begin_links_at_zero(self) -> None:
        for result in get_args(LinkResult):
            self.links.labels(result)
        for reason in get_args(Reason):
            self.quarantined.labels(reason)
        for cause in LEAK_CAUSES:
            self.over_cap.labels(cause)
        for verdict in get_args(Verdict):
            self.verdicts.labels(verdict)
        for reason in get_args(MissedReason):
            self.calls.labels(reason or "answered")
        for joined in get_args(JoinResult):
            self.call_joins.labels(joined)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)
