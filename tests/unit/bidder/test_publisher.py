"""Reservations of a tick, shown to the other workers."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from bidder.publisher import Publisher
from bidder.reservations import OwnReservations
from models.commands import Command
from models.identifiers import NodeId
from models.reservations import Reservation, decode_reservations
from runtime import clock
from runtime.link import Asker, Link, RedisDownError, RedisReplyError
from tests.unit.bidder.support import KEYS, NODE, SEATS, MemoryRedis

OTHER = NodeId("k" + "b" * 22)
ROOT = NodeId("k" + "c" * 22)


class MemoryLink(Link):
    """Answers from memory at the end of the tick; refuses steps on persons of a lost server."""

    address, is_up, losses = "memory", True, 0

    def __init__(self) -> None:
        self.redis = MemoryRedis()
        self.asked: list[list[Command]] = []
        self.lost: set[str] = set()
        self.refusals: list[RedisReplyError] = []
        self.answer: Callable[[Command], Any] = self.redis.reply

    async def connect(self) -> None:
        """It is here."""

    async def open(self) -> RedisDownError | None:
        """It is here."""
        return None

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def servers(self) -> Sequence[Link]:
        return (self,)

    def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
        if any(str(command[3]) in self.lost for command in commands):
            return RedisDownError("down")
        self.asked.append(commands)
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: asker.answered([self.answer(one) for one in commands]))
        return None

    def note_refusal(self, error: RedisReplyError) -> None:
        self.refusals.append(error)


class Case:
    """A worker with a reservation for each of some persons."""

    def __init__(self, *roots: NodeId) -> None:
        self.link = MemoryLink()
        self.own = OwnReservations("me")
        self.publisher = Publisher(self.link, KEYS, self.own)
        for root in roots:
            self.reserve(root)

    def reserve(self, root: NodeId) -> Reservation:
        now_ms = clock.now_ms()
        made = Reservation(SEATS, "n", now_ms + 60_000, now_ms)
        self.own.add(root, made)
        return made

    async def publish(self, *roots: NodeId) -> None:
        for root in roots:
            self.publisher.publish(root)
        for _ in range(6):
            await asyncio.sleep(0)

    def written(self, root: NodeId) -> int:
        """How many reservations others see."""
        view = self.link.redis.hashes.get(KEYS.bid_view(root), {})
        return len(decode_reservations(view[self.own.field], 0)) if view else 0


def test_a_tick_is_one_step_with_one_write_for_each_person() -> None:
    async def scenario() -> None:
        case = Case(NODE, NODE, OTHER)
        await case.publish(NODE, OTHER, NODE)
        assert [len(commands) for commands in case.link.asked] == [2]
        assert (case.written(NODE), case.written(OTHER)) == (2, 1)
        case.reserve(OTHER)
        await case.publish(OTHER)
        assert case.written(OTHER) == 2

    asyncio.run(scenario())


def test_what_has_been_taken_back_meanwhile_is_not_written() -> None:
    async def scenario() -> None:
        case = Case(NODE)
        case.publisher.publish(OTHER)
        case.own.remove(OTHER, case.reserve(OTHER))
        await case.publish(NODE)
        assert [len(commands) for commands in case.link.asked] == [1]
        case.own.forget_until(NODE, 1 << 60)
        await case.publish(NODE)
        assert len(case.link.asked) == 1

    asyncio.run(scenario())


def test_a_reservation_follows_whoever_has_been_merged_and_no_other_is_touched() -> None:
    async def scenario() -> None:
        case = Case(NODE, OTHER)
        case.link.redis.parents[KEYS.parent(NODE)] = b">" + ROOT.encode()
        await case.publish(NODE, OTHER)
        assert (case.written(NODE), case.written(ROOT), case.written(OTHER)) == (0, 1, 1)
        assert len(case.own.of(ROOT, 0)) == 1

    asyncio.run(scenario())


def test_a_lost_server_of_a_cluster_costs_its_own_persons_only() -> None:
    async def scenario() -> None:
        case = Case(NODE, OTHER)
        case.link.lost.add(KEYS.parent(NODE))
        await case.publish(NODE, OTHER)
        assert (case.written(NODE), case.written(OTHER)) == (0, 1)
        assert len(case.own.of(NODE, 0)) == 1, "it still counts here"

    asyncio.run(scenario())


def test_a_refused_write_is_told_to_the_link_and_costs_no_other() -> None:
    async def scenario() -> None:
        case = Case(NODE, OTHER)
        memory = case.link.redis

        def refusing(command: Command) -> object:
            is_refused = command[3] == KEYS.parent(NODE)
            return hiredis.ReplyError("READONLY no") if is_refused else memory.reply(command)

        case.link.answer = refusing
        await case.publish(NODE, OTHER)
        assert case.written(OTHER) == 1
        assert [str(error) for error in case.link.refusals] == ["READONLY no"]

    asyncio.run(scenario())
