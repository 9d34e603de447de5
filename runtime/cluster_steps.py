"""One step's commands on their way through a Redis Cluster, and their replies back in order.

Commands of one slot keep their order, as they would on one connection. Those that a server sends
elsewhere go on in the slot's *lane*, one at a time: each is followed wherever it has to be asked
for until it has an answer, and whatever comes for the slot meanwhile queues behind it. Within a
step the commands behind a redirected one go with it even if they have been answered, since their
answers came before it ran.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

import hiredis

from models.commands import Command
from runtime.cluster_map import ClusterMap, Node
from runtime.link import Asker, RedisDownError
from runtime.redirects import Ask, Moved, Redirect, Refusal, redirect_of

__all__ = ["Direct", "Lanes", "Parcel", "Rejoined", "Trip"]

FIRST_WAIT_SECONDS: Final = 0.001
LONGEST_WAIT_SECONDS: Final = 0.05


class Trip:
    """One step: waits for all its replies."""

    __slots__ = ("_asker", "_missing", "_replies", "commands", "error", "slots")

    def __init__(self, asker: Asker, commands: list[Command], slots: list[int]) -> None:
        self._asker = asker
        self._missing = len(commands)
        self._replies: list[Any] = [None] * len(commands)
        self.commands = commands
        self.slots = slots
        self.error: RedisDownError | None = None

    def deliver(self, positions: Sequence[int], replies: Sequence[Any]) -> None:
        """Takes some of the replies."""
        for position, reply in zip(positions, replies, strict=True):
            self._replies[position] = reply
        self._arrived(len(positions))

    def fail(self, count: int, error: RedisDownError) -> None:
        """Learns that so many replies will not come; the first reason stays."""
        self.error = self.error or error
        self._arrived(count)

    def _arrived(self, count: int) -> None:
        self._missing -= count
        if self._missing:
            return  # also after a failure: whoever tries again must not meet what is on its way
        if self.error is not None:
            self._asker.lost(self.error)
        else:
            self._asker.answered(self._replies)


class Parcel:
    """The part of a step that goes to one server."""

    __slots__ = ("_lanes", "_node", "_positions", "_trip")

    def __init__(self, trip: Trip, positions: list[int], node: Node, lanes: "Lanes") -> None:
        self._trip = trip
        self._positions = positions
        self._node = node
        self._lanes = lanes

    def send(self) -> RedisDownError | None:
        """Sends the commands."""
        commands = self._trip.commands
        return self._node.ask(self, [commands[position] for position in self._positions])

    def answered(self, replies: list[Any]) -> None:
        """Delivers the answers; what was sent elsewhere goes on in the lane of its slot."""
        if not any(isinstance(reply, hiredis.HiredisError) for reply in replies):
            self._trip.deliver(self._positions, replies)
            return
        trip, answered, detoured = self._trip, [], set()
        for position, reply in zip(self._positions, replies, strict=True):
            slot = trip.slots[position]
            redirect = redirect_of(reply, self._node.at)
            if redirect is not None or slot in detoured:
                detoured.add(slot)
                self._lanes.add(slot, Errand(trip, position, redirect))
            else:
                answered.append((position, reply))
        if answered:
            trip.deliver(*zip(*answered, strict=True))

    def lost(self, error: RedisDownError) -> None:
        """Fails the step."""
        self._trip.fail(len(self._positions), error)


class Direct:
    """A step that goes to one server whole, as nearly all do: nothing to gather."""

    __slots__ = ("_asker", "_commands", "_lanes", "_node", "_slots")

    def __init__(
        self, asker: Asker, commands: list[Command], slots: list[int], node: Node, lanes: "Lanes"
    ) -> None:
        self._asker = asker
        self._commands = commands
        self._slots = slots
        self._node = node
        self._lanes = lanes

    def answered(self, replies: list[Any]) -> None:
        """Hands the replies on, unless something was sent elsewhere: then as any parcel."""
        for reply in replies:
            if isinstance(reply, hiredis.HiredisError):
                trip = Trip(self._asker, self._commands, self._slots)
                positions = list(range(len(replies)))
                Parcel(trip, positions, self._node, self._lanes).answered(replies)
                return
        self._asker.answered(replies)

    def lost(self, error: RedisDownError) -> None:
        """Hands the loss on."""
        self._asker.lost(error)


class Rejoined:
    """The asker of a step whose MGETs were split by key: puts their replies together again."""

    __slots__ = ("_asker", "_counts")

    def __init__(self, asker: Asker, counts: list[int]) -> None:
        self._asker = asker
        self._counts = counts

    @classmethod
    def split(cls, asker: Asker, commands: list[Command]) -> "tuple[Rejoined, list[Command]]":
        """The step with one MGET for each key: one cannot cross slots."""
        counts = [len(c) - 1 if c[0] == "MGET" and len(c) > 2 else 0 for c in commands]
        flat: list[Command] = []
        for command, count in zip(commands, counts, strict=True):
            flat += [("MGET", key) for key in command[1:]] if count else [command]
        return cls(asker, counts), flat

    def answered(self, replies: list[Any]) -> None:
        """Hands on one reply for each command as it was asked for."""
        flat = iter(replies)
        joined: list[Any] = []
        for count in self._counts:
            if not count:
                joined.append(next(flat))
                continue
            parts = [next(flat) for _ in range(count)]
            errors = [part for part in parts if isinstance(part, hiredis.HiredisError)]
            joined.append(errors[0] if errors else [part[0] for part in parts])
        self._asker.answered(joined)

    def lost(self, error: RedisDownError) -> None:
        """Hands the loss on."""
        self._asker.lost(error)


class Errand:
    """One command that has to be followed."""

    __slots__ = ("deadline", "position", "redirect", "trip")

    def __init__(self, trip: Trip, position: int, redirect: Redirect | None) -> None:
        self.trip = trip
        self.position = position
        self.redirect = redirect
        self.deadline = 0.0


class Lanes:
    """The lanes of all slots that have one now.

    Args:
        cluster: who owns which slot.
        patience_seconds: a command that has no answer after so long fails its step.
    """

    def __init__(self, cluster: ClusterMap, patience_seconds: float) -> None:
        self._cluster = cluster
        self._patience_seconds = patience_seconds
        self._lanes: dict[int, _Lane] = {}

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __contains__(self, slot: int) -> bool:
        return slot in self._lanes

    def add(self, slot: int, errand: Errand) -> None:
        """Queues a command of a slot."""
        lane = self._lanes.get(slot)
        if lane is None:
            lane = self._lanes[slot] = _Lane(slot, self._cluster, self._lanes)
        errand.deadline = asyncio.get_running_loop().time() + self._patience_seconds
        lane.add(errand)

    def add_all(self, trip: Trip, positions: Iterable[int]) -> None:
        """Queues commands behind those that are in the lanes of their slots."""
        for position in positions:
            self.add(trip.slots[position], Errand(trip, position, None))


class _Lane:
    """One slot's commands, one at a time; the asker of the one that is on its way."""

    def __init__(self, slot: int, cluster: ClusterMap, lanes: "dict[int, _Lane]") -> None:
        self._slot = slot
        self._cluster = cluster
        self._lanes = lanes
        self._queue: deque[Errand] = deque()
        self._asked: Node | None = None
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def add(self, errand: Errand) -> None:
        self._queue.append(errand)

    def _next(self) -> None:
        """Begins with the first command of a step that can still succeed."""
        queue = self._queue
        while queue and (error := queue[0].trip.error) is not None:
            queue.popleft().trip.fail(1, error)
        if not queue:
            del self._lanes[self._slot]
            return
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._follow(queue[0].redirect)

    def _follow(self, redirect: Redirect | None) -> None:
        if self._cluster.is_closed or self._loop.time() > self._queue[0].deadline:
            self._fail(f"slot {self._slot} of the Redis Cluster does not settle")
            return
        match redirect:
            case None:
                self._ask(self._cluster.owner(self._slot), is_asking=False)
            case Moved(owner):
                self._cluster.moved(self._slot, owner)
                self._wait()
            case Ask(holder):
                self._ask(self._cluster.node_at(holder), is_asking=True)
            case Refusal.AGAIN:
                self._wait()
            case Refusal.DOWN:
                self._cluster.refresh_soon()
                self._fail(f"slot {self._slot} of the Redis Cluster is not served")

    def _ask(self, node: Node | None, *, is_asking: bool) -> None:
        errand = self._queue[0]
        command = errand.trip.commands[errand.position]
        commands = [("ASKING",), command] if is_asking else [command]
        if node is None or node.ask(self, commands) is not None:
            self._cluster.refresh_soon()
            self._wait()
            return
        self._asked = node

    def _wait(self) -> None:
        """Begins again at the slot's owner, a little later each time."""
        self._loop.call_later(self._wait_seconds, self._follow, None)
        self._wait_seconds = min(self._wait_seconds * 2, LONGEST_WAIT_SECONDS)

    def answered(self, replies: list[Any]) -> None:
        assert self._asked is not None  # noqa: S101 - it has just replied
        redirect = redirect_of(replies[-1], self._asked.at)
        if redirect is not None:
            self._follow(redirect)
            return
        errand = self._queue.popleft()
        errand.trip.deliver((errand.position,), (replies[-1],))
        self._next()

    def lost(self, error: RedisDownError) -> None:
        self._queue.popleft().trip.fail(1, error)
        self._next()

    def _fail(self, reason: str) -> None:
        self._queue.popleft().trip.fail(1, RedisDownError(reason))
        # Not at once: hundreds that fail in a row would each stand on the other's stack.
        self._loop.call_soon(self._next)
