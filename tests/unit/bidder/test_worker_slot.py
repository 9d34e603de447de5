"""One place and the processes that fill it, which are only told of."""

import itertools
import socket
from collections.abc import Iterator
from typing import cast
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bidder import worker_slot
from bidder.metrics import Counters, open_memory, slot
from bidder.worker_slot import (
    FIRST_REST_SECONDS,
    LONGEST_REST_SECONDS,
    SOUND_SECONDS,
    STALL_SECONDS,
    START_SECONDS,
    WorkerProcess,
    WorkerSlot,
)
from runtime.settings import Settings

BIDS = slot("bidder_bids")


class Clock:
    """Stands still until it is moved; there is one."""

    now = 1_000.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now

    @classmethod
    def move(cls, seconds: float) -> None:
        cls.now += seconds


class Process:
    """A process that does what the test says."""

    pids = itertools.count(1)

    def __init__(self, number: int, settings: Settings, listener: object, cause: str) -> None:
        self.cause = cause
        self.pid = next(self.pids)
        with open_memory() as memory:
            self.counters = Counters(memory.fileno())
        self.started_at = Clock.now
        self.exit_code: int | None = None
        self.left_at: float | None = None
        self.is_stalled = False

    def leave(self) -> None:
        self.left_at = Clock.now

    def kill(self) -> None:
        self.exit_code = -9

    def wait(self, seconds: float) -> None:
        assert seconds > 0

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(worker_slot, "time", made)
    monkeypatch.setattr(worker_slot, "WorkerProcess", Process)
    return made


@pytest.fixture
def place(clock: Clock) -> Iterator[WorkerSlot]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = WorkerSlot(0, Settings(bidder_admin_port=0), listener)
        made.start()
        yield made
        made.close()


def present(place: WorkerSlot) -> Process:
    return cast("Process", place.present)


def metric(place: WorkerSlot, name: str, value: str = "") -> float:
    with urlopen(place.admin.url + "/metrics") as answer:
        text = answer.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and value in {"", *sample.labels.values()}
    )


def test_a_worker_that_cannot_live_is_started_later_and_later(
    place: WorkerSlot, clock: Clock
) -> None:
    rests = []
    for _ in range(9):
        present(place).exit_code = 1
        place.tend()
        died = clock.now
        while place.present is None:
            clock.move(0.25)
            place.tend()
        assert present(place).cause == "crash"
        rests.append(clock.now - died)
    assert rests[0] == FIRST_REST_SECONDS
    assert rests == sorted(rests)
    assert rests[1] == 2 * rests[0]
    assert rests[-1] == LONGEST_REST_SECONDS
    clock.move(SOUND_SECONDS)
    present(place).exit_code = 1
    place.tend()
    clock.move(FIRST_REST_SECONDS)
    place.tend()
    assert place.present is not None, "it had lived long enough: its successor comes soon"
    assert metric(place, "bidder_worker_starts_total", "crash") == 10


def test_no_count_is_lost_when_processes_change(place: WorkerSlot, clock: Clock) -> None:
    first = present(place)
    first.counters.add(BIDS, 3)
    successor = place.start_successor()
    successor.counters.add(BIDS, 4)
    assert metric(place, "bidder_bids_total") == 7
    place.hand_over()
    first.counters.add(BIDS, 5)
    assert metric(place, "bidder_bids_total") == 12
    first.exit_code = 0
    place.tend()
    assert not place.is_leaving
    assert metric(place, "bidder_bids_total") == 12
    present(place).exit_code = -9
    place.tend()
    assert metric(place, "bidder_bids_total") == 12


def test_while_two_are_there_the_one_that_has_the_clients_says_how_things_are(
    place: WorkerSlot,
) -> None:
    present(place).counters.beat(9_000, 4_000)
    successor = place.start_successor()
    successor.counters.beat(9_000, 8_000)
    assert metric(place, "bidder_catalog_age_seconds") == 5
    place.hand_over()
    assert metric(place, "bidder_catalog_age_seconds") == 1


def test_a_process_that_does_not_leave_is_ended(place: WorkerSlot, clock: Clock) -> None:
    old = present(place)
    place.start_successor()
    place.hand_over()
    ended: list[int | None] = []
    for seconds in (0, worker_slot.LEAVE_SECONDS + 1):
        clock.move(seconds)
        place.tend()
        ended.append(old.exit_code)
    assert ended == [None, -9]
    place.tend()
    assert not place.is_leaving


def test_a_successor_that_is_given_up_leaves_the_present_one_where_it_is(
    place: WorkerSlot,
) -> None:
    stays, gone = present(place), place.start_successor()
    place.give_up_successor()
    place.tend()
    assert gone.exit_code == -9
    assert present(place) is stays
    assert [process.pid for process in place.processes()] == [stays.pid]


class Running:
    """A process of the system that runs, and no more."""

    pid = 1

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def poll(self) -> None:
        return None


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    monkeypatch.setattr(worker_slot, "time", Clock())
    monkeypatch.setattr("bidder.worker_slot.subprocess.Popen", Running)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = WorkerProcess(0, Settings(), listener, "crash")
        yield process
        process.close()


def test_a_worker_that_hangs_before_it_takes_connections_is_noticed(
    started: WorkerProcess,
) -> None:
    seen = []
    for seconds in (START_SECONDS, 1):
        Clock.move(seconds)
        seen.append(started.is_stalled)
    assert seen == [False, True]
    started.counters.set_serving(is_serving=True)
    assert not started.is_stalled, "it waits for the catalogue"


def test_a_worker_whose_loop_falls_silent_is_noticed(started: WorkerProcess) -> None:
    started.counters.set_serving(is_serving=True)
    seen = []
    for beat, seconds in ((1, 0), (1, STALL_SECONDS), (2, 1), (2, STALL_SECONDS), (2, 1)):
        started.counters.beat(beat, 0)
        Clock.move(seconds)
        seen.append(started.is_stalled)
    assert seen == [False, False, False, False, True]


def test_connections_that_wait_to_be_accepted_are_counted(place: WorkerSlot) -> None:
    address = place.listener.getsockname()
    with socket.create_connection(address), socket.create_connection(address):
        assert metric(place, "bidder_accept_queue_connections") == 2
