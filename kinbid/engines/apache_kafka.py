"""Apache Kafka itself, one broker in KRaft mode, from the jars that ``make engines`` fetches."""

import base64
import re
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kinbid.engines.engine import start_on_ports
from kinbid.engines.errors import EngineMissingError, EngineStartError
from kinbid.engines.installed import JAVA_MAJOR_MIN, java_major
from kinbid.engines.kafka_broker import SingleBroker, is_broker_on
from kinbid.engines.ports import LOOPBACK
from kinbid.engines.process import ChildProcess

NAME = "Apache Kafka"
READY_SECONDS = 60.0  # 3 s on an idle machine; a loaded one may take ten times as long
FORMAT_SECONDS = 60.0
# Else the few lines that explain a failed start drown in hundreds that tell of its shutdown.
LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)
# A broker of one machine lives for minutes: without the optimising compiler and parallel collection
# it is formatted and up after 4.2 s of CPU instead of 7.1.
MACHINE_FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
DATA_FOLDER = "data"  # relative to the broker's own folder, which is its working directory


class BrokerPlan(msgspec.Struct, frozen=True):
    """Where one broker of a cluster listens and how the cluster replicates.

    ``voters`` maps each node's id to its controller port, this node's among them.
    """

    node_id: int
    port: int
    voters: dict[int, int]
    replication_factor: int = 1
    min_in_sync: int = 1


class ApacheKafka(SingleBroker):
    """A running Apache Kafka broker; made by `start`."""

    @classmethod
    def start(
        cls, folder: Path, *, lib: Path, port: int | None = None, java: str = "java"
    ) -> "ApacheKafka":
        """Starts a broker: 3 s and 430 MB. A folder that was used before keeps its records.

        Args:
            folder: made if absent; the broker's data, settings and log are there.
            lib: the folder of Kafka's jars.
            port: loopback port for clients; None for any free one.
            java: the Java program, 17 or later.

        Raises:
            EngineMissingError: no Java, too old a one, or no jars.
            EngineStartError: it did not answer in time, or ended; with its last words.
        """
        version = kafka_version_of(lib)
        require_java(java)
        folder.mkdir(parents=True, exist_ok=True)

        def attempt(ports: Sequence[int]) -> "ApacheKafka":
            plan = BrokerPlan(node_id=1, port=ports[0], voters={1: ports[1]})
            (folder / "server.properties").write_text(server_properties(plan))
            format_storage(folder, lib, java, new_cluster_id())
            child = start_broker(folder, lib, java)
            await_broker(child, ports[0])
            return cls(child, ports[0], f"{NAME} {version}")

        return start_on_ports((port, None), attempt)


def kafka_version_of(lib: Path) -> str:
    """Reads the version from the name of Kafka's jar.

    Raises:
        EngineMissingError: the folder has no such jar.
    """
    for jar in lib.glob("kafka_2.13-*.jar"):
        return jar.stem.removeprefix("kafka_2.13-")
    raise EngineMissingError(f"{lib} does not hold Apache Kafka: run `make engines`.")


def require_java(java: str) -> None:
    """Raises `EngineMissingError` unless ``java`` runs and is new enough."""
    major = java_major(java)
    if major is None:
        raise EngineMissingError(f"{NAME} needs Java {JAVA_MAJOR_MIN}, and {java} does not run.")
    if major < JAVA_MAJOR_MIN:
        raise EngineMissingError(f"{NAME} needs Java {JAVA_MAJOR_MIN}, and {java} is Java {major}.")


def server_properties(plan: BrokerPlan) -> str:
    """Writes a broker's settings: loopback only, and quick with few records and small groups."""
    voters = ",".join(f"{node}@{LOOPBACK}:{port}" for node, port in plan.voters.items())
    client_address = f"PLAINTEXT://{LOOPBACK}:{plan.port}"
    controller_address = f"CONTROLLER://{LOOPBACK}:{plan.voters[plan.node_id]}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": plan.node_id,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{client_address},{controller_address}",
        "advertised.listeners": client_address,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": DATA_FOLDER,
        "default.replication.factor": plan.replication_factor,
        "min.insync.replicas": plan.min_in_sync,
        "offsets.topic.num.partitions": 4,  # of 50: each is files to make at the first commit
        "offsets.topic.replication.factor": plan.replication_factor,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": plan.replication_factor,
        "transaction.state.log.min.isr": plan.min_in_sync,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # A broker that dies is replaced in seconds, not in the nine that are usual.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def format_storage(folder: Path, lib: Path, java: str, cluster_id: str) -> None:
    """Prepares a broker's data folder, once in its life; brokers of one cluster share its id.

    Raises:
        EngineStartError: Kafka's own tool refused.
    """
    if (folder / DATA_FOLDER / "meta.properties").exists():
        return
    machine = [java, *MACHINE_FLAGS, "-cp", f"{lib.resolve()}/*"]
    tool = [*machine, "kafka.tools.StorageTool", "format"]
    command = [*tool, "-t", cluster_id, "-c", "server.properties"]
    log_path = folder / "format.log"
    with ChildProcess.start(f"{NAME}'s format", command, log_path=log_path, cwd=folder) as child:
        if child.wait(FORMAT_SECONDS) != 0:
            raise EngineStartError(child.name, "did not succeed", child.log_tail())


def new_cluster_id() -> str:
    """Returns a random id as Kafka writes them: 22 characters, none of them a leading dash."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return re.sub("^-", "A", text)


def start_broker(folder: Path, lib: Path, java: str) -> ChildProcess:
    """Starts a broker on the settings and the formatted data in its folder."""
    machine = [java, "-Xmx512m", *MACHINE_FLAGS, *LOG_FLAGS, "-cp", f"{lib.resolve()}/*"]
    command = [*machine, "kafka.Kafka", "server.properties"]
    return ChildProcess.start(NAME, command, log_path=folder / "kafka.log", cwd=folder)


def await_broker(child: ChildProcess, port: int) -> None:
    """Waits until a broker serves on its port.

    Raises:
        EngineStartError: it did not in time, or ended; with its last words.
    """
    child.wait_until(
        lambda: "Kafka Server started" in child.output() and is_broker_on(port),
        deadline_seconds=READY_SECONDS,
    )
