"""What the processes expose, read from the code, as Prometheus would see it."""

from collections.abc import Mapping
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bidder.metrics import Counters, WorkerCollector, open_memory
from streams.metrics import Metrics

HISTOGRAM_PARTS: Final = ("_bucket", "_sum", "_count")


class Exposed(msgspec.Struct, frozen=True):
    """One metric. ``values`` maps a label to the values that it is known to take."""

    kind: str
    labels: tuple[str, ...]
    values: Mapping[str, frozenset[str]] = {}


def bidder_metrics() -> dict[str, Exposed]:
    """The bidder's metrics by the name under which they are exposed."""
    registry = CollectorRegistry()
    with open_memory() as memory:
        counters = Counters(memory.fileno())
        counters.exchanges.row("north")
        registry.register(WorkerCollector([counters]))
        text = generate_latest(registry).decode()
    found: dict[str, Exposed] = {}
    for family in text_string_to_metric_families(text):
        labels = sorted({name for sample in family.samples for name in sample.labels} - {"le"})
        values = {
            label: frozenset(sample.labels[label] for sample in family.samples) for label in labels
        }
        found[_exposed_name(family.name, family.type)] = Exposed(family.type, tuple(labels), values)
    return found


def streams_metrics() -> dict[str, Exposed]:
    """The streams worker's metrics by the name under which they are exposed."""
    metrics, found = Metrics(), dict[str, Exposed]()
    for family in metrics.age.collect():
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        found[family.name] = Exposed(family.type, tuple(sorted(labels)))
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            name = _exposed_name(metric._name, metric._type)
            found[name] = Exposed(metric._type, tuple(sorted(metric._labelnames)))
    return found


def series() -> dict[str, frozenset[str]]:
    """Every series that a query may name, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for name, metric in {**bidder_metrics(), **streams_metrics()}.items():
        if metric.kind == "histogram":
            found.update({name + part: frozenset(metric.labels) for part in HISTOGRAM_PARTS})
            found[f"{name}_bucket"] |= {"le"}
        else:
            found[name] = frozenset(metric.labels)
    return found


def _exposed_name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name
