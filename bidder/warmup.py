"""A rehearsal before the first guest: requests through the whole path, from bytes to bytes.

Python specialises code that has run a few times, and first calls import, compile and fill caches;
an exchange should not wait for that. The rehearsal has a catalogue in common with the real path and
nothing else: its Redis is in memory, its counts are thrown away, and no bid leaves.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from bidder.connections import Connections
from bidder.http1 import HttpCall, HttpConnection
from models.catalog import Catalog
from models.commands import Command
from models.events import Event, FlightSearch, ProductView
from models.facets import Facet, fold_event
from models.header import encode_header, header_of
from models.identifiers import NodeId
from runtime.link import Asker, Link, RedisDownError

__all__ = ["RehearsalRedis", "rehearse"]

ROUNDS: Final = 50
MOST_EXCHANGES: Final = 3
MOST_TRIPS: Final = 8
NODE: Final = NodeId("a" * 23)
"""Nobody's: it is in no Redis."""

_REQUEST: Final[dict[str, Any]] = {
    "id": "rehearsal", "at": 1, "tmax": 1000, "cur": ["USD"],
    "site": {"domain": "example.com", "page": "https://example.com/", "cat": ["IAB1"]},
    "device": {"ua": "Mozilla/5.0", "ip": "192.0.2.1", "geo": {"country": "USA"}},
    "imp": [
        {"id": "1", "secure": 1, "bidfloor": 0.01,
         "banner": {"format": [{"w": 300, "h": 250}, {"w": 728, "h": 90}]}},
    ],
}  # fmt: skip
_KNOWN: Final = {"user": {"buyeruid": "rehearsal"}}
_VARIANTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    _KNOWN,
    {"user": {"id": "x", "eids": [{"source": "id.example", "uids": [{"id": "r", "atype": 3}]}]}},
    _KNOWN | {"at": "1", "tmax": "1000"},
    _KNOWN | {"regs": {"coppa": 1}},
    _KNOWN | {"imp": [*_REQUEST["imp"], {**_REQUEST["imp"][0], "id": "2", "secure": "0"}]},
)


class RehearsalRedis(Link):
    """Knows one person, who stands behind every identifier; answers when it is told to."""

    is_up, losses, address = True, 0, "memory"

    def __init__(self, catalog: Catalog, now_ms: int) -> None:
        facet = Facet()
        for offset, event in enumerate(_interests(catalog, now_ms), start=1):
            facet = fold_event(facet, event, offset)
        self._view = [b"h", encode_header(header_of(facet, ()))]
        self._asked: list[tuple[Asker, list[Command]]] = []
        self._at_end: list[Callable[[], None]] = []

    async def connect(self) -> None:
        """It is here."""

    async def open(self) -> RedisDownError | None:
        """It is here."""
        return None

    async def close(self) -> None:
        """It has nothing open."""

    @property
    def servers(self) -> Sequence[Link]:
        """This one."""
        return (self,)

    def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
        """Keeps commands until :meth:`answer`."""
        self._asked.append((asker, commands))
        return None

    def at_end_of_tick(self, callback: Callable[[], None]) -> None:
        """Keeps a callback until :meth:`answer`."""
        self._at_end.append(callback)

    def answer(self) -> None:
        """Answers all that is asked, and what is asked upon that."""
        while self._asked or self._at_end:
            at_end, self._at_end = self._at_end, []
            for callback in at_end:
                callback()
            asked, self._asked = self._asked, []
            for asker, commands in asked:
                asker.answered([self._reply(command) for command in commands])

    def _reply(self, command: Command) -> object:
        match command[0]:
            case "MGET":
                return [None] * (len(command) - 1)
            case "HGETALL":
                return list(self._view)
            case "FCALL":
                return b"" if command[1] == "kinbid_v1_hold" else 1
            case _:
                return None


def _interests(catalog: Catalog, now_ms: int) -> Iterator[Event]:
    """What a person looked at who can be sold something."""
    told: dict[str, Any] = {"event_id": "r", "ids": (NODE,), "event_time_ms": now_ms - 60_000}
    for flight in itertools.islice(catalog.flights.values(), MOST_TRIPS):
        yield FlightSearch(
            **told, advertiser=flight.advertiser, origin=flight.origin,
            destination=flight.destination, depart_date=flight.depart_date,
        )  # fmt: skip
    for product in itertools.islice(catalog.products.values(), MOST_TRIPS):
        yield ProductView(**told, advertiser=product.advertiser, item=product.id)


class _Nowhere(asyncio.Transport):
    """A client that reads everything and keeps nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Takes an answer."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It has none."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing to close."""


def rehearse(
    handle: Callable[[HttpCall], None],
    redis: RehearsalRedis,
    catalog: Catalog,
    connections: Connections,
) -> int:
    """Has requests answered as if exchanges had sent them.

    Args:
        handle: of a server over ``redis``, which serves nobody else.
        redis: what that server asks.
        catalog: which exchanges there are.
        connections: where the rehearsal's are counted.

    Returns:
        How many requests were answered; 0 without an exchange.
    """
    requests = list(_requests(list(catalog.exchanges)[:MOST_EXCHANGES]))
    for _ in range(ROUNDS):
        connection = HttpConnection(handle, connections)
        connection.connection_made(_Nowhere())
        for request in requests:
            connection.data_received(request)
            redis.answer()
        connection.connection_lost(None)
    return ROUNDS * len(requests)


def _requests(exchanges: Sequence[str]) -> Iterator[bytes]:
    for exchange, variant in itertools.product(exchanges, _VARIANTS):
        body = msgspec.json.encode(_REQUEST | variant)
        yield (
            b"POST /openrtb2/%b/bid HTTP/1.1\r\nHost: bidder\r\nContent-Type: application/json\r\n"
            b"x-openrtb-version: 2.6\r\nContent-Length: %d\r\n\r\n%b"
            % (exchange.encode(), len(body), body)
        )
