"""Metrics: slots that a worker writes and its supervisor reads."""

import pytest
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.parser import text_string_to_metric_families

from bidder.errors import NoBidReason
from bidder.metrics import LATENCY_BUCKETS_NS, Counters, WorkerCollector, open_memory, slot


def scraped(counters: Counters) -> dict[tuple[str, str], float]:
    """What Prometheus reads: (sample, label value) to value."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector([counters]))
    text = exposition.generate_latest(registry).decode()
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_two_processes_that_map_one_memory_see_one_set_of_counts() -> None:
    with open_memory() as memory:
        worker, supervisor = Counters(memory.fileno()), Counters(memory.fileno())
        worker.add(slot("bidder_bids"), 3)
        assert supervisor.value("bidder_bids") == 3
        worker.beat(123, 100)
        worker.set_ready(is_ready=True)
        assert (supervisor.last_beat_ms, supervisor.is_ready) == (123, True)


def test_a_successor_begins_unready_and_the_counts_go_on(counters: Counters) -> None:
    counters.add(slot("bidder_bids"), 3)
    counters.beat(123, 100)
    counters.set_ready(is_ready=True)
    counters.reset()
    assert (counters.last_beat_ms, counters.is_ready) == (0, False)
    assert counters.value("bidder_bids") == 3


def test_every_series_is_exported_under_its_name(counters: Counters) -> None:
    counters.add(slot("bidder_bid_requests"), 7)
    counters.add(slot("bidder_no_bids", "late"), 2)
    counters.add(slot("bidder_notices", "billing_accepted"))
    counters.add(slot("bidder_dependency_failures", "redis"), 4)
    found = scraped(counters)
    assert found["bidder_bid_requests_total", ""] == 7
    assert found["bidder_no_bids_total", "late"] == 2
    assert found["bidder_notices_total", "billing_accepted"] == 1
    assert found["bidder_dependency_failures_total", "redis"] == 4
    assert {value for name, value in found if name == "bidder_no_bids_total"} == {
        reason.value for reason in NoBidReason
    }


def test_the_catalogues_age_is_told_in_seconds(counters: Counters) -> None:
    counters.beat(5_500, 4_000)
    assert scraped(counters)["bidder_catalog_age_seconds", ""] == 1.5


def test_latency_is_a_histogram_in_seconds_whose_buckets_add_up(counters: Counters) -> None:
    for ns in (50_000, 100_000, 100_001, 3_000_000, 10**12):
        counters.observe_latency(ns)
    found = scraped(counters)
    name = "bidder_answer_duration_seconds"
    assert found[f"{name}_bucket", "0.0001"] == 2
    assert found[f"{name}_bucket", "0.0002"] == 3
    assert found[f"{name}_bucket", "0.1"] == 4
    assert found[f"{name}_bucket", "+Inf"] == found[f"{name}_count", ""] == 5
    assert found[f"{name}_sum", ""] == pytest.approx(1000.003250001)
    buckets = [value for (sample, _), value in found.items() if sample == f"{name}_bucket"]
    assert len(buckets) == len(LATENCY_BUCKETS_NS) + 1
    assert buckets == sorted(buckets)


def test_a_name_that_does_not_exist_is_an_error_at_import() -> None:
    with pytest.raises(KeyError):
        slot("bidder_bidz")
