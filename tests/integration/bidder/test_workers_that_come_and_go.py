"""Workers under load: replaced on demand, killed, hung, and started while something is away."""

import asyncio
import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kinbid.engines import EmbeddedKafka, RedisEngine
from runtime.settings import Settings
from tests.integration.bidder.keep_alive import KeepAliveLoad
from tests.integration.bidder.test_worker import (
    NORTH,
    PERSONAL,
    Bidder,
    bid_request,
    eventually,
    publish,
    remember,
    settings_of,
    start_bidder,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker with the demo's catalogue and a Redis with who looked."""
    folder = tmp_path_factory.mktemp("engines")
    with EmbeddedKafka.start(folder / "kafka") as broker, RedisEngine.start(folder / "r") as store:
        settings = settings_of(broker, store)
        asyncio.run(publish(settings))
        remember(settings)
        yield settings


@pytest.fixture
def bidder(engines: Settings, tmp_path: Path) -> Iterator[Bidder]:
    running = start_bidder(engines, tmp_path)
    with running.child:
        yield running


def load_on(bidder: Bidder, clients: int = 6) -> KeepAliveLoad:
    assert bidder.port is not None
    return KeepAliveLoad(str(bidder.host), bidder.port, NORTH, bid_request(), clients)


def log_of(bidder: Bidder, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in bidder.child.output().splitlines()]
    return [line for line in lines if line["event"] == event]


def flows(load: KeepAliveLoad, requests: int = 100) -> None:
    """Waits until so many more requests have been answered."""
    wanted = load.answered + requests
    eventually(lambda: load.answered >= wanted, "requests are not answered any more")


def test_all_workers_are_replaced_under_keep_alive_load_and_no_request_fails(
    bidder: Bidder,
) -> None:
    """H5: every request of a rolling restart has its answer."""
    with load_on(bidder) as load:
        flows(load)
        os.kill(bidder.child.pid, signal.SIGHUP)
        eventually(lambda: log_of(bidder, "roll_ends"), "the workers were not replaced")
        flows(load)
    assert load.failures == []
    assert load.answers == {200: load.answered}
    assert load.reconnects >= 1, "nobody was told to come again"
    started = [line["worker"] for line in log_of(bidder, "worker_started")]
    assert len(set(started)) == 4
    assert set(started[:2]) == set(bidder.pids)
    for pid in bidder.pids:
        assert not Path(f"/proc/{pid}").exists()
    assert bidder.metric("bidder_worker_starts_total", "roll") == 2
    assert bidder.metric("bidder_bids_total") == load.answered, "the counts of all four add up"
    assert log_of(bidder, "worker_ended") == [], "they were told to leave"


def test_a_silent_client_is_left_its_connection_for_a_while_and_then_let_go(
    bidder: Bidder,
) -> None:
    assert bidder.port is not None
    with socket.create_connection((str(bidder.host), bidder.port), timeout=30) as silent:
        begun = time.monotonic()
        os.kill(bidder.child.pid, signal.SIGHUP)
        assert silent.recv(1) == b""
        assert time.monotonic() - begun > 4, "a request might have been on its way"
    eventually(lambda: log_of(bidder, "roll_ends"), "a silent client kept its worker")
    assert sum(line["silent"] for line in log_of(bidder, "bidder_drained")) == 1


def test_a_worker_that_is_killed_costs_nobody_but_its_own_clients_an_answer(
    bidder: Bidder,
) -> None:
    with load_on(bidder) as load:
        flows(load)
        os.kill(bidder.pids[0], signal.SIGKILL)
        eventually(
            lambda: bidder.metric("bidder_worker_starts_total", "crash") == 1, "no successor"
        )
        eventually(lambda: bidder.admin_get("/readyz", 0)[0] == 200, "it did not get ready")
        flows(load)
    # A client whose connection broke opens another; six connections can break once each, and who
    # then waits for the successor for longer than its own time gets a 204 (T3).
    assert len(load.failures) <= 6
    assert load.answers[200] >= load.answered - 6
    assert set(load.answers) <= {200, 204}
    assert bidder.admin_get("/readyz", 1)[0] == 200


def test_a_worker_that_hangs_is_ended_and_replaced(bidder: Bidder) -> None:
    os.kill(bidder.pids[1], signal.SIGSTOP)
    eventually(lambda: bidder.admin_get("/healthz", 1)[0] == 503, "nobody noticed")
    eventually(lambda: bidder.metric("bidder_worker_starts_total", "stall") == 1, "it was left")
    eventually(lambda: bidder.admin_get("/readyz", 1)[0] == 200, "no successor")
    assert [line["cause"] for line in log_of(bidder, "worker_ended")] == ["stall"]
    for _ in range(10):
        assert bidder.bid(bid_request())[0] == 200


@pytest.mark.parametrize(("tmax", "status"), [(100, 204), (5_000, 200)])
def test_what_waited_in_front_of_a_worker_that_stood_still_gets_no_late_bid(
    bidder: Bidder, tmax: int, status: int
) -> None:
    """T3: time in the queue counts, as the kernel knows it."""
    body = bid_request(tmax=tmax)
    with closing(http.client.HTTPConnection(str(bidder.host), bidder.port, timeout=30)) as client:
        client.request("POST", NORTH, bid_request())
        assert client.getresponse().read()
        for pid in bidder.pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            client.request("POST", NORTH, body)
            time.sleep(0.4)
        finally:
            for pid in bidder.pids:
                os.kill(pid, signal.SIGCONT)
        assert client.getresponse().status == status
    assert bidder.metric("bidder_no_bids_total", "late") == (status == 204)
    assert bidder.metric("bidder_exchange_late_total", "north") == (status == 204)
    assert 0 < bidder.metric("bidder_network_seconds", "north") < 0.1, "it is this machine"


def test_h15_hundreds_of_connections_wait_for_a_worker_that_stands_still(bidder: Bidder) -> None:
    """H15: the queue is as long as it is said to be, after a worker has taken the socket too."""
    count = 600
    with ExitStack() as stack:
        for pid in bidder.pids:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((str(bidder.host), bidder.port))
        eventually(
            lambda: bidder.metric("bidder_accept_queue_connections") == count,
            "the kernel turned some away",
        )


def test_a_bidder_that_leaves_refuses_new_connections_at_once(bidder: Bidder) -> None:
    """H5: a connection that is let in to nobody would wait, and be reset in the end."""
    with closing(http.client.HTTPConnection(str(bidder.host), bidder.port, timeout=30)) as silent:
        silent.request("POST", NORTH, bid_request())
        assert silent.getresponse().read()
        os.kill(bidder.child.pid, signal.SIGTERM)
        eventually(lambda: len(log_of(bidder, "bidder_stopping")) == 2, "nobody leaves")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((str(bidder.host), bidder.port), timeout=5).close()
        silent.request("POST", NORTH, bid_request())
        response = silent.getresponse()
        assert (response.status, response.getheader("Connection")) == (200, "close")


def test_pauses_and_lags_are_measured_in_every_worker(bidder: Bidder) -> None:
    eventually(lambda: bidder.metric("bidder_loop_lag_seconds_count") > 20, "no lag is measured")
    assert bidder.metric("bidder_gc_pause_seconds_count") > 0
    assert bidder.metric("bidder_gc_full_collections_total") > 0, "before the first request"


def test_a_bidder_that_starts_while_redis_is_away_bids_for_context_until_it_comes(
    engines: Settings, tmp_path: Path
) -> None:
    """H17: what needs no person needs no Redis."""
    with RedisEngine.start(tmp_path / "first") as store:
        port, url = store.port, store.url
    settings = msgspec.structs.replace(engines, redis_url=url, bidder_workers=1)
    running = start_bidder(settings, tmp_path)
    with running.child:
        assert running.campaigns(PERSONAL) == ["air-brand"]
        assert running.admin_get("/readyz")[0] == 503
        assert running.admin_get("/healthz")[0] == 200
        (told,) = log_of(running, "redis_away")
        assert f"Redis at 127.0.0.1:{port} cannot be used" in told["reason"]
        with RedisEngine.start(tmp_path / "second", port=port):
            remember(settings)
            eventually(lambda: running.campaigns(PERSONAL) == ["air-seats"], "it was not found")
            eventually(lambda: running.admin_get("/readyz")[0] == 200, "readiness did not come")
        assert running.bids(bid_request()), "and without it again"


def test_while_redis_hangs_requests_are_answered_for_their_context(
    engines: Settings, tmp_path: Path
) -> None:
    """H5, T3: who asks first is answered 204 by its deadline, who comes after at once."""
    with ExitStack() as stack:
        store = stack.enter_context(RedisEngine.start(tmp_path / "redis"))
        settings = msgspec.structs.replace(engines, redis_url=store.url, bidder_workers=1)
        remember(settings)
        running = start_bidder(settings, tmp_path)
        stack.enter_context(running.child)
        assert running.campaigns(PERSONAL) == ["air-seats"]
        os.kill(store.pid, signal.SIGSTOP)
        stack.callback(os.kill, store.pid, signal.SIGCONT)
        seen = [running.campaigns(bid_request(user={"buyeruid": "a-known-browser"}, tmax=120))
                for _ in range(30)]  # fmt: skip
        assert {tuple(one) for one in seen} <= {(), ("air-brand",)}
        assert seen[-1] == ["air-brand"]
        assert seen.count([]) <= 20, "most of those who came later need not have waited"
        eventually(lambda: running.admin_get("/readyz")[0] == 503, "readiness did not notice")
        os.kill(store.pid, signal.SIGCONT)
        eventually(lambda: running.campaigns(PERSONAL) == ["air-seats"], "it was not found again")


def test_while_kafka_is_away_old_workers_stay_and_new_ones_answer_without_a_catalogue(
    tmp_path: Path,
) -> None:
    """H5: a round of replacements ends at the first that cannot start; a crash is no silence."""
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedKafka.start(tmp_path / "kafka"))
        store = stack.enter_context(RedisEngine.start(tmp_path / "redis"))
        settings = settings_of(broker, store)
        asyncio.run(publish(settings))
        running = start_bidder(settings, tmp_path)
        stack.enter_context(running.child)
        port = int(broker.bootstrap.rpartition(":")[2])
        broker.stop(0.0)
        os.kill(running.child.pid, signal.SIGHUP)
        eventually(lambda: log_of(running, "roll_ends_early"), "it waits for Kafka without end")
        for _ in range(6):
            assert running.campaigns(bid_request()) == ["air-brand"]
        for pid in running.pids:
            os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: running.metric("bidder_worker_starts_total", "crash") == 2, "no successors"
        )
        for _ in range(6):
            assert running.bid(bid_request())[:2] == (204, b"")
        assert running.ask("GET", "/notice/billing?t=x")[0] == 503
        assert running.metric("bidder_no_bids_total", "no_catalog") == 6
        assert running.admin_get("/readyz")[0] == 503
        again = stack.enter_context(EmbeddedKafka.start(tmp_path / "kafka-again", port=port))
        assert again.bootstrap == broker.bootstrap
        asyncio.run(publish(settings))
        for _ in range(6):
            eventually(lambda: running.bids(bid_request()), "the catalogue was not read")
        eventually(lambda: running.admin_get("/readyz")[0] == 200, "readiness did not come")


def test_no_worker_outlives_its_supervisor(bidder: Bidder) -> None:
    os.kill(bidder.child.pid, signal.SIGKILL)
    for pid in bidder.pids:
        eventually(lambda pid=pid: not is_running(pid), "a worker has no supervisor")  # type: ignore[misc]


def is_running(pid: int) -> bool:
    """Whether a process is there, and no mere entry that nobody has read."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
