"""A Redis Cluster behind the same calls as one server: each command goes to its slot's owner.

The commands of a step are split over the servers and their replies put back in order, so the
generators of :mod:`models` run here as they run on one Redis. Two things differ: commands of one
step under keys of different slots have no order among each other, and a command behind one that
was redirected, in its step and slot, may run twice (see :mod:`runtime.cluster_steps`).
"""

import asyncio
from collections.abc import Sequence

from models.commands import Command
from runtime.cluster_map import ClusterMap, Node
from runtime.cluster_steps import Direct, Lanes, Parcel, Rejoined, Trip
from runtime.link import Asker, Link, RedisDownError
from runtime.slots import key_of, slot_of

__all__ = ["ClusterLink"]


class ClusterLink(Link):
    """Connections to all masters of a Redis Cluster.

    Args:
        url: ``redis+cluster://[user:password@]host:port,host:port``, ``rediss+cluster://`` for
            TLS.
        name: how the connections call themselves to the servers (CLIENT SETNAME).
        stall_seconds: a server that leaves a command without a reply for so long is taken for
            lost; and so long a command is followed whose slot is on the move.
        patience_seconds: while a command has waited for a server for longer than that, that
            server is sent no other; None sends them all.

    Raises:
        InvalidFieldError: the URL is of another form.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "kinbid",
        stall_seconds: float = 5.0,
        patience_seconds: float | None = None,
    ) -> None:
        self._map = ClusterMap(
            url, name=name, stall_seconds=stall_seconds, patience_seconds=patience_seconds
        )
        self._lanes = Lanes(self._map, stall_seconds)

    async def connect(self) -> None:
        """Connects to every master; see :meth:`Link.connect`."""
        self._loop = asyncio.get_running_loop()
        await self._map.connect()

    async def open(self) -> RedisDownError | None:
        """Connects to every master, now or as soon as one tells of them; see :meth:`Link.open`."""
        try:
            await self.connect()
        except RedisDownError as error:
            self._map.refresh_soon()
            return error
        return None

    async def close(self) -> None:
        """Ends every connection; waiters fail."""
        self._map.close()

    @property
    def address(self) -> str:
        """The servers of the URL, without credentials."""
        return self._map.address

    @property
    def is_up(self) -> bool:
        """Whether any master can be asked."""
        return self._map.is_up

    @property
    def losses(self) -> int:
        """How often a connection to any master was lost."""
        return self._map.losses

    @property
    def servers(self) -> Sequence[Link]:
        """A link to each master."""
        return self._map.servers

    def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
        """Splits a step over the owners of its keys; see :meth:`Link.ask`."""
        if any(command[0] == "MGET" for command in commands):
            asker, commands = Rejoined.split(asker, commands)
        slots = [slot_of(key_of(command)) for command in commands]
        if not self._lanes:
            owners = {self._map.owner(slot) for slot in slots}
            node = owners.pop()
            if node is not None and not owners:
                return node.ask(Direct(asker, commands, slots, node, self._lanes), commands)
        return self._split(asker, commands, slots)

    def _split(
        self, asker: Asker, commands: list[Command], slots: list[int]
    ) -> RedisDownError | None:
        """Sends each server its part, and what has a lane down that."""
        parts: dict[Node, list[int]] = {}
        queued: list[int] = []
        for position, slot in enumerate(slots):
            if self._lanes and slot in self._lanes:
                queued.append(position)
                continue
            node = self._map.owner(slot)
            if node is None:
                self._map.refresh_soon()
                return RedisDownError(f"no server of {self.address} serves slot {slot} now")
            parts.setdefault(node, []).append(position)
        trip = Trip(asker, commands, slots)
        for node, positions in parts.items():
            parcel = Parcel(trip, positions, node, self._lanes)
            error = parcel.send()
            if error is not None:
                self._loop.call_soon(parcel.lost, error)
        self._lanes.add_all(trip, queued)
        return None
