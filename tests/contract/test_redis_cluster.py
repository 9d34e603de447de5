"""The cluster link on six real nodes: order, slots on the move, masters that change."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from kinbid.engines import RedisCluster, RedisConsole, RedisEngine
from models.commands import Steps
from models.identifiers import NodeId
from models.keys import Keys
from runtime.link import RedisDownError, RedisReplyError
from runtime.redis_cluster import ClusterLink
from runtime.slots import slot_of
from tests.contract.stores import just

pytestmark = pytest.mark.integration

Scenario = Callable[[ClusterLink], Awaitable[None]]
KEYS, NODE = Keys("contract"), NodeId("k" + "n" * 22)
PARENT, PERSON = KEYS.parent(NODE), KEYS.person(NODE)
SLOT = slot_of(PARENT)


def with_link(cluster: RedisCluster, scenario: Scenario, stall_seconds: float = 5.0) -> None:
    """Runs a scenario on a link to an empty cluster, closed afterwards."""

    async def main() -> None:
        link = ClusterLink(cluster.url, name="link-under-test", stall_seconds=stall_seconds)
        await link.connect()
        try:
            for server in link.servers:
                await server.run(just(("FLUSHALL",)))
            await scenario(link)
        finally:
            await link.close()
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), timeout=60))


class Moving:
    """A slot that is between two masters until :meth:`finish`."""

    def __init__(self, cluster: RedisCluster, slot: int) -> None:
        self.slot = slot
        masters = cluster.masters()
        self.source = next(m for m in masters if slot in cluster.slots_of(m))
        self.target = next(m for m in masters if m is not self.source)
        self._consoles = [RedisConsole(m.port) for m in (self.target, self.source)]
        self._others = [RedisConsole(m.port) for m in masters]
        taker, giver = self._consoles
        self._taker_id = taker.ask("CLUSTER", "MYID")
        taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver.ask("CLUSTER", "MYID"))
        giver.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self._taker_id)

    def move(self, *keys: str) -> None:
        self._consoles[1].ask("MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS", *keys)

    def finish(self) -> None:
        giver = self._consoles[1]
        while keys := giver.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            self.move(*keys)
        for console in (*self._consoles, *self._others):
            console.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self._taker_id)

    def close(self) -> None:
        self.finish()
        for console in (*self._consoles, *self._others):
            console.close()


@pytest.fixture
def moving(redis_cluster: RedisCluster) -> Iterator[Callable[[], Moving]]:
    """Begins to move the slot of NODE; it is moved whole in the end."""
    begun: list[Moving] = []

    def begin() -> Moving:
        begun.append(Moving(redis_cluster, SLOT))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def counting(key: str, rounds: int) -> Steps[int]:
    value = 0
    for _ in range(rounds):
        (value,) = yield [("INCR", key)]
    return value


def test_the_replies_of_a_step_over_all_servers_come_in_its_order(
    redis_cluster: RedisCluster,
) -> None:
    names = [f"n{number}" for number in range(100)]

    async def scenario(link: ClusterLink) -> None:
        assert len(link.servers) == 3
        await link.run(just(*(("SET", name, place) for place, name in enumerate(names))))
        replies = await link.run(just(*(("GET", name) for name in names), ("MGET", *names)))
        values = [b"%d" % place for place in range(100)]
        assert replies == [*values, values]
        assert await link.run_all(counting(f"c{n}", n) for n in range(1, 60)) == list(range(1, 60))

    with_link(redis_cluster, scenario)


def test_an_error_of_a_command_reaches_its_generator_only(redis_cluster: RedisCluster) -> None:
    async def scenario(link: ClusterLink) -> None:
        await link.run(just(("SET", "text", "x")))
        results = await asyncio.gather(
            link.run(counting("n", 3)), link.run(counting("text", 1)), return_exceptions=True
        )
        assert results[0] == 3
        assert isinstance(results[1], RedisReplyError)
        with pytest.raises(RedisReplyError, match="CROSSSLOT"):
            await link.run(just(("FCALL", "kinbid_v1_sweep", 2, "a", "b", 0)))

    with_link(redis_cluster, scenario)


def test_a_key_that_has_moved_ahead_of_its_slot_is_found(
    redis_cluster: RedisCluster, moving: Callable[[], Moving]
) -> None:
    async def scenario(link: ClusterLink) -> None:
        await link.run(just(("SET", PARENT, ">x"), ("HSET", PERSON, "f", "v")))
        slot = moving()
        slot.move(PERSON)
        # One key here, the other there: the answer to the second must not come from the wrong one.
        steps = just(("HSET", PERSON, "f", "w"), ("GET", PARENT), ("HGET", PERSON, "f"))
        assert await link.run(steps) == [0, b">x", b"w"]
        slot.finish()
        assert await link.run(just(("HGET", PERSON, "f"), ("GET", PARENT))) == [b"w", b">x"]
        assert await link.run(just(("HGET", PERSON, "f"))) == [b"w"]

    with_link(redis_cluster, scenario)


def test_commands_of_one_slot_run_in_the_order_in_which_they_were_sent(
    redis_cluster: RedisCluster, moving: Callable[[], Moving]
) -> None:
    """Also those of different generators, while keys of the slot are here and there."""
    order: list[int] = []

    def write(number: int) -> Steps[None]:
        yield [("HSET", PERSON, "last", number)]
        order.append(number)

    async def scenario(link: ClusterLink) -> None:
        await link.run(just(("HSET", PERSON, "last", "-")))
        slot = moving()
        writing = asyncio.ensure_future(link.run_all(write(number) for number in range(200)))
        await asyncio.to_thread(slot.finish)
        more = link.run_all(write(number) for number in range(200, 400))
        await asyncio.gather(writing, more)
        assert order == list(range(400))
        assert await link.run(just(("HGET", PERSON, "last"))) == [b"399"]

    with_link(redis_cluster, scenario)


def test_a_function_whose_keys_are_apart_waits_until_they_are_together(
    redis_cluster: RedisCluster, moving: Callable[[], Moving]
) -> None:
    call = ("FCALL", "kinbid_v1_mark", 3, PARENT, PERSON, KEYS.bid_view(NODE), "t1", "c", 0, 0)

    async def scenario(link: ClusterLink) -> None:
        await link.run(just(("HSET", PERSON, "f", "v")))
        slot = moving()
        marking = asyncio.ensure_future(link.run(just(call)))
        done, _ = await asyncio.wait({marking}, timeout=0.2)
        assert not done
        slot.finish()
        assert await marking == [1]
        assert await link.run(just(("HGET", PERSON, "m:t1"))) == [b"c"]

    with_link(redis_cluster, scenario)


def test_a_slot_that_does_not_settle_fails_its_steps_and_no_others(
    redis_cluster: RedisCluster, moving: Callable[[], Moving]
) -> None:
    call = ("FCALL", "kinbid_v1_mark", 3, PARENT, PERSON, KEYS.bid_view(NODE), "t1", "c", 0, 0)

    async def scenario(link: ClusterLink) -> None:
        await link.run(just(("HSET", PERSON, "f", "v")))
        slot = moving()
        results = await asyncio.gather(
            link.run(just(call)), link.run(counting("elsewhere", 9)),
            return_exceptions=True,
        )  # fmt: skip
        assert isinstance(results[0], RedisDownError)
        assert "does not settle" in str(results[0])
        assert results[1] == 9
        slot.finish()
        assert await link.run(just(("HGET", PERSON, "f"), call)) == [b"v", 1]

    with_link(redis_cluster, scenario, stall_seconds=0.5)


def test_a_closed_link_fails_whoever_waits_for_a_slot_to_settle(
    redis_cluster: RedisCluster, moving: Callable[[], Moving]
) -> None:
    call = ("FCALL", "kinbid_v1_mark", 3, PARENT, PERSON, KEYS.bid_view(NODE), "t1", "c", 0, 0)

    async def scenario(link: ClusterLink) -> None:
        await link.run(just(("HSET", PERSON, "f", "v")))
        moving()
        waiting = [asyncio.ensure_future(link.run(just(call))) for _ in range(1000)]
        await asyncio.wait(waiting, timeout=0.1)
        await link.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {RedisDownError}
        with pytest.raises(RedisDownError):
            await link.run(just(("GET", PARENT)))

    with_link(redis_cluster, scenario)


def test_a_replica_that_takes_over_is_found_and_nothing_is_lost(
    redis_cluster: RedisCluster,
) -> None:
    async def scenario(link: ClusterLink) -> None:
        counts = [asyncio.ensure_future(link.run(counting(f"n{n}", 300))) for n in range(60)]
        master = redis_cluster.masters()[0]
        await asyncio.to_thread(redis_cluster.fail_over, master)
        assert await asyncio.gather(*counts) == [300] * 60
        call = ("FCALL", "kinbid_v1_sweep", 1, "b", 0)
        for server in link.servers:
            assert len(await server.run(just(("FUNCTION", "LIST")))) == 1
        assert await link.run(just(call)) == [0]
        assert link.losses == 0

    with_link(redis_cluster, scenario)


def test_a_server_that_hangs_is_told_from_the_others(redis_cluster: RedisCluster) -> None:
    masters = redis_cluster.masters()

    async def scenario(link: ClusterLink) -> None:
        hung: RedisEngine = masters[0]
        slots = redis_cluster.slots_of(hung)
        name = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") in slots)
        other = next(f"n{n}" for n in range(100) if slot_of(f"n{n}") not in slots)
        os.kill(hung.pid, signal.SIGSTOP)
        try:
            with pytest.raises(RedisDownError):
                await link.run(just(("INCR", name), ("INCR", other)))
            assert link.is_up
            assert link.losses == 1
            assert await link.run(counting(other, 2)) == 3
        finally:
            os.kill(hung.pid, signal.SIGCONT)
        while True:
            try:
                await link.run(just(("GET", name)))
            except RedisDownError:
                await asyncio.sleep(0.01)
            else:
                return

    with_link(redis_cluster, scenario, stall_seconds=0.5)


def test_servers_that_are_not_there_are_named_without_the_password() -> None:
    async def main() -> None:
        link = ClusterLink("redis+cluster://user:s3cret@127.0.0.1:1,127.0.0.1:2")
        with pytest.raises(RedisDownError, match=r"127\.0\.0\.1:1,127\.0\.0\.1:2") as caught:
            await link.connect()
        assert "s3cret" not in str(caught.value)
        assert not link.is_up
        await link.close()

    asyncio.run(main())


def test_a_single_server_is_no_cluster(redis_server: RedisEngine) -> None:
    async def main() -> None:
        link = ClusterLink(f"redis+cluster://127.0.0.1:{redis_server.port}")
        with pytest.raises(RedisDownError, match="cluster support disabled"):
            await link.connect()
        await link.close()
        await asyncio.sleep(0)

    asyncio.run(main())
