"""A Redis Cluster of our own: masters with one replica each, in memory and on loopback."""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kinbid.engines.errors import EngineError, EngineStartError
from kinbid.engines.ports import LOOPBACK
from kinbid.engines.redis_console import RedisConsole
from kinbid.engines.redis_server import RedisEngine

SLOTS: Final = 16_384
READY_SECONDS: Final = 60.0  # 3 s on an idle machine
SETTLE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
KEYS_AT_ONCE: Final = 100
MIGRATE_MS: Final = 5_000
# Long enough that a loaded machine is not taken for a dead one: writes would be lost by that.
NODE_TIMEOUT_MS: Final = 5_000


class RedisCluster:
    """A running cluster; made by `start`.

    Attributes:
        nodes: the servers, masters first as they were at the start.
    """

    def __init__(self, folder: Path, nodes: list[RedisEngine]) -> None:
        self._folder = folder
        self.nodes = nodes

    @classmethod
    def start(cls, folder: Path, *, masters: int = 3) -> "RedisCluster":
        """Starts twice as many servers as ``masters`` and joins them.

        Args:
            folder: made if absent; each server has a folder of its own in it.
            masters: how many share the slots; each gets a replica.

        Raises:
            EngineMissingError: no Redis, or too old a one.
            EngineStartError: a server did not start, or they did not join in time.
        """
        cluster = cls(folder, [])
        try:
            for number in range(2 * masters):
                cluster.nodes.append(_start_node(folder / f"node-{number}"))
            _join(cluster.nodes, masters)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    @property
    def url(self) -> str:
        """Where clients connect: every node, of which one that answers is enough."""
        return "redis+cluster://" + ",".join(f"{LOOPBACK}:{node.port}" for node in self.nodes)

    @property
    def description(self) -> str:
        """Name, version and origin for people, and how many servers it is."""
        return f"{self.nodes[0].description}, {len(self.nodes)} nodes"

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of everything that `stop` ends."""
        return tuple(node.pid for node in self.nodes)

    @property
    def is_running(self) -> bool:
        """Whether no server has ended."""
        return all(node.is_running for node in self.nodes)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the servers which have ended wrote."""
        return "\n".join(node.log_tail(lines) for node in self.nodes if not node.is_running)

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Ends every server and waits until it is gone."""
        for node in self.nodes:
            node.stop(grace_seconds)

    # -- what an administrator does ----------------------------------------------------------

    def masters(self) -> list[RedisEngine]:
        """The servers that own slots now, in the order of `nodes`."""
        return [node for node in self.nodes if node.is_running and _role(node) == "master"]

    def slots_of(self, master: RedisEngine) -> set[int]:
        """The slots that a master owns."""
        with RedisConsole(master.port) as console:
            ranges = console.ask("CLUSTER", "SLOTS")
        return {
            slot
            for first, last, (_, port, *_), *_ in ranges
            if port == master.port
            for slot in range(first, last + 1)
        }

    def replica_of(self, master: RedisEngine) -> RedisEngine:
        """The replica of a master.

        Raises:
            EngineError: it has none that runs.
        """
        for node in self.nodes:
            if not node.is_running:
                continue
            with RedisConsole(node.port) as console:
                state = console.info("INFO", "replication")
            if state["role"] == "slave" and state["master_port"] == str(master.port):
                return node
        raise EngineError(f"The master on port {master.port} has no replica.")

    def move_slots(self, slots: Iterable[int], source: RedisEngine, target: RedisEngine) -> int:
        """Moves slots from one master to another, one by one, under whatever load there is.

        Returns:
            How many keys moved with them.

        Raises:
            EngineError: a server refused a step.

        Source: the Redis Cluster specification, "Live reconfiguration".
        """
        moved = 0
        with contextlib.ExitStack() as stack:
            open_console = [stack.enter_context(RedisConsole(n.port)) for n in self.masters()]
            consoles = {console.port: console for console in open_console}
            giver, taker = consoles[source.port], consoles[target.port]
            giver_id, taker_id = _id_of(giver), _id_of(taker)
            for slot in slots:
                taker.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
                giver.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
                moved += _move_keys(giver, slot, target.port)
                # The new owner first: who asks the old one is sent to where the slot is served.
                for console in (taker, giver, *consoles.values()):
                    console.ask("CLUSTER", "SETSLOT", slot, "NODE", taker_id)
        return moved

    def fail_over(self, master: RedisEngine) -> RedisEngine:
        """Has a master's replica take over without losing a write; returns it.

        Raises:
            EngineError: it has no replica, or that did not take over in time.
        """
        replica = self.replica_of(master)
        with RedisConsole(replica.port) as console:
            console.ask("CLUSTER", "FAILOVER")
        _wait_until(
            lambda: _role(replica) == "master" and _role(master) == "slave",
            "the failover did not happen",
            SETTLE_SECONDS,
        )
        return replica

    def kill(self, node: RedisEngine) -> None:
        """Ends a server with -9."""
        os.kill(node.pid, signal.SIGKILL)
        node.stop()

    def restart(self, node: RedisEngine) -> RedisEngine:
        """Starts a server again that has ended, on its port; waits until the cluster is whole.

        Raises:
            EngineStartError: it did not start, or did not join in time.
        """
        place = self.nodes.index(node)
        self.nodes[place] = _start_node(node.child.log_path.parent, port=node.port)
        _await_whole(self.nodes)
        return self.nodes[place]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def slot_ranges(masters: int) -> list[tuple[int, int]]:
    """The first and the last slot of each master: all slots, evenly."""
    bounds = [SLOTS * number // masters for number in range(masters + 1)]
    return [(first, past - 1) for first, past in itertools.pairwise(bounds)]


def _start_node(folder: Path, *, port: int | None = None) -> RedisEngine:
    return RedisEngine.start(
        folder, port=port, cluster_enabled=True,
        extra_flags=(
            *("--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--cluster-allow-replica-migration", "no"),
            *("--repl-diskless-sync-delay", "0"),
            # A replica is not told of before it has heard from its master, ten seconds by default.
            *("--repl-ping-replica-period", "1"),
        ),
    )  # fmt: skip


def _join(nodes: list[RedisEngine], masters: int) -> None:
    """Makes one cluster of empty servers: slots, acquaintance, then replicas."""
    with contextlib.ExitStack() as stack:
        consoles = [stack.enter_context(RedisConsole(node.port)) for node in nodes]
        for number, (first, last) in enumerate(slot_ranges(masters)):
            consoles[number].ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            consoles[number].ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for console in consoles[1:]:
            _, bus_port = console.ask("CONFIG", "GET", "cluster-port")
            consoles[0].ask("CLUSTER", "MEET", LOOPBACK, console.port, bus_port)
        _wait_until(
            lambda: all(
                console.info("CLUSTER", "INFO")["cluster_known_nodes"] == str(len(nodes))
                for console in consoles
            ),
            "the nodes did not meet",
            READY_SECONDS,
        )
        ids = [_id_of(console) for console in consoles[:masters]]
        for console, master_id in zip(consoles[masters:], ids, strict=True):
            _wait_until(
                lambda console=console, wanted=master_id: wanted in console.ask("CLUSTER", "NODES"),  # type: ignore[misc]
                "a replica did not hear of its master",
                READY_SECONDS,
            )
            console.ask("CLUSTER", "REPLICATE", master_id)
    _await_whole(nodes)


def _await_whole(nodes: list[RedisEngine]) -> None:
    """Waits until all nodes agree that all slots are served, and each replica has its data."""
    with contextlib.ExitStack() as stack:
        consoles = [stack.enter_context(RedisConsole(node.port)) for node in nodes]
        _wait_until(
            lambda: all(_is_whole(console, len(nodes)) for console in consoles),
            "the cluster did not become whole",
            READY_SECONDS,
        )


def _is_whole(console: RedisConsole, node_count: int) -> bool:
    state = console.info("CLUSTER", "INFO")
    if state["cluster_state"] != "ok" or state["cluster_slots_ok"] != str(SLOTS):
        return False
    if sum(len(shard) - 2 for shard in _shards(console)) < node_count:
        return False
    link = console.info("INFO", "replication")
    return link["role"] == "master" or link["master_link_status"] == "up"


def _shards(console: RedisConsole) -> list[list[object]]:
    """CLUSTER SLOTS, one entry for each master: first, last, master, replicas."""
    ranges: list[list[object]] = console.ask("CLUSTER", "SLOTS")
    return list({str(entry[2]): entry for entry in ranges}.values())


def _role(node: RedisEngine) -> str:
    with RedisConsole(node.port) as console:
        return console.info("INFO", "replication")["role"]


def _id_of(console: RedisConsole) -> bytes:
    node_id: bytes = console.ask("CLUSTER", "MYID")
    return node_id


def _move_keys(giver: RedisConsole, slot: int, target_port: int) -> int:
    moved = 0
    while keys := giver.ask("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
        giver.ask("MIGRATE", LOOPBACK, target_port, "", 0, MIGRATE_MS, "KEYS", *keys)
        moved += len(keys)
    return moved


def _wait_until(is_true: Callable[[], bool], failure: str, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise EngineStartError("the Redis Cluster", f"is not ready: {failure}", "")
        time.sleep(POLL_SECONDS)
