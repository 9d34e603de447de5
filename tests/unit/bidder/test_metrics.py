"""Metrics: slots that a worker writes and its supervisor reads."""

import pytest
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.parser import text_string_to_metric_families

from bidder import exchange_rows
from bidder.errors import NoBidReason
from bidder.metrics import LATENCY_BUCKETS_NS, Counters, WorkerCollector, open_memory, slot


def scraped(*books: Counters) -> dict[tuple[str, str], float]:
    """What Prometheus reads: (sample, label value) to value."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(books))
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


def test_the_counts_of_ended_processes_go_on_and_what_they_were_is_forgotten() -> None:
    with open_memory() as one, open_memory() as two:
        total, ended = Counters(one.fileno()), Counters(two.fileno())
        total.add(slot("bidder_bids"), 4)
        ended.add(slot("bidder_bids"), 3)
        ended.observe_latency(3_000_000)
        ended.beat(123, 100)
        ended.set_ready(is_ready=True)
        ended.set_serving(is_serving=True)
        ended.exchanges.add(ended.exchanges.row("north"), exchange_rows.LATE, 2)
        total.exchanges.row("south")
        total.absorb(ended)
        assert (total.last_beat_ms, total.is_ready, total.is_serving) == (0, False, False)
        found = scraped(total)
        assert found["bidder_bids_total", ""] == 7
        assert found["bidder_answer_duration_seconds_count", ""] == 1
        assert found["bidder_exchange_late_total", "north"] == 2
        assert found["bidder_exchange_late_total", "south"] == 0


def test_the_processes_of_one_place_are_added_up_and_the_last_tells_how_things_are() -> None:
    with open_memory() as one, open_memory() as two:
        old, new = Counters(one.fileno()), Counters(two.fileno())
        for counters, count, network_us in ((old, 2, 500), (new, 5, 700)):
            counters.add(slot("bidder_bids"), count)
            row = counters.exchanges.row("north")
            counters.exchanges.add(row, exchange_rows.REQUESTS, count)
            counters.exchanges.set_network_us(row, network_us)
            counters.beat(count * 1_000, 1_000)
        found = scraped(old, new)
        assert found["bidder_bids_total", ""] == 7
        assert found["bidder_exchange_requests_total", "north"] == 7
        assert found["bidder_network_seconds", "north"] == 0.0007
        assert found["bidder_catalog_age_seconds", ""] == 4


def test_more_exchanges_than_there_are_rows_share_the_last_one(counters: Counters) -> None:
    for number in range(100):
        row = counters.exchanges.row(f"x{number}")
        counters.exchanges.add(row, exchange_rows.REQUESTS)
    rows = {label: v for (name, label), v in scraped(counters).items()
            if name == "bidder_exchange_requests_total"}  # fmt: skip
    assert sum(rows.values()) == 100
    assert rows[exchange_rows.OTHERS] == 100 - len(rows) + 1
    assert rows["x0"] == 1


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
