"""Who owns which slots of a Redis Cluster, and a connection to each owner.

The map is asked for when it turns out to be wrong: a server says that a slot has moved, or its
connection is lost. While an owner cannot be reached it is asked for again and again, so a replica
that takes over is found as soon as one server tells of it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from models.commands import Command
from models.errors import InvalidFieldError
from runtime.link import Link, RedisDownError, RedisReplyError, just
from runtime.redis_link import RedisLink
from runtime.settings import masked
from runtime.slots import SLOT_COUNT, Address, SlotRange, ranges_of

__all__ = ["CLUSTER_SCHEMES", "ClusterMap", "Node"]

logger = logging.getLogger(__name__)

CLUSTER_SCHEMES: Final = {"redis+cluster": "redis", "rediss+cluster": "rediss"}
FIRST_RETRY_SECONDS: Final = 0.05
LONGEST_RETRY_SECONDS: Final = 1.0
REST_SECONDS: Final = 0.1
"""A map that has just come is not asked for again: of single slots the servers tell."""


class _Place(msgspec.Struct, frozen=True):
    """What a cluster's URL says."""

    scheme: str
    credentials: str
    seeds: tuple[Address, ...]

    def url_of(self, address: Address) -> str:
        return f"{self.scheme}://{self.credentials}{address}"


def _place_of(url: str) -> _Place:
    wanted = "redis+cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT or rediss+cluster://..."
    scheme, _, rest = url.partition("://")
    where, _, database = rest.partition("/")
    credentials, at, hosts = where.rpartition("@")
    try:
        parts = [urlsplit(f"//{host}") for host in hosts.split(",")]
        seeds = tuple(Address(part.hostname or "", part.port or 6379) for part in parts)
    except ValueError as error:
        raise InvalidFieldError("redis_url", masked("redis_url", url), wanted) from error
    # A cluster has no database but 0.
    if scheme not in CLUSTER_SCHEMES or database not in {"", "0"} or not all(s.host for s in seeds):
        raise InvalidFieldError("redis_url", masked("redis_url", url), wanted)
    return _Place(CLUSTER_SCHEMES[scheme], credentials + at, seeds)


class Node(RedisLink):
    """A connection to one server of the cluster."""

    def __init__(
        self,
        url: str,
        at: Address,
        on_loss: Callable[[], None],
        *,
        name: str,
        stall_seconds: float,
        patience_seconds: float | None,
    ) -> None:
        super().__init__(
            url, name=name, stall_seconds=stall_seconds, patience_seconds=patience_seconds
        )
        self.at = at
        self._on_loss = on_loss

    def open_soon(self) -> None:
        """Connects in the background, as often as it takes."""
        self._loop = asyncio.get_running_loop()
        self._retry = self._loop.create_task(self._reconnect(0.0))

    def connection_lost(self, exc: Exception | None) -> None:
        """As any link; and the map may be wrong."""
        super().connection_lost(exc)
        if not self._closing:
            self._on_loss()


class _Scout(RedisLink):
    """A short visit to a server that may be a replica, on which no function can be loaded."""

    def _hello(self) -> list[Command]:
        return [command for command in super()._hello() if command[0] != "FUNCTION"]


class ClusterMap:
    """The owners of all slots.

    Args:
        url: ``redis+cluster://[user:password@]host:port,host:port``, ``rediss+cluster://`` for
            TLS: some of the cluster's servers, of which one that answers is enough.
        name: how the connections call themselves to the servers.
        stall_seconds, patience_seconds: as for :class:`RedisLink`.

    Raises:
        InvalidFieldError: the URL is of another form.
    """

    def __init__(
        self, url: str, *, name: str, stall_seconds: float, patience_seconds: float | None
    ) -> None:
        self._place = _place_of(url)
        self._name = name
        self._stall_seconds = stall_seconds
        self._patience_seconds = patience_seconds
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Node | None] = [None] * SLOT_COUNT
        self._losses_of_gone = 0
        self._refreshing: asyncio.Task[None] | None = None
        self.is_closed = False

    # -- life ------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Fetches the map and connects to every owner.

        Raises:
            RedisDownError: no server tells, a slot has no owner, or an owner cannot be reached.
        """
        ranges = await self._fetch()
        if sum(each.last - each.first + 1 for each in ranges) != SLOT_COUNT:
            raise RedisDownError(f"the Redis Cluster at {self.address} does not serve every slot")
        for address in {each.master for each in ranges}:
            self._nodes[address] = self._make(address)
        connecting = [node.connect() for node in self._nodes.values()]
        results = await asyncio.gather(*connecting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                self._end_nodes()
                self._nodes.clear()
                raise result
        self._adopt(ranges)

    def close(self) -> None:
        """Ends every connection."""
        self.is_closed = True
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._end_nodes()

    def _end_nodes(self) -> None:
        for node in self._nodes.values():
            node.end()

    def _make(self, address: Address) -> Node:
        return Node(
            self._place.url_of(address), address, self.refresh_soon,
            name=self._name, stall_seconds=self._stall_seconds,
            patience_seconds=self._patience_seconds,
        )  # fmt: skip

    # -- what is known ---------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The servers of the URL."""
        return ",".join(map(str, self._place.seeds))

    @property
    def is_up(self) -> bool:
        """Whether any server can be asked: the others' keys may be out of reach."""
        return any(node.is_up for node in self._nodes.values())

    @property
    def losses(self) -> int:
        """How often a connection to any server was lost."""
        return self._losses_of_gone + sum(node.losses for node in self._nodes.values())

    @property
    def servers(self) -> Sequence[Link]:
        """The owners."""
        return tuple({node: None for node in self._owners if node is not None})

    def owner(self, slot: int) -> Node | None:
        """The owner of a slot if it can be asked."""
        node = self._owners[slot]
        return node if node is not None and node.is_up else None

    def node_at(self, address: Address) -> Node:
        """The connection to an address; a new one is opened in the background."""
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = self._make(address)
            node.open_soon()
        return node

    # -- what has changed ------------------------------------------------------------------

    def moved(self, slot: int, owner: Address) -> None:
        """Notes that a slot has another owner; others probably have too."""
        self._owners[slot] = self.node_at(owner)
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Asks for the map, unless that is being done already."""
        if self.is_closed or (self._refreshing is not None and not self._refreshing.done()):
            return
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh())

    async def _refresh(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                self._adopt(await self._fetch())
            except RedisDownError as error:
                logger.warning("redis_map_missing", extra={"reason": str(error)})
            if all(node is not None and node.is_up for node in self._owners):
                break
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)
        await asyncio.sleep(REST_SECONDS)

    def _adopt(self, ranges: list[SlotRange]) -> None:
        owners: list[Node | None] = [None] * SLOT_COUNT
        for each in ranges:
            owners[each.first : each.last + 1] = [self.node_at(each.master)] * (
                each.last - each.first + 1
            )
        self._owners = owners
        masters = {each.master for each in ranges}
        # A server that owns nothing any more stays while it is up: answers may be on their way.
        for address, node in list(self._nodes.items()):
            if address not in masters and not node.is_up:
                self._losses_of_gone += node.losses
                node.end()
                del self._nodes[address]

    async def _fetch(self) -> list[SlotRange]:
        """The map, from a server that is connected or else from one of the URL.

        Raises:
            RedisDownError: none of them tells.
        """
        for node in [node for node in self._nodes.values() if node.is_up]:
            try:
                return await _ask_map(node, node.at)
            except (RedisDownError, RedisReplyError) as error:
                logger.info("redis_map_refused", extra={"reason": str(error)})
        reason = ""
        for seed in self._place.seeds:
            scout = _Scout(self._place.url_of(seed), name=self._name)
            try:
                await scout.connect()
                return await _ask_map(scout, seed)
            except (RedisDownError, RedisReplyError, TimeoutError) as error:
                reason = str(error)
            finally:
                scout.end()
        raise RedisDownError(f"the Redis Cluster at {self.address} cannot be used: {reason}")


async def _ask_map(link: Link, asked: Address) -> list[SlotRange]:
    (reply,) = await link.run(just([("CLUSTER", "SLOTS")]))
    if not reply:
        raise RedisReplyError(f"{asked} knows of no slots: it has not joined a cluster")
    return list(ranges_of(reply, asked))
