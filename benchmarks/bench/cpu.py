"""CPU time as the operating system accounts it, for processes that are not ours to instrument."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["cpu_micros"]

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
