"""The loops, against servers that answer well, badly, late or not at all."""

import contextlib
import time
from array import array
from collections.abc import Iterator

import pytest

from benchmarks.load.corpus import Corpus
from benchmarks.load.histogram import encoded, percentiles
from benchmarks.load.loops import Loop
from benchmarks.load.schedule import arrivals
from benchmarks.load.times import Times
from tests.unit.load.server import CLOSE, NO_BID, Answer, Served, bid, serving, stalling

CORPUS = Corpus.of({"id": f"r{number}", "imp": []} for number in range(10))
MS = 1_000_000


def no_bid(_: int, __: bytes) -> bytes:
    return NO_BID


def bids(_: int, body: bytes) -> bytes:
    request_id = body.split(b'"')[3]
    return bid(b'{"id":"%b","seatbid":[{"bid":[{"id":"1"}]}]}' % request_id)


@contextlib.contextmanager
def looping(answer: Answer, connections: int = 4) -> Iterator[tuple[Loop, Served]]:
    with serving(answer) as served:
        loop = Loop(
            served.address, CORPUS.messages(served.url), CORPUS.ids, connections=connections
        )
        try:
            yield loop, served
        finally:
            loop.close()


def opened(loop: Loop, per_second: float, seconds: float) -> Times:
    offsets = arrivals("constant", per_second, seconds, 0)
    return loop.open(offsets, time.monotonic_ns() + 20 * MS)


def answered(times: Times) -> int:
    return sum(value >= 0 for value in times.latencies)


def test_the_closed_loop_answers_all_that_it_sends_and_keeps_all_connections_busy() -> None:
    with looping(no_bid) as (loop, served):
        times = loop.closed(0.3)
    assert answered(times) == len(times.latencies) == times.statuses[204]
    assert not +times.faults
    assert sum(map(len, served.bodies)) == len(times.latencies)
    assert len(served.bodies) == 4
    assert all(served.bodies)


def test_bids_are_counted() -> None:
    with looping(bids) as (loop, _):
        times = loop.closed(0.2)
    assert times.bids == times.statuses[200] == answered(times) > 0


def test_the_corpus_is_sent_in_turn_and_goes_on_in_the_next_run() -> None:
    with looping(no_bid, connections=1) as (loop, served):
        opened(loop, 100, 0.07)
        opened(loop, 100, 0.07)
    assert served.bodies[0] == [CORPUS.bodies[number % 10] for number in range(14)]


def test_the_open_loop_sends_when_requests_are_due() -> None:
    with looping(no_bid) as (loop, served):
        times = opened(loop, 400, 0.5)
    assert answered(times) == 200
    assert times.elapsed_ns >= 0.495e9
    # The median, since on a busy machine some are late for reasons of its own.
    assert percentiles([encoded(times.lateness)]).p50_us < 1000
    assert min(map(len, served.bodies)) >= 5  # all are used, however slow one of them is


def test_a_generator_without_a_core_of_its_own_sleeps_and_is_late_by_the_grain_of_epoll() -> None:
    with serving(no_bid) as served:
        loop = Loop(
            served.address, CORPUS.messages(served.url), CORPUS.ids, connections=4, spins=False
        )
        before_ns = time.thread_time_ns()
        times = opened(loop, 20, 0.5)
        used_ns = time.thread_time_ns() - before_ns
        loop.close()
    assert answered(times) == 10
    assert used_ns < 0.8 * times.elapsed_ns  # one that spins uses all of it


def test_a_stall_is_found_with_all_requests_that_were_due_meanwhile() -> None:
    with looping(stalling(100, 0.2)) as (loop, _):
        times = opened(loop, 500, 1.0)
    found = percentiles([encoded(times.latencies)])
    assert found.count == 500
    assert found.max_us >= 195_000
    # 500 a second for 0.2 s: a hundred were due during the stall, most of which could not be sent
    # as all connections were busy. A loop that waits would have seen the stall four times.
    assert sum(value > 20 * MS for value in times.latencies) >= 85
    assert found.p90_us > 80_000


def test_a_server_that_is_too_slow_shows_in_the_latency_and_not_in_the_lateness() -> None:
    def slow(_: int, __: bytes) -> bytes:
        time.sleep(0.005)
        return NO_BID

    with looping(slow) as (loop, _):
        times = opened(loop, 400, 0.5)
    assert answered(times) == 200
    assert times.elapsed_ns > 0.9e9  # 200 a second is all that it can
    assert percentiles([encoded(times.latencies)]).max_us > 400_000
    assert percentiles([encoded(times.lateness)]).p50_us < 1000


def test_statuses_that_are_no_answer_to_a_bid_request_are_faults() -> None:
    def refusing(number: int, _: bytes) -> bytes:
        return NO_BID if number % 2 else b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"

    with looping(refusing) as (loop, _):
        times = opened(loop, 400, 0.25)
    assert answered(times) == 50
    assert times.faults["status 503"] == 50


def test_a_connection_that_is_closed_is_a_fault_and_replaced() -> None:
    def closing(number: int, _: bytes) -> bytes:
        return b"" if number % 10 == 9 else NO_BID

    with looping(closing) as (loop, served):
        times = opened(loop, 400, 0.25)
    assert times.faults == {"closed": 10}
    assert answered(times) == 90
    assert len(served.bodies) >= 13


def test_a_server_that_closes_after_each_answer_is_followed() -> None:
    def once(_: int, __: bytes) -> bytes:
        return b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

    with looping(once) as (loop, _):
        times = opened(loop, 200, 0.2)
    assert answered(times) == 40


def test_a_connection_that_is_closed_while_idle_is_replaced_without_a_fault() -> None:
    def closing(number: int, _: bytes) -> bytes:
        return NO_BID if number >= 4 else NO_BID + CLOSE

    with looping(closing) as (loop, served):
        first = opened(loop, 200, 0.02)
        time.sleep(0.05)
        second = opened(loop, 200, 0.1)
    assert answered(first) == 4
    assert answered(second) == 20
    assert not first.faults + second.faults
    assert len(served.bodies) == 8


def test_a_server_that_goes_away_leaves_requests_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.load.loops.GRACE_NS", 1500 * MS)
    with looping(no_bid) as (loop, served):
        assert answered(opened(loop, 200, 0.05)) == 10
        served.stop()
        times = opened(loop, 200, 0.1)
    assert answered(times) == 0
    assert times.faults["closed"] + times.faults["reset"] + times.faults["unsent"] == 20
    assert times.faults["connect"] > 0


@pytest.mark.parametrize("nonsense", [b"hello\r\n\r\n", NO_BID + NO_BID, bid(b"text")])
def test_nonsense_is_a_fault(nonsense: bytes) -> None:
    with looping(lambda number, _: nonsense if number == 5 else NO_BID) as (loop, _):
        times = opened(loop, 200, 0.1)
    assert times.faults == {"malformed": 1}
    assert answered(times) == 19


def test_what_is_never_answered_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.load.loops.GRACE_NS", 1500 * MS)

    def silent(number: int, _: bytes) -> bytes:
        return b"HTTP/1.1 204" if number >= 2 else NO_BID

    with looping(silent, connections=2) as (loop, _):
        times = opened(loop, 100, 0.1)
    assert answered(times) == 2
    assert times.faults == {"timeout": 2, "unsent": 6}


def test_a_body_larger_than_the_socket_takes_is_sent_in_parts() -> None:
    big = Corpus.of({"id": f"r{number}", "pad": "x" * 8_000_000} for number in range(2))
    with serving(no_bid) as served:
        loop = Loop(served.address, big.messages(served.url), big.ids, connections=1)
        times = loop.open(array("q", [0, 1]), time.monotonic_ns())
        loop.close()
    assert answered(times) == 2
    assert served.bodies == [big.bodies]


def test_an_answer_in_pieces_is_one() -> None:
    body = b'{"id":"%b","seatbid":[{"bid":[{"adm":"' + b"x" * 300_000 + b'"}]}]}'
    with looping(lambda _, sent: bid(body % sent.split(b'"')[3])) as (loop, _):
        times = opened(loop, 50, 0.1)
    assert times.bids == answered(times) == 5
