"""The bidder's supervisor: one port, several workers, an admin port for each.

It probes the port alone first, since a second SO_REUSEPORT bind would succeed silently, then owns
one listening socket a worker. A worker that ends unasked is replaced by a successor on the same
socket, so connections that wait in its queue are served and not reset.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Final

from prometheus_client import CollectorRegistry

from bidder.metrics import Counters, WorkerCollector, open_memory
from models.errors import KinbidError
from runtime import clock, logs
from runtime.admin import AdminServer
from runtime.settings import Settings, as_environment

__all__ = ["PortBusyError", "run"]

logger = logging.getLogger(__name__)

BACKLOG: Final = 1024
POLL_SECONDS: Final = 0.05
STALL_MS: Final = 5_000
STOP_SECONDS: Final = 10.0
READY_SECONDS: Final = 60.0
WORKER_MODULE: Final = "bidder.worker"
RESTART_SECONDS: Final = 0.5
"""Between a worker's end and its successor, so that one that cannot start does not spin."""


class PortBusyError(KinbidError):
    """Somebody else listens on the bidder's port."""


class _Worker:
    """One slot: its socket and its counts outlive the processes that use them."""

    def __init__(self, number: int, settings: Settings, listener: socket.socket) -> None:
        self.number = number
        self.listener = listener
        self._settings = settings
        self._memory: IO[bytes] = open_memory()
        self.counters = Counters(self._memory.fileno())
        self.process: subprocess.Popen[bytes] | None = None
        self.ended_at = 0.0
        registry = CollectorRegistry()
        registry.register(WorkerCollector(self.counters))
        port = settings.bidder_admin_port
        self.admin = AdminServer(
            settings.admin_host, port + number if port else 0, registry,
            healthy=self._why_unhealthy, ready=self._why_not_ready,
        )  # fmt: skip

    def start(self) -> None:
        """Starts a process for this slot."""
        self.counters.reset()
        descriptors = (self.listener.fileno(), self._memory.fileno())
        arguments = {
            "listener": descriptors[0], "memory": descriptors[1],
            "parent": os.getpid(), "number": self.number,
        }  # fmt: skip
        flags = [part for name, v in arguments.items() for part in (f"--{name}", str(v))]
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", WORKER_MODULE, *flags],
            pass_fds=descriptors,
            env={**os.environ, **as_environment(self._settings)},
            start_new_session=True,
        )

    def _why_unhealthy(self) -> str | None:
        age_ms = clock.now_ms() - self.counters.last_beat_ms
        if self.counters.last_beat_ms and age_ms > STALL_MS:
            return f"the worker's loop has been silent for {age_ms} ms"
        return None

    def _why_not_ready(self) -> str | None:
        return None if self.counters.is_ready else "the worker is not ready, or Redis is away"


def run(settings: Settings, on_ready: Callable[[dict[str, Any]], None]) -> None:
    """Runs the workers until SIGTERM or SIGINT, then lets them drain.

    Args:
        settings: host, port, number of workers.
        on_ready: called once with the addresses and process ids when all workers are ready.

    Raises:
        PortBusyError: the port is taken.
        KinbidError: a worker did not become ready.
    """
    logs.configure("bidder", settings.log_level)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    listeners = _listen(settings)
    workers = [_Worker(n, settings, listener) for n, listener in enumerate(listeners)]
    try:
        for worker in workers:
            worker.start()
        if _wait_until_ready(workers, stopping):
            host, port = listeners[0].getsockname()[:2]
            on_ready(
                {
                    "bidder": f"http://{host}:{port}",
                    "metrics": [worker.admin.url for worker in workers],
                    "pids": [worker.process.pid for worker in workers if worker.process],
                }
            )
            _watch(workers, stopping)
    finally:
        _stop(workers)


def _listen(settings: Settings) -> list[socket.socket]:
    """One listening socket a worker, all on one port; port 0 picks a free one."""
    host, port = settings.bidder_host, settings.bidder_port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            raise PortBusyError(
                f"the bidder cannot listen on {host}:{port} ({error.strerror}); "
                "another program may be there: choose another with --bidder-port"
            ) from error
        port = probe.getsockname()[1]
    listeners: list[socket.socket] = []
    for _ in range(settings.bidder_workers):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.settimeout(0)
        listeners.append(listener)
    return listeners


def _wait_until_ready(workers: list[_Worker], stopping: threading.Event) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while not all(worker.counters.is_ready for worker in workers):
        if stopping.wait(POLL_SECONDS):
            return False
        for worker in workers:
            if worker.process is not None and worker.process.poll() is not None:
                raise KinbidError(f"bidder worker {worker.number} ended before it was ready")
        if time.monotonic() > deadline:
            raise KinbidError(f"no bidder worker became ready within {READY_SECONDS:.0f} s")
    return True


def _watch(workers: list[_Worker], stopping: threading.Event) -> None:
    while not stopping.wait(POLL_SECONDS):
        for worker in workers:
            process = worker.process
            if process is None:
                if time.monotonic() - worker.ended_at >= RESTART_SECONDS:
                    worker.start()
            elif process.poll() is not None:
                logger.error(
                    "worker_ended",
                    extra={"number": worker.number, "exit_code": process.returncode},
                )
                worker.counters.reset()
                worker.process, worker.ended_at = None, time.monotonic()


def _stop(workers: list[_Worker]) -> None:
    running = [worker.process for worker in workers if worker.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for worker in workers:
        worker.admin.close()
        worker.listener.close()
