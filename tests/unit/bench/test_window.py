"""The accounting of a window, on processes and metrics that are made up."""

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks.bench import site as site_module
from benchmarks.bench import window
from benchmarks.bench.site import Bidder, Samples, Site, Worker
from benchmarks.bench.window import Cost, look, median_cost, watch
from runtime.redis_link import RedisLink
from runtime.settings import Settings

SITE = Site(
    settings=Settings(), engines={}, redis_pids=(2,), broker_pids=(3,),
    start_worker=lambda _: FakeWorker(), start_bidder=lambda _: no_bidder(),
    records_behind=lambda *_: asyncio.sleep(0, 0),
    say=lambda _: None,
)  # fmt: skip
LINK = RedisLink("redis://nowhere")
PER_EVENT = {1: 50.0, 2: 10.0, 3: 4.0}
"""Microseconds of CPU per event, by process."""


def no_bidder() -> Bidder:
    raise AssertionError("nobody bids here")


class FakeWorker:
    pid = 1
    metrics_url = "http://nowhere"

    def stop(self) -> None:
        """Nothing runs."""

    kill = stop


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many events have been folded at each look."""
    looks: list[int] = []
    now = [0]

    async def scrape(_: Worker) -> Samples:
        now[0] = looks.pop(0)
        events, seconds = float(now[0]), now[0] * 40 / 1e6
        return {
            "streams_events_total": [({"topic": "events"}, events)],
            "streams_stage_cpu_seconds_total": [({"stage": "fold"}, seconds)],
        }

    def cpu(pids: Iterator[int]) -> float:
        return sum(PER_EVENT[pid] * now[0] + 1000 for pid in pids)

    monkeypatch.setattr(window, "scrape", scrape)
    monkeypatch.setattr(window, "cpu_micros", cpu)
    monkeypatch.setattr(site_module, "cpu_micros", cpu)
    monkeypatch.setattr(window, "POLL_SECONDS", 0)
    yield looks
    assert not looks, "it stopped looking too early"


def cost_of(progress: list[int], looks: list[int], count: int) -> Cost:
    progress += looks

    async def main() -> Cost:
        return await watch(
            SITE, LINK, [FakeWorker()], await look(SITE, LINK, [FakeWorker()]), count
        )

    return asyncio.run(main())


def test_cpu_is_divided_by_the_events_of_the_window_alone(progress: list[int]) -> None:
    cost = cost_of(progress, [100, 100, 150, 400, 900, 1100], count=1000)
    assert (cost.worker_us, cost.redis_us, cost.broker_us) == (50, 10, 4)
    assert cost.events == 750, "from the first look in the midst of the work to the last"
    assert cost.is_inside
    assert cost.stages_us["fold"] == pytest.approx(40)


def test_work_that_fell_between_two_looks_is_measured_over_its_edges(progress: list[int]) -> None:
    cost = cost_of(progress, [0, 0, 1000], count=1000)
    assert cost.events == 1000
    assert not cost.is_inside
    assert cost.worker_us == 50


def test_work_that_was_over_at_the_first_look_is_measured_all_the_same(
    progress: list[int],
) -> None:
    cost = cost_of(progress, [7, 607], count=600)
    assert (cost.events, cost.worker_us, cost.is_inside) == (600, 50, False)


def test_a_worker_that_stands_still_is_an_error(
    progress: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "SILENT_SECONDS", -1)
    with pytest.raises(site_module.BenchError, match="stands at 5 of 10"):
        cost_of(progress, [0, 5, 5], count=10)


def test_the_median_repeat_is_the_one_in_the_middle() -> None:
    def cost(worker_us: float) -> Cost:
        return Cost(
            events=1, seconds=1, worker_us=worker_us, redis_us=0, broker_us=None, stages_us={},
            is_inside=True,
        )  # fmt: skip

    assert median_cost([cost(9), cost(1), cost(5)]).worker_us == 5
