"""A server process that we own: it never outlives us."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kinbid.engines.errors import EngineStartError

POLL_SECONDS = 0.02
TAIL_BYTES = 65_536
TETHER = Path(__file__).with_name("tether.py")


class ChildProcess:
    """A running child; made by `start`.

    As a context manager it is stopped on leaving the block.
    """

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], log_path: Path, log_offset: int
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._log_offset = log_offset

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> Self:
        """Starts a program that ends with us, even if we are killed with -9.

        On Linux the kernel sends ``death_signal`` to the child when the *thread* that called this
        ends: call it from the main thread, or from one that lives as long as the child should.
        The child's own children are not covered. On other systems the child is a plain one, ended
        by `stop` only.

        The child leads a session of its own, so Ctrl-C in a terminal reaches us alone and we
        decide the order in which children stop.

        Args:
            name: what to call it in errors, such as ``redis``.
            command: program and arguments; a bare program name is looked up on ``PATH``.
            log_path: file to which both output streams are appended; its folder is made.
            env: the whole environment; None hands on ours.
            pass_fds: descriptors that the child inherits under the same numbers.
            cwd: working directory; None hands on ours.
            death_signal: ``SIGKILL``, or ``SIGTERM`` for a child that must drain when we are gone
                and is trusted to end.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        tied = [sys.executable, "-I", "-S", str(TETHER)]
        tied += [str(os.getpid()), str(int(death_signal)), "--", *command]
        with log_path.open("ab") as log:
            offset = log.seek(0, os.SEEK_END)
            process = subprocess.Popen(  # noqa: S603 - the command is ours, and no shell reads it
                tied,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                pass_fds=pass_fds,
                cwd=cwd,
                start_new_session=True,
            )
        return cls(name, process, log_path, offset)

    @property
    def pid(self) -> int:
        """Process id; also the id of the child's session and process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Returns None while the child runs, then its exit code (minus the signal if killed)."""
        return self._process.poll()

    def wait(self, timeout_seconds: float) -> int | None:
        """Waits for the child to end by itself; returns its exit code, or None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_seconds)
        return self.poll()

    def output(self) -> str:
        """Returns what this child wrote, the last 64 KiB of it, without earlier runs' lines."""
        with self.log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_offset, end - TAIL_BYTES))
            return log.read().decode(errors="replace")

    def log_tail(self, lines: int = 20) -> str:
        """Returns the last lines that this child wrote."""
        return "\n".join(self.output().splitlines()[-lines:])

    def wait_until(self, is_ready: Callable[[], bool], *, deadline_seconds: float) -> None:
        """Polls until the child is ready; stops it if it does not get there.

        Raises:
            EngineStartError: the child ended first, or the deadline passed.
        """
        try:
            reason = self._poll_until(is_ready, deadline_seconds)
        except BaseException:
            self.stop()
            raise
        if reason is not None:
            self.stop()
            raise EngineStartError(self.name, reason, self.log_tail())

    def _poll_until(self, is_ready: Callable[[], bool], deadline_seconds: float) -> str | None:
        """Returns None once the child is ready, else why it will not be."""
        deadline = time.monotonic() + deadline_seconds
        while not is_ready():
            if (code := self.poll()) is not None:
                return f"ended with code {code} before it was ready"
            if time.monotonic() > deadline:
                return f"was not ready after {deadline_seconds:g} s"
            time.sleep(POLL_SECONDS)
        return None

    def stop(self, grace_seconds: float = 5.0) -> int:
        """Ends the child: SIGTERM, then SIGKILL to its whole process group after the grace.

        Stopping a child that has ended already does nothing.

        Returns:
            The exit code; minus the signal's number if a signal ended it.
        """
        try:
            if self.poll() is None:
                self._process.terminate()
                self.wait(grace_seconds)
        finally:
            # Also when a second Ctrl-C cuts the grace short. Not yet reaped, so the id is ours.
            if self.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
            code = self._process.wait()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
