"""The two stores of the contract, behind one call."""

import asyncio
from typing import Any, Protocol, TypeVar

from models.commands import Command, Steps
from runtime.redis_url import link_to
from tests.fakes.memory_store import MemoryStore, run

__all__ = ["FakeStore", "RealStore", "Store", "just"]

T = TypeVar("T")


class Store(Protocol):
    """What the suite needs of a store."""

    def run(self, steps: Steps[T]) -> T:
        """Drives a generator to its end."""

    def seconds_left(self, key: str) -> int | None:
        """The key's time to live; None where it has none."""


class FakeStore:
    """The dictionary of the unit tests."""

    def __init__(self) -> None:
        self._store = MemoryStore()

    def run(self, steps: Steps[T]) -> T:
        return run(self._store, steps)

    def seconds_left(self, key: str) -> int | None:
        return self._store.expiring.get(key.encode())


class RealStore:
    """A Redis server or a Redis Cluster, behind the link of production."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._link = link_to(url, name="contract")
        self._loop.run_until_complete(self._link.connect())

    def run(self, steps: Steps[T]) -> T:
        return self._loop.run_until_complete(self._link.run(steps))

    def seconds_left(self, key: str) -> int | None:
        (left,) = self.run(just(("TTL", key)))
        return left if left >= 0 else None

    def empty(self) -> None:
        for server in self._link.servers:
            self._loop.run_until_complete(server.run(just(("FLUSHDB",))))

    def close(self) -> None:
        self._loop.run_until_complete(self._link.close())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


def just(*commands: Command) -> Steps[list[Any]]:
    """One step, and its replies."""
    return (yield list(commands))
