"""What the bidder's Redis link does when a server is slow, silent, demoted, or not there yet.

A relay stands between link and server, and does what a broken network does: it swallows everything
and says nothing, or leads to another server under the same address.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kinbid.engines import RedisCluster, RedisConsole, RedisEngine
from models.commands import Steps
from runtime.link import Link, RedisDownError, RedisReplyError
from runtime.redis_cluster import ClusterLink
from runtime.redis_link import RedisLink
from runtime.slots import slot_of
from tests.contract.stores import just

pytestmark = pytest.mark.integration

STALL_SECONDS = 0.4
PATIENCE_SECONDS = 0.05


class Relay:
    """A network between a link and a server, which can break without a sound."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_silent = False
        self.visits = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        if self.is_silent:
            self._writers.append(writer)
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers += [writer, up_writer]
        await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        broken = False
        while data := await reader.read(65_536):
            broken = broken or self.is_silent  # what was cut once never comes again
            if not broken:
                writer.write(data)
        writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def relayed(port: int) -> AsyncIterator[tuple[Relay, RedisLink]]:
    """A relay to a server, and the bidder's link over it."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    link = RedisLink(
        f"redis://127.0.0.1:{address[1]}", stall_seconds=STALL_SECONDS,
        patience_seconds=PATIENCE_SECONDS,
    )  # fmt: skip
    try:
        await link.connect()
        yield relay, link
    finally:
        await link.close()
        server.close()
        relay.close()
        await asyncio.sleep(0.05)


def in_time(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario()

    asyncio.run(asyncio.wait_for(main(), timeout=60))


async def until(what: Callable[[], object]) -> None:
    while not what():  # noqa: ASYNC110 - links have no event to wait for
        await asyncio.sleep(0.01)


def counting(key: str, rounds: int) -> Steps[int]:
    value = 0
    for _ in range(rounds):
        (value,) = yield [("INCR", key)]
    return value


async def answered(link: Link, *command: str | int) -> object:
    """The answer to a command, asked as often as it takes."""
    while True:
        try:
            return (await link.run(just(command)))[0]
        except (RedisDownError, RedisReplyError):
            await asyncio.sleep(0.01)


# -- half-open connections ----------------------------------------------------------------------


def test_a_peer_that_vanished_is_noticed_although_nobody_asks(redis_server: RedisEngine) -> None:
    async def scenario() -> None:
        async with relayed(redis_server.port) as (relay, link):
            relay.is_silent = True
            await until(lambda: link.losses == 1)
            assert not link.is_up
            relay.is_silent = False
            await until(lambda: link.is_up)
            assert await link.run(counting("half-open", 3)) >= 3

    in_time(scenario)


def test_whoever_waits_for_a_peer_that_vanished_learns_it_and_nobody_queues_behind(
    redis_server: RedisEngine,
) -> None:
    async def scenario() -> None:
        async with relayed(redis_server.port) as (relay, link):
            relay.is_silent = True
            first = asyncio.ensure_future(link.run(just(("PING",))))
            await asyncio.sleep(3 * PATIENCE_SECONDS)
            with pytest.raises(RedisDownError, match="has not answered for a while"):
                await link.run(just(("PING",)))
            assert len(link._waiting) <= 2, "the first, and at most a sign of life"
            with pytest.raises(RedisDownError, match="was lost"):
                await first
            assert link.losses == 1

    in_time(scenario)


def test_a_host_that_takes_connections_and_says_nothing_is_tried_again(
    redis_server: RedisEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.redis_link.GREETING_SECONDS", 0.2)

    async def scenario() -> None:
        async with relayed(redis_server.port) as (relay, link):
            relay.is_silent = True
            await until(lambda: relay.visits >= 3)
            assert not link.is_up
            relay.is_silent = False
            await until(lambda: link.is_up)

    in_time(scenario)


# -- slow ---------------------------------------------------------------------------------------


def test_a_slow_server_is_asked_nothing_new_until_it_has_answered_and_then_all_again(
    redis_server: RedisEngine,
) -> None:
    async def scenario() -> None:
        link = RedisLink(redis_server.url, stall_seconds=10, patience_seconds=PATIENCE_SECONDS)
        await link.connect()
        os.kill(redis_server.pid, signal.SIGSTOP)
        try:
            asked = [asyncio.ensure_future(link.run(counting(f"slow{n}", 2))) for n in range(50)]
            await asyncio.sleep(3 * PATIENCE_SECONDS)
            for _ in range(1000):
                with pytest.raises(RedisDownError):
                    await link.run(just(("PING",)))
            assert len(link._waiting) <= 51, "a sign of life may be among them"
        finally:
            os.kill(redis_server.pid, signal.SIGCONT)
        # Those that asked in time have their answers, and go on with their second step.
        assert await asyncio.gather(*asked) == [2] * 50
        assert await link.run(just(("PING",))) == [b"PONG"]
        assert (link.is_up, link.losses) == (True, 0)
        await link.run(just(*(("DEL", f"slow{n}") for n in range(50))))
        await link.close()
        await asyncio.sleep(0)

    in_time(scenario)


def test_a_link_without_impatience_sends_all(redis_server: RedisEngine) -> None:
    """Streams wait: what they ask has to be done, late or not."""

    async def scenario() -> None:
        link = RedisLink(redis_server.url, stall_seconds=10)
        await link.connect()
        os.kill(redis_server.pid, signal.SIGSTOP)
        try:
            first = asyncio.ensure_future(link.run(just(("PING",))))
            await asyncio.sleep(3 * PATIENCE_SECONDS)
            second = asyncio.ensure_future(link.run(just(("PING",))))
            await asyncio.sleep(0.01)
        finally:
            os.kill(redis_server.pid, signal.SIGCONT)
        assert [*await first, *await second] == [b"PONG"] * 2
        await link.close()
        await asyncio.sleep(0)

    in_time(scenario)


# -- failing over -------------------------------------------------------------------------------


@pytest.fixture
def two_servers(tmp_path: Path) -> Iterator[tuple[RedisEngine, RedisEngine]]:
    with RedisEngine.start(tmp_path / "a") as one, RedisEngine.start(tmp_path / "b") as two:
        yield one, two


def test_a_master_that_becomes_a_replica_is_left_for_whoever_is_master_now(
    two_servers: tuple[RedisEngine, RedisEngine],
) -> None:
    """The old master does not hang up: it goes on answering, and refuses every write."""
    old, new = two_servers

    async def scenario() -> None:
        async with relayed(old.port) as (relay, link):
            call = ("FCALL", "kinbid_v1_sweep", 1, "b", 0)
            assert await link.run(just(("SET", "k", "v"), call)) == [b"OK", 0]
            with RedisConsole(old.port) as console:
                console.ask("REPLICAOF", "127.0.0.1", new.port)
            relay.port = new.port
            with pytest.raises(RedisReplyError, match="READONLY"):
                await link.run(just(("SET", "k", "w")))
            await until(lambda: link.losses == 1)
            assert await answered(link, "SET", "k", "x") == b"OK"
            assert await answered(link, *call) == 0, "the new master has our functions"
            with RedisConsole(new.port) as console:
                assert console.ask("GET", "k") == b"x"

    in_time(scenario)


def test_a_function_that_writes_finds_the_demoted_master_out_too(
    two_servers: tuple[RedisEngine, RedisEngine],
) -> None:
    old, new = two_servers

    async def scenario() -> None:
        async with relayed(old.port) as (relay, link):
            with RedisConsole(old.port) as console:
                console.ask("REPLICAOF", "127.0.0.1", new.port)
            relay.port = new.port
            with pytest.raises(RedisReplyError):
                await link.run(just(("FCALL", "kinbid_v1_sweep", 1, "b", 0)))
            await until(lambda: link.losses == 1)
            assert await answered(link, "FCALL", "kinbid_v1_sweep", 1, "b", 0) == 0

    in_time(scenario)


def test_an_ordinary_refusal_costs_nobody_the_connection(redis_server: RedisEngine) -> None:
    async def scenario() -> None:
        async with relayed(redis_server.port) as (relay, link):
            for command in (("NOSUCH",), ("INCR", "text")):
                await link.run(just(("SET", "text", "x")))
                with pytest.raises(RedisReplyError):
                    await link.run(just(command))
            assert (link.losses, relay.visits) == (0, 1)

    in_time(scenario)


# -- away at the start --------------------------------------------------------------------------


def test_a_link_opened_while_the_server_is_away_finds_it_when_it_comes(tmp_path: Path) -> None:
    with RedisEngine.start(tmp_path / "first") as engine:
        port, url = engine.port, engine.url

    async def scenario() -> None:
        link = RedisLink(url)
        error = await link.open()
        assert error is not None
        assert f"127.0.0.1:{port}" in str(error)
        with pytest.raises(RedisDownError):
            await link.run(just(("PING",)))
        with await asyncio.to_thread(RedisEngine.start, tmp_path / "second", port=port):
            await until(lambda: link.is_up)
            assert await link.run(just(("FCALL", "kinbid_v1_sweep", 1, "b", 0))) == [0]
            another = RedisLink(url)
            assert await another.open() is None
            await another.close()
        await link.close()
        await asyncio.sleep(0.05)

    in_time(scenario)


def test_a_link_that_is_closed_while_the_server_is_away_looks_no_more() -> None:
    async def scenario() -> None:
        link = RedisLink("redis://127.0.0.1:1")
        assert await link.open() is not None
        await link.close()
        await asyncio.sleep(0.2)
        assert link._retry is not None
        assert link._retry.done()

    in_time(scenario)


# -- a cluster ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mortal_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A cluster of which servers die."""
    with RedisCluster.start(tmp_path_factory.mktemp("mortal")) as cluster:
        yield cluster


def test_a_lost_masters_persons_are_away_until_a_replica_takes_over_and_no_others(
    mortal_cluster: RedisCluster,
) -> None:
    master = mortal_cluster.masters()[0]
    slots = mortal_cluster.slots_of(master)
    lost = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") in slots)
    kept = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") not in slots)

    async def scenario() -> None:
        link = ClusterLink(
            mortal_cluster.url, stall_seconds=STALL_SECONDS, patience_seconds=PATIENCE_SECONDS
        )
        await link.connect()
        await link.run(just(("SET", lost, "v"), ("SET", kept, "w")))
        await asyncio.to_thread(mortal_cluster.kill, master)
        await until(lambda: link.losses)
        for _ in range(50):
            assert await link.run(just(("GET", kept))) == [b"w"]
            with pytest.raises(RedisDownError):
                await link.run(just(("GET", lost)))
        assert link.is_up
        assert await answered(link, "GET", lost) == b"v", "a replica of it has been found"
        assert await answered(link, "FCALL", "kinbid_v1_sweep", 1, f"{{{lost}}}b", 0) == 0
        await link.close()
        await asyncio.sleep(0.05)

    in_time(scenario)
    mortal_cluster.restart(master)


def test_a_slow_master_is_asked_nothing_new_and_the_others_everything(
    mortal_cluster: RedisCluster,
) -> None:
    master = mortal_cluster.masters()[0]
    slots = mortal_cluster.slots_of(master)
    slow = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") in slots)
    quick = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") not in slots)

    async def scenario() -> None:
        link = ClusterLink(mortal_cluster.url, stall_seconds=10, patience_seconds=PATIENCE_SECONDS)
        await link.connect()
        os.kill(master.pid, signal.SIGSTOP)
        try:
            first = asyncio.ensure_future(link.run(just(("GET", slow))))
            await asyncio.sleep(3 * PATIENCE_SECONDS)
            with pytest.raises(RedisDownError, match="has not answered for a while"):
                await link.run(just(("GET", slow)))
            await link.run(just(("GET", quick)))
        finally:
            os.kill(master.pid, signal.SIGCONT)
        await first
        await answered(link, "GET", slow)
        assert link.losses == 0
        await link.close()
        await asyncio.sleep(0.05)

    in_time(scenario)


def test_a_cluster_that_is_away_at_the_start_is_found_when_it_comes(tmp_path: Path) -> None:
    async def scenario() -> None:
        nowhere = ClusterLink("redis+cluster://127.0.0.1:1")
        assert await nowhere.open() is not None
        assert not nowhere.is_up
        with pytest.raises(RedisDownError):
            await nowhere.run(just(("GET", "k")))
        await nowhere.close()

    in_time(scenario)


def test_a_cluster_link_opened_while_a_master_hangs_serves_the_others(
    mortal_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.redis_link.GREETING_SECONDS", 0.5)
    master = mortal_cluster.masters()[-1]
    slots = mortal_cluster.slots_of(master)
    away = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") in slots)
    there = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") not in slots)

    async def scenario() -> None:
        link = ClusterLink(
            mortal_cluster.url, stall_seconds=STALL_SECONDS, patience_seconds=PATIENCE_SECONDS
        )
        os.kill(master.pid, signal.SIGSTOP)
        try:
            assert await link.open() is not None
            await answered(link, "GET", there)
            with pytest.raises(RedisDownError):
                await link.run(just(("GET", away)))
        finally:
            os.kill(master.pid, signal.SIGCONT)
        await answered(link, "GET", away)
        await link.close()
        await asyncio.sleep(0.05)

    in_time(scenario)
