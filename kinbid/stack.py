"""Everything on one machine: engines, streams and bidders as processes of our own.

All of them end with us, however we end. Engines that are named run elsewhere and are left alone.
"""

import os
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from kinbid.engines import (
    ChildProcess,
    EmbeddedKafka,
    RedisEngine,
    ensure_port_is_free,
    free_port,
)
from models.errors import KinbidError
from runtime import run_file
from runtime.settings import Settings, as_environment

__all__ = ["STOP_SECONDS", "Options", "Stack", "StackError", "start_part"]

READY_SECONDS: Final = 90.0
STOP_SECONDS: Final = 12.0
DEMO_WORKERS: Final = 2
"""Fewer would not show that caps and settings hold across processes."""
FOLDER_PREFIX: Final = "kinbid-stack-"


class StackError(KinbidError):
    """A part of the stack did not start, or ended; the text has its last words."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What can be chosen about a stack.

    Attributes:
        kafka: HOST:PORT of a Kafka that runs elsewhere; None starts an embedded one.
        redis: URL of a Redis that runs elsewhere; None starts one.
        bidder_port: where exchanges connect; 0 picks a free port.
        commands: other commands for the parts, for tests: role to command line.
    """

    kafka: str | None = None
    redis: str | None = None
    bidder_port: int = 0
    commands: Mapping[str, Sequence[str]] = {}


class Stack:
    """A running stack; made by :meth:`start`, ended by :meth:`stop`.

    Attributes:
        settings: those that all parts run with.
        engines: what the engines are, for people.
        addresses: what ``kinbid up --json`` writes.
    """

    def __init__(self, options: Options, base: Settings) -> None:
        self._options = options
        self._cleanup = ExitStack()
        _remove_orphans()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.engines: dict[str, str] = {}
        self.engine_pids: dict[str, list[int]] = {}
        self.settings = base
        self._engines: dict[str, EmbeddedKafka | RedisEngine] = {}
        self._parts: dict[str, ChildProcess] = {}
        self._ready: dict[str, dict[str, Any]] = {}

    @classmethod
    def start_engines(cls, options: Options, base: Settings) -> Self:
        """Starts the engines only; the parts follow with :meth:`start_parts`.

        Args:
            options: what was chosen.
            base: settings from file and environment.

        Raises:
            KinbidError: a port is busy, or an engine is missing or does not start.
        """
        stack = cls(options, base)
        try:
            stack._start_engines()
        except BaseException:
            stack.stop()
            raise
        return stack

    def _start_engines(self) -> None:
        options = self._options
        host = self.settings.bidder_host
        port = options.bidder_port or free_port()
        ensure_port_is_free(host, port, flag="--bidder-port")
        kafka, idempotence = options.kafka, self.settings.kafka_idempotence
        if kafka is None:
            broker = self._cleanup.enter_context(EmbeddedKafka.start(self.folder / "kafka"))
            kafka, idempotence = broker.bootstrap, broker.supports_idempotence
            self.engines["kafka"] = broker.description
            self.engine_pids["kafka"] = list(broker.pids)
            self._engines["kafka"] = broker
        else:
            self.engines["kafka"] = f"named: {kafka}"
        redis = options.redis
        if redis is None:
            server = self._cleanup.enter_context(RedisEngine.start(self.folder / "redis"))
            redis = server.url
            self.engines["redis"] = server.description
            self.engine_pids["redis"] = list(server.pids)
            self._engines["redis"] = server
        else:
            self.engines["redis"] = "named"
        self.settings = msgspec.structs.replace(
            self.settings,
            kafka_bootstrap=kafka,
            kafka_idempotence=idempotence,
            redis_url=redis,
            bidder_port=port,
            bidder_workers=max(DEMO_WORKERS, self.settings.bidder_workers),
            public_url=f"http://{host}:{port}",
            streams_admin_port=0,
            bidder_admin_port=0,
            identity_pepper=self.settings.identity_pepper or secrets.token_urlsafe(24),
            notice_secret=self.settings.notice_secret or secrets.token_urlsafe(24),
            spool_directory=self.settings.spool_directory or str(self.folder / "spool"),
        )

    def start_parts(self) -> None:
        """Starts streams and bidder, waits until both are ready, writes the run file.

        Raises:
            StackError: a part ended or was not ready in time.
        """
        for role in ("streams", "bidder"):
            self._start_part(role)
        run_file.write(self.settings)
        self._cleanup.callback(run_file.remove)

    def _start_part(self, role: str) -> None:
        self._parts[role], self._ready[role] = start_part(
            role, self.settings, self.folder, log_path=self.log_path(role),
            command=self._options.commands.get(role),
        )  # fmt: skip

    def restart_part(self, role: str, sent: signal.Signals = signal.SIGKILL) -> None:
        """Ends a part with a signal, unless it has ended, and starts it anew."""
        if self._parts[role].poll() is None:
            self.stop_part(role, sent)
        self._start_part(role)

    def stop_part(self, role: str, sent: signal.Signals = signal.SIGTERM) -> None:
        """Ends a part with a signal and waits until it is gone."""
        os.kill(self._parts[role].pid, sent)
        self._parts[role].wait(STOP_SECONDS)

    def log_path(self, role: str) -> Path:
        """Where a part's log lines go."""
        return self.folder / f"{role}.log"

    def ended_part(self) -> str | None:
        """The first part or engine that is not running any more, with its last words."""
        for name, engine in self._engines.items():
            if not engine.is_running:
                return f"{name} has ended:\n{engine.log_tail()}"
        for role, part in self._parts.items():
            if part.poll() is not None:
                return f"{role} ended with exit code {part.poll()}:\n{part.log_tail()}"
        return None

    @property
    def addresses(self) -> dict[str, Any]:
        """Where everything listens, and which processes it is."""
        bidder, streams = self._ready["bidder"], self._ready["streams"]
        return {
            "bidder": bidder["bidder"],
            "metrics": {"bidder": bidder["metrics"], "streams": [streams["metrics"]]},
            "kafka": self.settings.kafka_bootstrap,
            "redis": self.settings.redis_url,
            "pids": {
                "bidder": bidder["pids"],
                "bidder-supervisor": [self._parts["bidder"].pid],
                "streams": [self._parts["streams"].pid],
                **self.engine_pids,
            },
        }

    def stop(self) -> None:
        """Ends everything that this stack started: bidder first, engines last."""
        for role in ("bidder", "streams"):
            part = self._parts.pop(role, None)
            if part is not None:
                part.stop(STOP_SECONDS)
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start_part(
    role: str,
    settings: Settings,
    folder: Path,
    *,
    log_path: Path,
    command: Sequence[str] | None = None,
) -> tuple[ChildProcess, dict[str, Any]]:
    """Starts ``kinbid ROLE`` and waits until it is ready.

    Args:
        role: ``streams`` or ``bidder``.
        settings: what the process runs with.
        folder: what it leaves behind goes there.
        log_path: its log.
        command: another command line; None takes this installation's.

    Returns:
        The process, and what it told when it was ready.

    Raises:
        StackError: it ended or was not ready in time.
    """
    reading, writing = os.pipe()
    part = ChildProcess.start(
        role,
        [*(command or (sys.executable, "-m", "kinbid", role)), "--ready-fd", str(writing)],
        log_path=log_path,
        env={**os.environ, **as_environment(settings), "TMPDIR": str(folder)},
        pass_fds=(writing,),
        death_signal=signal.SIGKILL,
    )
    os.close(writing)
    try:
        return part, _await_ready(role, part, reading)
    except BaseException:
        part.stop(STOP_SECONDS)
        raise
    finally:
        os.close(reading)


def _remove_orphans() -> None:
    """Removes the folders of stacks whose supervisor was killed before it could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if pid.isdigit() and not run_file.is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _await_ready(role: str, part: ChildProcess, reading: int) -> dict[str, Any]:
    """Reads the one line that a part writes when it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    received = b""
    while not received.endswith(b"\n"):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise StackError(f"{role} was not ready in {READY_SECONDS:.0f} s:\n{part.log_tail()}")
        if not select.select([reading], [], [], min(remaining, 1.0))[0]:
            continue
        chunk = os.read(reading, 65_536)
        if not chunk:
            part.wait(STOP_SECONDS)
            raise StackError(f"{role} did not start:\n{part.log_tail()}")
        received += chunk
    ready: dict[str, Any] = msgspec.json.decode(received)
    return ready
