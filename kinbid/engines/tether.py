"""Becomes another program that ends when the process that started it ends, by whatever cause.

Run by file, isolated and without site packages, so that it costs about 15 ms of start time:
``python -I -S tether.py PARENT_PID SIGNAL -- command...``. The kernel's parent-death signal is set
here, between fork and exec, because the parent cannot do it safely itself: a ``preexec_fn`` runs
Python code in the fork of a process that may hold locks in other threads.

This file imports the standard library only and nothing of kinbid.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_ORPHANED = 125
EXIT_NOT_EXECUTABLE = 127  # what a shell says


def tie_to_parent(parent_pid: int, death_signal: int) -> None:
    """Asks the kernel for ``death_signal`` when the parent ends; ends at once if it has already.

    The check comes after the request: a parent that ends in between is caught by one of the two.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent_pid:
        os._exit(EXIT_ORPHANED)


def main(arguments: list[str]) -> None:
    """Ties this process to its parent where the system can, then becomes the command."""
    parent_pid, death_signal, _, *command = arguments
    if sys.platform.startswith("linux"):
        tie_to_parent(int(parent_pid), int(death_signal))
    # Python ignores these two at start, and an ignored signal stays ignored across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_NOT_EXECUTABLE)


if __name__ == "__main__":
    main(sys.argv[1:])
