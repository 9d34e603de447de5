"""CPU time as the operating system accounts it, for processes that are not ours to instrument."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["cpu_micros", "cpu_ticks"]

PROC: Final = Path("/proc")
NS_PER_MICRO: Final = 1000


def cpu_micros(pids: Iterable[int], proc: Path = PROC) -> float:
    """CPU that the processes have used so far, all threads that still run, in microseconds.

    Args:
        pids: process ids.
        proc: where the kernel shows its accounting.

    Raises:
        FileNotFoundError: a process has ended.

    Source: Documentation/scheduler/sched-stats.rst: the first number of ``schedstat`` is the time
    spent on the CPU, in nanoseconds.
    """
    total_ns = 0
    for pid in pids:
        for task in (proc / str(pid) / "task").iterdir():
            # A thread may end while we look. The worker has one for each scrape of its metrics, so
            # what our looking costs it is not counted.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total_ns += int((task / "schedstat").read_text().partition(" ")[0])
    return total_ns / NS_PER_MICRO


def cpu_ticks(pids: Iterable[int], proc: Path = PROC) -> tuple[int, int]:
    """CPU in the processes' own code and in the kernel for them, in clock ticks, since they began.

    The kernel looks which of the two it is at each tick of its clock, so only the ratio over some
    seconds means anything; how much it is altogether :func:`cpu_micros` knows better.

    Args:
        pids: process ids.
        proc: where the kernel shows its accounting.

    Raises:
        FileNotFoundError: a process has ended.

    Source: proc_pid_stat(5): ``utime`` and ``stime``, the 14th and 15th field.
    """
    own = kernel = 0
    for pid in pids:
        stat = (proc / str(pid) / "stat").read_text()
        fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
        own, kernel = own + int(fields[11]), kernel + int(fields[12])
    return own, kernel
