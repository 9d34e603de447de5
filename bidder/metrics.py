"""The bidder's metrics: integer slots in memory shared with the supervisor, which exports them.

The hot path adds to a slot (0.05 us); a scrape is answered by another process.
"""

import mmap
import tempfile
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from bidder.exchange_rows import ROWS_BYTES, ExchangeRows
from bidder.openrtb import DEVIATIONS
from models.notices import NOTICE_KINDS

__all__ = ["Counters", "WorkerCollector", "histogram", "open_memory", "slot"]


class _Series(msgspec.Struct, frozen=True):
    name: str
    help: str
    label: str = ""
    value: str = ""


def _by(name: str, text: str, label: str, values: Iterable[str]) -> list[_Series]:
    return [_Series(name, text, label, value) for value in values]


NOTICE_RESULTS: Final = (
    "accepted", "repeated", "quarantined", "late", "audit", "test", "forged", "failed",
)  # fmt: skip
DEPENDENCIES: Final = ("redis", "kafka", "catalog", "spool", "spend", "streams")
SYNC_RESULTS: Final = ("matched", "sent_on", "cookie_only", "refused", "failed")
RECEIPT_KINDS: Final = ("summary", "full", "fault")
RECEIPT_DROPS: Final = ("queue", "kafka", "rate", "size", "failed")
HTTP_REFUSALS: Final = ("malformed", "head", "body", "inflated", "coding", "broken_gzip")
CONNECTION_CUTS: Final = ("idle", "slow_request", "slow_reader", "too_many")
SHED_CAUSES: Final = ("queue", "in_flight", "nobody")
STARTS: Final = ("start", "crash", "stall", "roll")
STARTS_WITH_CLIENTS: Final = frozenset({"crash", "stall"})
"""Nobody else takes the connections that wait for a worker which is started so."""

_SERIES: Final = (
    _Series("bidder_bid_requests", "Bid requests read, malformed ones included."),
    _Series("bidder_bids", "Bids made."),
    *_by("bidder_no_bids", "Requests without a bid.", "reason", [r.value for r in NoBidReason]),
    _Series("bidder_malformed_requests", "Requests answered with 400."),
    *_by("bidder_http_refusals", "Requests that could not be read.", "reason", HTTP_REFUSALS),
    *_by("bidder_connections_cut", "Connections that the bidder ended.", "reason",
         CONNECTION_CUTS),
    _Series("bidder_inflated_requests", "Requests that came in gzip."),
    _Series("bidder_gzip_answers", "Answers sent in gzip."),
    _Series("bidder_unknown_paths", "Requests answered with 404 or 405."),
    *_by(
        "bidder_request_deviations", "Fields of requests that are not of their type.", "field",
        DEVIATIONS,
    ),
    *_by(
        "bidder_notices", "Notices by kind and result.", "result",
        [f"{kind}_{result}" for kind in NOTICE_KINDS for result in NOTICE_RESULTS],
    ),
    _Series("bidder_spend_micros", "Money of accepted billing notices, micros of the currency."),
    _Series("bidder_spooled_records", "Records spooled since Kafka did not take them."),
    _Series("bidder_drained_records", "Records of the spool that Kafka has taken."),
    *_by("bidder_syncs", "Cookie syncs by result.", "result", SYNC_RESULTS),
    *_by("bidder_dependency_failures", "Failures, each in its declared mode.", "dependency",
         DEPENDENCIES),
    _Series("bidder_persons_known", "Requests whose person was known."),
    _Series("bidder_persons_matched", "Requests whose user id a cookie sync led to our cookie."),
    _Series("bidder_persons_unknown", "Requests with identifiers that nobody knows."),
    _Series("bidder_persons_refused", "Requests for which privacy forbids a look-up."),
    *_by("bidder_privacy_refusals", "Reasons for which privacy allowed less than everything.",
         "reason", [one.value for one in Refusal]),
    _Series("bidder_persons_withdrawn", "Requests whose person has withdrawn consent."),
    _Series("bidder_persons_crowded", "Requests with more identifiers than are looked up."),
    _Series("bidder_identity_disagreements", "Requests whose identifiers are several persons."),
    _Series("bidder_shared_devices", "Requests from devices that several CRM persons use."),
    _Series("bidder_searches_cut", "Requests with a slot for which too many campaigns stood by."),
    _Series("bidder_slots_passed_over", "Slots of requests that offered more than are looked at."),
    _Series("bidder_exact_reservations", "Caps checked and reserved in one step."),
    _Series("bidder_cap_refusals", "Exact reservations that found the cap used up."),
    *_by("bidder_receipts", "Receipts of decisions that were kept.", "kind", RECEIPT_KINDS),
    *_by("bidder_receipts_dropped", "Receipts that were to be kept and were not, or not in full.",
         "reason", RECEIPT_DROPS),
    *_by("bidder_shed", "Requests given up for want of time, by cause.", "reason", SHED_CAUSES),
    _Series("bidder_gc_full_collections", "Garbage collections that walked every object."),
    *_by("bidder_worker_starts", "Processes started for this place, by cause.", "cause", STARTS),
)  # fmt: skip

_INDEX: Final = {(one.name, one.value): place for place, one in enumerate(_SERIES)}

_MS_IN_NS: Final = 1_000_000


class _Histogram(msgspec.Struct, frozen=True):
    name: str
    help: str
    bounds_ns: tuple[int, ...]


def _histogram(name: str, text: str, *bounds_ms: float) -> _Histogram:
    return _Histogram(name, text, tuple(int(ms * _MS_IN_NS) for ms in bounds_ms))


_HISTOGRAMS: Final = (
    _histogram(
        "bidder_answer_duration_seconds", "From a bid request's last byte to the answer.",
        0.1, 0.2, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100,
    ),
    _histogram(
        "bidder_loop_lag_seconds", "How late the event loop is for what it was to do by now.",
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000,
    ),
    _histogram(
        "bidder_gc_pause_seconds", "For how long a garbage collection stopped everything.",
        0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100,
    ),
)  # fmt: skip
"""Each takes a slot for a bucket, one for what is above the last, and one for the sum."""


def _places() -> tuple[list[int], int]:
    places, first = [], len(_SERIES)
    for each in _HISTOGRAMS:
        places.append(first)
        first += len(each.bounds_ns) + 2
    return places, first


_FIRST_OF, _BEAT = _places()
_READY: Final = _BEAT + 1
_SERVING: Final = _READY + 1
_CATALOG: Final = _SERVING + 1
_SPOOL: Final = _CATALOG + 1
_CONNECTIONS: Final = _SPOOL + 1
_SIZE: Final = _CONNECTIONS + 1
_BYTES: Final = _SIZE * 8 + ROWS_BYTES


LAYOUT: Final = zlib.crc32(repr((_SERIES, _HISTOGRAMS, _SIZE, ROWS_BYTES)).encode())
"""What stands where, as one number: whoever shares the memory must have the same."""


def slot(name: str, value: str = "") -> int:
    """The place of a series; a name that does not exist is a KeyError at import."""
    return _INDEX[name, value]


def histogram(name: str) -> int:
    """The place of a histogram; a name that does not exist is a ValueError at import."""
    return [one.name for one in _HISTOGRAMS].index(name)


ANSWERS: Final = histogram("bidder_answer_duration_seconds")
LATENCY_BUCKETS_NS: Final = _HISTOGRAMS[ANSWERS].bounds_ns
_LATENCY: Final = _FIRST_OF[ANSWERS]
_LATENCY_SUM: Final = _LATENCY + len(LATENCY_BUCKETS_NS) + 1


def open_memory() -> IO[bytes]:
    """A file, already unlinked, that a worker and its supervisor map."""
    memory = tempfile.TemporaryFile()  # noqa: SIM115 - the caller keeps it open
    memory.truncate(_BYTES)
    return memory


class Counters:
    """One worker's slots.

    Args:
        descriptor: of the file from :func:`open_memory`.
    """

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _BYTES)
        whole = memoryview(self._map)
        self.slots = whole[: _SIZE * 8].cast("q")
        self.exchanges = ExchangeRows(whole[_SIZE * 8 :])

    def add(self, place: int, amount: int = 1) -> None:
        """Adds to a slot."""
        self.slots[place] += amount

    def observe_latency(self, elapsed_ns: int) -> None:
        """Counts one answer's latency, from the request's last byte to the answer."""
        self.slots[_LATENCY + bisect_left(LATENCY_BUCKETS_NS, elapsed_ns)] += 1
        self.slots[_LATENCY_SUM] += elapsed_ns

    def observe(self, place: int, elapsed_ns: int) -> None:
        """Counts a time in a histogram, by its place from :func:`histogram`."""
        first, bounds = _FIRST_OF[place], _HISTOGRAMS[place].bounds_ns
        self.slots[first + bisect_left(bounds, elapsed_ns)] += 1
        self.slots[first + len(bounds) + 1] += elapsed_ns

    def set_connections(self, count: int) -> None:
        """Says how many connections are open."""
        self.slots[_CONNECTIONS] = count

    def beat(self, now_ms: int, catalog_ms: int) -> None:
        """Says that the loop is alive, and since when the catalogue is known to be current."""
        self.slots[_BEAT] = now_ms
        self.slots[_CATALOG] = catalog_ms

    def set_ready(self, *, is_ready: bool) -> None:
        """Says whether this worker should get requests."""
        self.slots[_READY] = int(is_ready)

    def set_spool(self, waiting_bytes: int) -> None:
        """Says how much waits in the machine's spool for Kafka."""
        self.slots[_SPOOL] = waiting_bytes

    def set_serving(self, *, is_serving: bool) -> None:
        """Says whether this worker takes connections, with or without all that it needs."""
        self.slots[_SERVING] = int(is_serving)

    @property
    def is_ready(self) -> bool:
        """Whether the worker says that it should get requests."""
        return bool(self.slots[_READY])

    @property
    def is_serving(self) -> bool:
        """Whether the worker says that it takes connections."""
        return bool(self.slots[_SERVING])

    @property
    def last_beat_ms(self) -> int:
        """When the loop last said that it is alive, Unix ms; 0 before the first time."""
        return self.slots[_BEAT]

    def absorb(self, ended: "Counters") -> None:
        """Adds the counts of a process that has ended; whether it was ready is forgotten."""
        for place in range(_BEAT):
            self.slots[place] += ended.slots[place]
        self.exchanges.absorb(ended.exchanges)

    def count_in(self, place: int) -> int:
        """How many times a histogram holds, for tests and summaries."""
        first = _FIRST_OF[place]
        return sum(self.slots[first : first + len(_HISTOGRAMS[place].bounds_ns) + 1])

    def value(self, name: str, value: str = "") -> int:
        """A series' count, for tests and summaries."""
        return self.slots[slot(name, value)]


class WorkerCollector(Collector):
    """Gives one worker's counts to Prometheus.

    Args:
        books: the counts of every process that the worker has been, the present one's last;
            may change while this is in use.
        queued: how many connections wait to be accepted.
    """

    def __init__(self, books: Sequence[Counters], queued: Callable[[], int] = int) -> None:
        self._books = books
        self._queued = queued

    def collect(self) -> Iterator[Metric]:
        """The series, in seconds where they are times."""
        books = list(self._books)
        slots = [sum(values) for values in zip(*(book.slots for book in books), strict=True)]
        families: dict[str, CounterMetricFamily] = {}
        for place, one in enumerate(_SERIES):
            if one.name not in families:
                labels = [one.label] if one.label else []
                families[one.name] = CounterMetricFamily(one.name, one.help, labels=labels)
            families[one.name].add_metric([one.value] if one.label else [], slots[place])
        yield from families.values()
        for place, each in enumerate(_HISTOGRAMS):
            yield _family_of(each, slots[_FIRST_OF[place] :])
        yield from ExchangeRows.families([book.exchanges for book in books])
        yield GaugeMetricFamily(
            "bidder_accept_queue_connections", "Connections that wait to be accepted.",
            value=self._queued(),
        )  # fmt: skip
        present = books[-1].slots
        age_ms = max(0, present[_BEAT] - present[_CATALOG])
        yield GaugeMetricFamily(
            "bidder_catalog_age_seconds", "Time since the catalogue was last known current.",
            value=age_ms / 1000,
        )  # fmt: skip

        yield GaugeMetricFamily(
            "bidder_spool_bytes", "What waits in the machine's spool for Kafka.",
            value=slots[_SPOOL],
        )  # fmt: skip
        yield GaugeMetricFamily(
            "bidder_open_connections", "Connections of exchanges that are open.",
            value=slots[_CONNECTIONS],
        )  # fmt: skip


def _family_of(one: _Histogram, slots: Sequence[int]) -> HistogramMetricFamily:
    total, buckets = 0, list[tuple[str, float]]()
    for place, bound in enumerate([*(ns / 1e9 for ns in one.bounds_ns), float("inf")]):
        total += slots[place]
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
    family = HistogramMetricFamily(one.name, one.help)
    family.add_metric([], buckets, slots[len(one.bounds_ns) + 1] / 1e9)
    return family
