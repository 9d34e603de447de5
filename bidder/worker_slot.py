"""One worker's place: its socket, its counts and its admin port outlive the processes that fill it.

At most one process is present. While a successor takes over there are two for a moment, each with
memory of its own for its counts, so that none is lost to the other; what has ended is added up.
"""

import logging
import os
import socket
import struct
import subprocess
import sys
import time
from typing import Final

from prometheus_client import CollectorRegistry

from bidder.metrics import LAYOUT, Counters, WorkerCollector, open_memory, slot
from runtime import clock
from runtime.admin import AdminServer
from runtime.settings import Settings, as_environment

__all__ = ["WorkerProcess", "WorkerSlot"]

logger = logging.getLogger(__name__)

UNWELL_MS: Final = 5_000
STALL_SECONDS: Final = 10.0
"""A loop that is silent for so long is ended: its clients get no answers, and will not."""

START_SECONDS: Final = 60.0
"""A worker that takes no connections by then hangs; one without a catalogue takes them, too."""

FIRST_REST_SECONDS: Final = 0.5
LONGEST_REST_SECONDS: Final = 30.0
"""Between a worker's end and its successor: twice as long each time, for one that cannot start."""

SOUND_SECONDS: Final = 60.0
"""A worker that lived for so long had no fault that its successor will have at once."""

LEAVE_SECONDS: Final = 15.0
"""A worker that was told to leave has this long: its grace for clients, and some."""

WORKER_MODULE: Final = "bidder.worker"
_QUEUED: Final = struct.Struct("=I")
_QUEUED_AT: Final = 24  # tcpi_unacked: of a listening socket, who waits to be accepted


class WorkerProcess:
    """One process and its counts."""

    def __init__(
        self, number: int, settings: Settings, listener: socket.socket, cause: str
    ) -> None:
        self._memory = open_memory()
        self.counters = Counters(self._memory.fileno())
        self.started_at = time.monotonic()
        self._beat, self._beat_seen_at = 0, self.started_at
        self.left_at: float | None = None
        arguments = {
            "listener": listener.fileno(), "memory": self._memory.fileno(),
            "parent": os.getpid(), "number": number, "cause": cause, "layout": LAYOUT,
        }  # fmt: skip
        flags = [part for name, v in arguments.items() for part in (f"--{name}", str(v))]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", WORKER_MODULE, *flags],
            pass_fds=(listener.fileno(), self._memory.fileno()),
            env={**os.environ, **as_environment(settings)},
            start_new_session=True,
        )
        self.pid = self._process.pid
        logger.info("worker_started", extra={"number": number, "cause": cause, "worker": self.pid})

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def is_stalled(self) -> bool:
        """Whether the loop has been silent for too long; asked now and then, or it cannot tell."""
        now, beat = time.monotonic(), self.counters.last_beat_ms
        if not self.counters.is_serving:
            return now - self.started_at > START_SECONDS
        if beat != self._beat:
            self._beat, self._beat_seen_at = beat, now
        return bool(beat) and now - self._beat_seen_at > STALL_SECONDS

    def leave(self) -> None:
        """Has it drain and end."""
        self.left_at = time.monotonic()
        self._process.terminate()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def wait(self, seconds: float) -> None:
        """Waits until it has ended; ends it if it does not."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Lets go of its memory's file."""
        self._memory.close()


class WorkerSlot:
    """One place.

    Args:
        number: of the place, from 0.
        settings: the bidder's.
        listener: the place's socket.
    """

    def __init__(self, number: int, settings: Settings, listener: socket.socket) -> None:
        self.number = number
        self.listener = listener
        self._settings = settings
        self._memory = open_memory()
        self._ended = Counters(self._memory.fileno())
        self._books = [self._ended]
        self.present: WorkerProcess | None = None
        self.successor: WorkerProcess | None = None
        self._leaving: list[WorkerProcess] = []
        self._rest_seconds = FIRST_REST_SECONDS
        self._start_at = 0.0
        self._next_cause = "start"
        registry = CollectorRegistry()
        registry.register(WorkerCollector(self._books, self._queued))
        port = settings.bidder_admin_port
        self.admin = AdminServer(
            settings.admin_host, port + number if port else 0, registry,
            healthy=self._why_unhealthy, ready=self._why_not_ready,
        )  # fmt: skip

    # -- processes -------------------------------------------------------------------------

    def start(self) -> WorkerProcess:
        """Starts the place's process."""
        self.present = self._new(self._next_cause)
        return self.present

    def start_successor(self) -> WorkerProcess:
        """Starts a process beside the present one, to take over from it."""
        self.successor = self._new("roll")
        # The present one's state is what is told until the other has taken over.
        self._books.insert(-1, self._books.pop())
        return self.successor

    def hand_over(self) -> None:
        """Has the present process leave, and the successor be the present one."""
        old, self.present, self.successor = self.present, self.successor, None
        if old is not None:
            self._books.remove(old.counters)
            self._books.insert(0, old.counters)
            old.leave()
            self._leaving.append(old)

    def give_up_successor(self) -> None:
        """Ends a successor that cannot take over; the present process stays."""
        if self.successor is not None:
            self.successor.kill()
            self._leaving.append(self.successor)
            self.successor = None

    def _new(self, cause: str) -> WorkerProcess:
        process = WorkerProcess(self.number, self._settings, self.listener, cause)
        self._ended.add(slot("bidder_worker_starts", cause))
        self._books.append(process.counters)
        return process

    @property
    def is_leaving(self) -> bool:
        """Whether a process is still draining."""
        return bool(self._leaving)

    def tend(self) -> None:
        """Replaces a process that has ended or hangs, and sees leaving ones off."""
        now = time.monotonic()
        for process in list(self._leaving):
            if process.exit_code is not None:
                self._leaving.remove(process)
                self._absorb(process)
            elif process.left_at is not None and now - process.left_at > LEAVE_SECONDS:
                process.kill()
        if self.present is None:
            if now >= self._start_at:
                self.start()
        elif self.present.exit_code is not None:
            self._replace(self.present, "crash")
        elif self.present.is_stalled:
            self.present.kill()
            self.present.wait(LEAVE_SECONDS)
            self._replace(self.present, "stall")

    def _replace(self, ended: WorkerProcess, cause: str) -> None:
        """Has a successor of a process that has ended start soon, later each time it fails."""
        logger.error(
            "worker_ended",
            extra={"number": self.number, "exit_code": ended.exit_code, "cause": cause},
        )
        now = time.monotonic()
        if now - ended.started_at >= SOUND_SECONDS:
            self._rest_seconds = FIRST_REST_SECONDS
        self._start_at = now + self._rest_seconds
        self._rest_seconds = min(2 * self._rest_seconds, LONGEST_REST_SECONDS)
        self._next_cause = cause
        self.present = None
        self._absorb(ended)

    def _absorb(self, ended: WorkerProcess) -> None:
        self._books.remove(ended.counters)
        self._ended.absorb(ended.counters)
        ended.close()

    def processes(self) -> list[WorkerProcess]:
        """All that run, or have just ended."""
        one_each = (self.present, self.successor)
        return [*self._leaving, *(process for process in one_each if process is not None)]

    def close(self) -> None:
        """Lets go of the socket, the admin port and all counts."""
        self.admin.close()
        self.listener.close()
        for process in self.processes():
            process.close()
        self._memory.close()

    # -- what is told ----------------------------------------------------------------------

    def _queued(self) -> int:
        if self.listener.fileno() < 0:
            return 0
        info = self.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUED_AT + 4)
        return int(_QUEUED.unpack_from(info, _QUEUED_AT)[0])

    def _why_unhealthy(self) -> str | None:
        present = self.present
        if present is None:
            return None
        beat_ms = present.counters.last_beat_ms
        age_ms = clock.now_ms() - beat_ms
        if beat_ms and age_ms > UNWELL_MS:
            return f"the worker's loop has been silent for {age_ms} ms"
        return None

    def _why_not_ready(self) -> str | None:
        present = self.present
        if present is not None and present.counters.is_ready:
            return None
        return "the worker is not ready, or Redis is away"
