"""The bidder's metrics: integer slots in memory shared with the supervisor, which exports them.

The hot path adds to a slot (0.05 us); a scrape is answered by another process.
"""

import mmap
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import IO, Final

import msgspec
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bidder.allowed_use import Refusal
from bidder.errors import NoBidReason

__all__ = ["Counters", "WorkerCollector", "open_memory"]


class _Series(msgspec.Struct, frozen=True):
    name: str
    help: str
    label: str = ""
    value: str = ""


def _by(name: str, text: str, label: str, values: Iterable[str]) -> list[_Series]:
    return [_Series(name, text, label, value) for value in values]


NOTICE_KINDS: Final = ("win", "billing")
NOTICE_RESULTS: Final = ("accepted", "quarantined", "late", "test", "forged", "failed")
RECEIPT_KINDS: Final = ("summary", "full", "fault")
RECEIPT_DROPS: Final = ("queue", "kafka", "rate", "size", "failed")
DEPENDENCIES: Final = ("redis", "kafka", "catalog", "spend")

_SERIES: Final = (
    _Series("bidder_bid_requests", "Bid requests read, malformed ones included."),
    _Series("bidder_bids", "Bids made."),
    *_by("bidder_no_bids", "Requests without a bid.", "reason", [r.value for r in NoBidReason]),
    _Series("bidder_malformed_requests", "Requests answered with 400."),
    _Series("bidder_unknown_paths", "Requests answered with 404 or 405."),
    *_by(
        "bidder_notices", "Notices by kind and result.", "result",
        [f"{kind}_{result}" for kind in NOTICE_KINDS for result in NOTICE_RESULTS],
    ),
    _Series("bidder_spend_micros", "Money of accepted billing notices, micros of the currency."),
    *_by("bidder_dependency_failures", "Failures, each in its declared mode.", "dependency",
         DEPENDENCIES),
    _Series("bidder_persons_known", "Requests whose person was known."),
    _Series("bidder_persons_unknown", "Requests with identifiers that nobody knows."),
    _Series("bidder_persons_refused", "Requests for which privacy forbids a look-up."),
    *_by("bidder_privacy_refusals", "Reasons for which privacy allowed less than everything.",
         "reason", [one.value for one in Refusal]),
    _Series("bidder_persons_withdrawn", "Requests whose person has withdrawn consent."),
    _Series("bidder_persons_crowded", "Requests with more identifiers than are looked up."),
    _Series("bidder_identity_disagreements", "Requests whose identifiers are several persons."),
    _Series("bidder_shared_devices", "Requests from devices that several CRM persons use."),
    _Series("bidder_searches_cut", "Requests with a slot for which too many campaigns stood by."),
    _Series("bidder_exact_reservations", "Caps checked and reserved in one step."),
    _Series("bidder_cap_refusals", "Exact reservations that found the cap used up."),
    *_by("bidder_receipts", "Receipts of decisions that were kept.", "kind", RECEIPT_KINDS),
    *_by("bidder_receipts_dropped", "Receipts that were to be kept and were not, or not in full.",
         "reason", RECEIPT_DROPS),
)  # fmt: skip

_INDEX: Final = {(one.name, one.value): place for place, one in enumerate(_SERIES)}

LATENCY_BUCKETS_NS: Final = tuple(
    int(ms * 1e6) for ms in (0.1, 0.2, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100)
)
_LATENCY: Final = len(_SERIES)
_LATENCY_SUM: Final = _LATENCY + len(LATENCY_BUCKETS_NS) + 1
_BEAT: Final = _LATENCY_SUM + 1
_READY: Final = _BEAT + 1
_CATALOG: Final = _READY + 1
_SIZE: Final = _CATALOG + 1


def slot(name: str, value: str = "") -> int:
    """The place of a series; a name that does not exist is a KeyError at import."""
    return _INDEX[name, value]


def open_memory() -> IO[bytes]:
    """A file, already unlinked, that a worker and its supervisor map."""
    memory = tempfile.TemporaryFile()  # noqa: SIM115 - the caller keeps it open
    memory.truncate(_SIZE * 8)
    return memory


class Counters:
    """One worker's slots.

    Args:
        descriptor: of the file from :func:`open_memory`.
    """

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _SIZE * 8)
        self.slots = memoryview(self._map).cast("q")

    def add(self, place: int, amount: int = 1) -> None:
        """Adds to a slot."""
        self.slots[place] += amount

    def observe_latency(self, elapsed_ns: int) -> None:
        """Counts one answer's latency, from the request's last byte to the answer."""
        self.slots[_LATENCY + bisect_left(LATENCY_BUCKETS_NS, elapsed_ns)] += 1
        self.slots[_LATENCY_SUM] += elapsed_ns

    def beat(self, now_ms: int, catalog_ms: int) -> None:
        """Says that the loop is alive, and since when the catalogue is known to be current."""
        self.slots[_BEAT] = now_ms
        self.slots[_CATALOG] = catalog_ms

    def set_ready(self, *, is_ready: bool) -> None:
        """Says whether this worker should get requests."""
        self.slots[_READY] = int(is_ready)

    @property
    def is_ready(self) -> bool:
        """Whether the worker says that it should get requests."""
        return bool(self.slots[_READY])

    @property
    def last_beat_ms(self) -> int:
        """When the loop last said that it is alive, Unix ms; 0 before the first time."""
        return self.slots[_BEAT]

    def reset(self) -> None:
        """Not ready, no beat: a successor begins; the counts go on."""
        self.slots[_READY] = self.slots[_BEAT] = 0

    def value(self, name: str, value: str = "") -> int:
        """A series' count, for tests and summaries."""
        return self.slots[slot(name, value)]


class WorkerCollector(Collector):
    """Gives one worker's slots to Prometheus."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """The series, in seconds where they are times."""
        slots = self._counters.slots
        families: dict[str, CounterMetricFamily] = {}
        for place, one in enumerate(_SERIES):
            if one.name not in families:
                labels = [one.label] if one.label else []
                families[one.name] = CounterMetricFamily(one.name, one.help, labels=labels)
            families[one.name].add_metric([one.value] if one.label else [], slots[place])
        yield from families.values()
        yield self._latency()
        age_ms = max(0, slots[_BEAT] - slots[_CATALOG])
        yield GaugeMetricFamily(
            "bidder_catalog_age_seconds", "Time since the catalogue was last known current.",
            value=age_ms / 1000,
        )  # fmt: skip

    def _latency(self) -> HistogramMetricFamily:
        slots, total = self._counters.slots, 0
        buckets: list[tuple[str, float]] = []
        for place, bound in enumerate([*(ns / 1e9 for ns in LATENCY_BUCKETS_NS), float("inf")]):
            total += slots[_LATENCY + place]
            buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
        family = HistogramMetricFamily(
            "bidder_answer_duration_seconds", "From a bid request's last byte to the answer."
        )
        family.add_metric([], buckets, slots[_LATENCY_SUM] / 1e9)
        return family
