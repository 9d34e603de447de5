"""The link against a real Redis: pipelining, errors, losses, and how it comes back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from kinbid.engines import RedisEngine
from models.commands import Steps
from runtime.redis_link import RedisDownError, RedisLink, RedisReplyError
from tests.contract.stores import just

pytestmark = pytest.mark.integration

Scenario = Callable[[RedisLink], Awaitable[None]]


def with_link(url: str, scenario: Scenario) -> None:
    """Runs a scenario on a link that is closed afterwards."""

    async def main() -> None:
        link = RedisLink(url, name="link-under-test")
        await link.connect()
        try:
            await link.run(just(("FLUSHDB",)))
            await scenario(link)
        finally:
            await link.close()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), timeout=30))


async def until_up(link: RedisLink) -> None:
    while not link.is_up:  # noqa: ASYNC110 - the link has no event to wait for
        await asyncio.sleep(0.01)


def counting(key: str, rounds: int) -> Steps[int]:
    value = 0
    for _ in range(rounds):
        (value,) = yield [("INCR", key)]
    return value


def id_of(reply: bytes) -> bytes:
    """The connection's id in a line of CLIENT LIST or CLIENT INFO."""
    return reply.partition(b"id=")[2].partition(b" ")[0]


def test_many_generators_travel_together_and_each_gets_its_own_replies(
    redis_server: RedisEngine,
) -> None:
    async def scenario(link: RedisLink) -> None:
        writes: list[bytes] = []
        transport = link._transport
        assert transport is not None
        original = transport.write
        link._transport = _Recorder(transport, writes)  # type: ignore[assignment]
        results = await link.run_all(counting(f"n{number}", number) for number in range(1, 41))
        link._transport = transport
        assert transport.write == original
        assert results == list(range(1, 41))
        # 820 commands in 40 rounds; replies to one round may arrive in a few pieces.
        assert writes[0].count(b"INCR") == 40
        assert sum(write.count(b"INCR") for write in writes) == 820
        assert len(writes) < 200

    with_link(redis_server.url, scenario)


class _Recorder:
    """A transport that remembers its writes."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)


def test_replies_have_their_types_and_any_size(redis_server: RedisEngine) -> None:
    async def scenario(link: RedisLink) -> None:
        large = bytes(range(256)) * 4096
        replies = await link.run(
            just(
                ("SET", "s", large),
                ("GET", "s"),
                ("GET", "absent"),
                ("INCR", "n"),
                ("HGETALL", "h"),
            )
        )
        assert replies == [b"OK", large, None, 1, []]

    with_link(redis_server.url, scenario)


def test_an_error_reply_reaches_its_generator_only(redis_server: RedisEngine) -> None:
    async def scenario(link: RedisLink) -> None:
        results = await asyncio.gather(
            link.run(counting("n", 3)),
            link.run(just(("SET", "s", "text"), ("INCR", "s"), ("GET", "s"))),
            link.run(counting("m", 2)),
            return_exceptions=True,
        )
        assert results[0::2] == [3, 2]
        assert isinstance(results[1], RedisReplyError)
        assert "not an integer" in str(results[1])
        assert link.is_up

    with_link(redis_server.url, scenario)


def test_an_error_that_a_generator_catches_is_not_the_end_of_it(redis_server: RedisEngine) -> None:
    def careful() -> Steps[int]:
        try:
            yield [("HGET", "n", "f")]
        except RedisReplyError:
            (value,) = yield [("INCR", "n")]
            assert isinstance(value, int)
            return value
        raise AssertionError("a string is no hash")

    async def scenario(link: RedisLink) -> None:
        await link.run(just(("SET", "n", 41)))
        assert await link.run(careful()) == 42

    with_link(redis_server.url, scenario)


def test_run_all_raises_when_every_generator_has_ended(redis_server: RedisEngine) -> None:
    async def scenario(link: RedisLink) -> None:
        await link.run(just(("SET", "text", "x")))
        with pytest.raises(RedisReplyError):
            await link.run_all([counting("text", 1), counting("n", 50)])
        assert await link.run(just(("GET", "n"))) == [b"50"]

    with_link(redis_server.url, scenario)


def test_a_killed_connection_fails_every_waiter_and_the_link_comes_back(
    redis_server: RedisEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(link: RedisLink) -> None:
        (info,) = await link.run(just(("CLIENT", "INFO")))
        ended: list[str] = []

        def never_ends(name: str) -> Steps[None]:
            try:
                while True:
                    yield [("INCR", name)]
            except RedisDownError:
                ended.append(name)
                raise

        waiters = [asyncio.ensure_future(link.run(never_ends(str(n)))) for n in range(20)]
        await asyncio.sleep(0.05)
        other = RedisLink(redis_server.url, name="killer")
        await other.connect()
        assert await other.run(just(("CLIENT", "KILL", "ID", id_of(info)))) == [1]
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert all(isinstance(result, RedisDownError) for result in results)
        assert sorted(ended, key=int) == [str(n) for n in range(20)]
        assert (link.is_up, link.losses) == (False, 1)
        with pytest.raises(RedisDownError, match="not connected"):
            await link.run(counting("n", 1))
        await until_up(link)
        assert await link.run(counting("fresh", 1)) == 1
        await other.close()

    with caplog.at_level(logging.INFO, logger="runtime"):
        with_link(redis_server.url, scenario)
    assert [record.message for record in caplog.records] == ["redis_lost", "redis_back"]


def test_a_generator_that_asks_on_while_the_link_is_down_is_ended(
    redis_server: RedisEngine,
) -> None:
    async def scenario(link: RedisLink) -> None:
        refusals = 0

        def stubborn() -> Steps[None]:
            nonlocal refusals
            while True:
                try:
                    yield [("INCR", "n")]
                except RedisDownError:
                    refusals += 1

        await link.close()
        with pytest.raises(RedisDownError):
            await link.run(stubborn())
        assert refusals == 2

    with_link(redis_server.url, scenario)


def test_nobodys_work_is_done_before_the_link_has_signed_in(redis_server: RedisEngine) -> None:
    """Work that comes while a connection is being made would meet database 0."""

    async def scenario(link: RedisLink) -> None:
        (info,) = await link.run(just(("CLIENT", "INFO")))
        other = RedisLink(redis_server.url, name="killer")
        await other.connect()
        await other.run(just(("CLIENT", "KILL", "ID", id_of(info))))
        done = 0
        while not link.is_up or not done:
            try:
                done = await link.run(counting("where", 1))
            except RedisDownError:
                await asyncio.sleep(0)
        assert await other.run(just(("GET", "where"))) == [None]
        assert await link.run(just(("GET", "where"))) == [b"%d" % done]
        await other.close()

    with_link(redis_server.url.removesuffix("/0") + "/3", scenario)


def test_a_callback_that_raises_costs_nobody_else_anything(
    redis_server: RedisEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(link: RedisLink) -> None:
        def bad(_: object) -> None:
            raise ValueError("the callback's own")

        link.start(just(("PING",)), bad, bad)
        link.start(just(("NOSUCH",)), bad, bad)
        assert await link.run(counting("n", 3)) == 3
        assert link.losses == 0

    with caplog.at_level(logging.ERROR, logger="runtime"):
        with_link(redis_server.url, scenario)
    assert [record.message for record in caplog.records] == ["redis_callback_failed"] * 2


def test_what_is_asked_for_at_the_end_of_a_tick_travels_along_whatever_goes_wrong_there(
    redis_server: RedisEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(link: RedisLink) -> None:
        def bad() -> None:
            raise ValueError("the callback's own")

        link.at_end_of_tick(bad)
        link.at_end_of_tick(lambda: link.send([("INCR", "ticks")]))
        link.send([("INCR", "ticks")])
        assert await link.run(just(("GET", "ticks"))) == [b"1"], "it was asked before the end"
        link.at_end_of_tick(lambda: link.send([("INCR", "ticks")]))
        await asyncio.sleep(0)
        assert await link.run(just(("GET", "ticks"))) == [b"3"], "nobody else had to ask"

    with caplog.at_level(logging.ERROR, logger="runtime"):
        with_link(redis_server.url, scenario)
    assert [record.message for record in caplog.records] == ["redis_callback_failed"]


def test_a_callback_at_the_end_of_a_tick_may_ask_for_the_next_end(
    redis_server: RedisEngine,
) -> None:
    """Nothing else begins a tick while a server is idle or away."""

    async def scenario(link: RedisLink) -> None:
        came = asyncio.Event()
        link.at_end_of_tick(lambda: link.at_end_of_tick(came.set))
        await asyncio.wait({asyncio.ensure_future(came.wait())}, timeout=5)
        assert came.is_set()

    with_link(redis_server.url, scenario)


def test_what_an_algorithm_raises_is_its_callers(redis_server: RedisEngine) -> None:
    def broken() -> Steps[None]:
        yield [("PING",)]
        raise LookupError("the algorithm's own")

    async def scenario(link: RedisLink) -> None:
        with pytest.raises(LookupError):
            await link.run(broken())
        assert await link.run(counting("n", 1)) == 1

    with_link(redis_server.url, scenario)


def test_commands_without_a_waiter_are_sent_and_refusals_are_logged(
    redis_server: RedisEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(link: RedisLink) -> None:
        link.send([("SET", "sent", "1"), ("INCR", "sent")])
        link.send([("NOSUCH", "x")])
        assert await link.run(just(("GET", "sent"))) == [b"2"]

    with caplog.at_level(logging.WARNING, logger="runtime"):
        with_link(redis_server.url, scenario)
    assert [record.message for record in caplog.records] == ["redis_command_failed"]


def test_a_closed_link_fails_its_waiters_and_stays_closed(redis_server: RedisEngine) -> None:
    async def scenario(link: RedisLink) -> None:
        waiter = asyncio.ensure_future(link.run(just(("BLPOP", "empty", 0))))
        await asyncio.sleep(0.02)
        await link.close()
        with pytest.raises(RedisDownError):
            await waiter
        await asyncio.sleep(0.1)
        assert (link.is_up, link.losses) == (False, 0)

    with_link(redis_server.url, scenario)


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    async def main() -> None:
        link = RedisLink("redis://user:secret@127.0.0.1:1/0")
        with pytest.raises(RedisDownError, match=r"127\.0\.0\.1:1") as caught:
            await link.connect()
        assert "secret" not in str(caught.value)
        await link.close()

    asyncio.run(main())


def test_a_server_that_hangs_up_at_once_is_down() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link = RedisLink(f"redis://127.0.0.1:{port}")
        with pytest.raises(RedisDownError):
            await link.connect()
        assert not link.is_up
        await link.close()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_server_that_greets_and_hangs_up_is_tried_again(
    redis_server: RedisEngine,
) -> None:
    """A connection lost in the very moment of its greeting must not count as one that is up."""
    refusals = 2

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal refusals
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        refuses, refusals = refusals > 0, refusals - 1
        back = asyncio.ensure_future(_pump(up_reader, writer, hang_up=refuses))
        await _pump(reader, up_writer, hang_up=False)
        await back

    async def main() -> None:
        server = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link = RedisLink(f"redis://127.0.0.1:{port}")
        while True:
            try:
                await link.connect()
            except RedisDownError:
                continue
            break
        await asyncio.sleep(0.05)
        await until_up(link)
        assert await link.run(just(("PING",))) == [b"PONG"]
        await link.close()
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(main(), timeout=20))


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, hang_up: bool
) -> None:
    """Copies until the end; or only the first piece, the whole greeting's replies."""
    while data := await reader.read(65_536):
        writer.write(data)
        if hang_up:
            break
    writer.close()


def test_a_server_that_was_away_is_found_again_and_has_our_functions(tmp_path: Path) -> None:
    engine = RedisEngine.start(tmp_path / "first")

    async def scenario(link: RedisLink) -> None:
        await asyncio.to_thread(engine.stop)
        await asyncio.sleep(0.3)
        assert not link.is_up
        port = engine.port
        with await asyncio.to_thread(RedisEngine.start, tmp_path / "second", port=port):
            await until_up(link)
            assert await link.run(just(("FCALL", "kinbid_v1_sweep", 1, "b", 0))) == [0]

    try:
        with_link(engine.url, scenario)
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisEngine]:
    """A Redis that asks for a password."""
    with RedisEngine.start(tmp_path_factory.mktemp("guarded")) as engine:

        async def scenario(link: RedisLink) -> None:
            await link.run(just(("ACL", "SETUSER", "app", "on", ">p@ss word", "~*", "+@all")))
            await link.run(just(("CONFIG", "SET", "requirepass", "s3cret")))

        with_link(engine.url, scenario)
        yield engine


def test_the_password_and_the_database_of_the_url_are_used(guarded: RedisEngine) -> None:

    async def scenario(link: RedisLink) -> None:
        who, info = await link.run(just(("ACL", "WHOAMI"), ("CLIENT", "INFO")))
        assert who == (b"app" if "app" in link._url.netloc else b"default")
        assert b" db=2 " in info
        assert b" name=link-under-test " in info

    with_link(f"redis://:s3cret@127.0.0.1:{guarded.port}/2", scenario)
    with_link(f"redis://app:p%40ss%20word@127.0.0.1:{guarded.port}/2", scenario)


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:s3cret@"])
def test_a_server_that_refuses_us_is_down(guarded: RedisEngine, credentials: str) -> None:

    async def main() -> None:
        link = RedisLink(f"redis://{credentials}127.0.0.1:{guarded.port}")
        with pytest.raises(RedisDownError, match=r"NOAUTH|WRONGPASS"):
            await link.connect()
        assert not link.is_up
        with pytest.raises(RedisDownError):
            await link.run(just(("PING",)))
        await link.close()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_a_unix_socket_serves_as_well(redis_server: RedisEngine, tmp_path: Path) -> None:
    """Redis' own socket cannot be switched on at run time: a relay stands in for it."""
    path = tmp_path / "r.sock"

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", redis_server.port)
        back = asyncio.ensure_future(_pump(up_reader, writer, hang_up=False))
        await _pump(reader, up_writer, hang_up=False)
        await back

    async def main() -> None:
        server = await asyncio.start_unix_server(relay, path)
        link = RedisLink(f"unix://{path}")
        await link.connect()
        assert link.address == str(path)
        assert await link.run(just(("PING",))) == [b"PONG"]
        await link.close()
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(main(), timeout=20))
