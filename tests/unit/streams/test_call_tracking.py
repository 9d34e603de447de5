"""A batch's calls on their way: links are published, lines are told, results are counted."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from models.catalog_records import LineState, decode_record
from models.commands import Steps
from models.events import Event
from models.units import AdvertiserId
from runtime.redis_link import RedisDownError
from runtime.settings import Settings
from streams.call_tracking import CallTracking
from streams.metrics import Metrics
from streams.stages.persons import Touched
from tests.fakes.memory_store import MemoryStore, run
from tests.fakes.phone_calls import AIR, a_call, a_lease, cookie, phone

NOW_MS = 1_767_230_000_000


class MemoryLink:
    """As much of a Redis link as call tracking uses."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.is_down = False

    async def run_all(self, algorithms: Iterable[Steps[Any]]) -> list[Any]:
        if self.is_down:
            raise RedisDownError("gone")
        return [run(self.store, steps) for steps in algorithms]


class Producer:
    """Keeps what it is told to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []

    async def send_and_wait(self, topic: str, *, key: bytes, value: bytes) -> None:
        self.sent.append((topic, key, value))


class Tracking:
    """Call tracking in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("runtime.clock.now_ms", lambda: NOW_MS)
        self.redis, self.producer, self.metrics = MemoryLink(), Producer(), Metrics()
        tokens = iter(f"t{number}" for number in range(100))
        self._tracking = CallTracking(
            Settings(owner="o"), self.producer, self.redis,  # type: ignore[arg-type]  # a fake
            self.metrics, lambda: next(tokens),
        )  # fmt: skip

    def follow(self, *events: Event) -> list[Touched]:
        return asyncio.run(self._tracking.follow(events))

    def count(self, name: str, result: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"streams_{name}_total", {"result": result})


def results_of(touched: Touched) -> list[str]:
    return [link.result for link in touched.links]


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Tracking:
    return Tracking(monkeypatch)


def test_a_batch_without_calls_asks_nobody(tracking: Tracking) -> None:
    tracking.redis.is_down = True
    assert tracking.follow() == []


def test_a_join_in_one_batch_or_two_links_caller_and_session(tracking: Tracking) -> None:
    assert tracking.follow(a_lease("l", 0, 30, "a")) == []
    (touched,) = tracking.follow(a_call("c", 10, caller="a"))
    assert results_of(touched) == ["linked"]
    assert touched.root in {phone("a"), cookie("a")}
    assert tracking.count("call_joins", "joined") == 1
    assert tracking.count("calls", "answered") == 1


def test_a_call_names_another_phone_and_that_is_linked_too(tracking: Tracking) -> None:
    (touched,) = tracking.follow(a_call("c", 10, caller="a", form_phone=phone("f")))
    assert results_of(touched) == ["linked"]
    assert tracking.count("call_joins", "unmatched") == 1


def test_a_link_that_was_wrong_is_taken_back_counted_and_logged(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    tracking.follow(a_lease("l", 0, 10, "a"), a_call("c", 20))
    touched = tracking.follow(a_lease("m", 15, 30, "b"))
    assert [results_of(one) for one in touched] == [["withdrawn"], ["linked"]]
    assert tracking.count("call_joins", "withdrawn") == 1
    assert [record.message for record in caplog.records] == ["soft_link_withdrawn"]


def test_full_lines_are_told_to_bidders_and_free_ones_are_not(tracking: Tracking) -> None:
    tracking.follow(a_call("a", 0))
    assert tracking.producer.sent == []
    lost = a_call("b", 1, missed=True, missed_reason="lines_full")
    tracking.follow(lost)
    ((topic, key, value),) = tracking.producer.sent
    assert (topic, key) == ("o.offers.v1", b"line_state/airline")
    state = decode_record(value)
    assert isinstance(state, LineState)
    assert state.advertiser == AIR == AdvertiserId("airline")
    assert [one[1:] for one in state.minutes] == [(1, 0), (1, 1)]
    assert tracking.count("calls", "lines_full") == 1


def test_a_missed_call_without_a_reason_is_counted_as_that(tracking: Tracking) -> None:
    tracking.follow(a_call("a", missed=True))
    assert tracking.count("calls", "unknown") == 1


def test_a_redis_that_is_gone_is_for_the_caller_to_try_again(tracking: Tracking) -> None:
    tracking.redis.is_down = True
    with pytest.raises(RedisDownError):
        tracking.follow(a_call())
