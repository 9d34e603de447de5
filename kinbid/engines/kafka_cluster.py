"""Apache Kafka with several brokers: replicated topics that outlive any one of them."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from kinbid.engines.apache_kafka import (
    NAME,
    BrokerPlan,
    await_broker,
    format_storage,
    kafka_version_of,
    new_cluster_id,
    require_java,
    server_properties,
    start_broker,
)
from kinbid.engines.engine import start_on_ports
from kinbid.engines.ports import LOOPBACK

if TYPE_CHECKING:
    from kinbid.engines.process import ChildProcess

BROKERS: Final = 3
MIN_IN_SYNC: Final = 2
"""A record is acknowledged when so many brokers have it: one may die, and nothing is lost."""


class KafkaCluster:
    """Three running brokers, each also a controller; made by `start`."""

    supports_idempotence = True

    def __init__(self, folder: Path, lib: Path, java: str, ports: Sequence[int]) -> None:
        self._folder = folder
        self._lib = lib
        self._java = java
        self._ports = ports[:BROKERS]
        self._voters = dict(enumerate(ports[BROKERS:], start=1))
        self._brokers: list[ChildProcess] = []

    @classmethod
    def start(cls, folder: Path, *, lib: Path, java: str = "java") -> "KafkaCluster":
        """Starts three brokers: 11 s and 340 MB each on an idle machine.

        Args:
            folder: made if absent; each broker has a folder of its own in it.
            lib: the folder of Kafka's jars.
            java: the Java program, 17 or later.

        Raises:
            EngineMissingError: no Java, too old a one, or no jars.
            EngineStartError: a broker did not answer in time, or ended; with its last words.
        """
        kafka_version_of(lib)
        require_java(java)
        cluster_id = new_cluster_id()

        def attempt(ports: Sequence[int]) -> "KafkaCluster":
            cluster = cls(folder, lib, java, ports)
            try:
                cluster._start(cluster_id)
            except BaseException:
                cluster.stop()
                raise
            return cluster

        return start_on_ports((None,) * (2 * BROKERS), attempt)

    def _start(self, cluster_id: str) -> None:
        for number in range(BROKERS):
            place = self._place(number)
            place.mkdir(parents=True, exist_ok=True)
            (place / "server.properties").write_text(server_properties(self._plan(number)))
            format_storage(place, self._lib, self._java, cluster_id)
        # None is ready before a majority is there.
        for number in range(BROKERS):
            self._brokers.append(start_broker(self._place(number), self._lib, self._java))
        for child, port in zip(self._brokers, self._ports, strict=True):
            await_broker(child, port)

    def _place(self, number: int) -> Path:
        return self._folder / f"broker-{number}"

    def _plan(self, number: int) -> BrokerPlan:
        return BrokerPlan(
            node_id=number + 1, port=self._ports[number], voters=self._voters,
            replication_factor=BROKERS, min_in_sync=MIN_IN_SYNC,
        )  # fmt: skip

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, ``host:port`` with commas between."""
        return ",".join(f"{LOOPBACK}:{port}" for port in self._ports)

    @property
    def description(self) -> str:
        """Name and version for people, and how many brokers it is."""
        return f"{NAME} {kafka_version_of(self._lib)}, {BROKERS} brokers"

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of everything that `stop` ends."""
        return tuple(child.pid for child in self._brokers)

    @property
    def is_running(self) -> bool:
        """Whether no broker has ended."""
        return all(child.poll() is None for child in self._brokers)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of the brokers that have ended."""
        return "\n".join(c.log_tail(lines) for c in self._brokers if c.poll() is not None)

    def kill(self, number: int) -> None:
        """Ends broker ``number``, from 0, with -9."""
        os.kill(self._brokers[number].pid, signal.SIGKILL)
        self._brokers[number].stop()

    def restart(self, number: int) -> None:
        """Starts a broker that has ended again, with its records.

        Raises:
            EngineStartError: it did not answer in time, or ended.
        """
        self._brokers[number] = start_broker(self._place(number), self._lib, self._java)
        await_broker(self._brokers[number], self._ports[number])

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Ends every broker and waits until it is gone."""
        for child in self._brokers:
            child.stop(grace_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
