"""Which processes run on which cores: servers on the first, whoever loads them on the others."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

__all__ = ["Cores", "pin", "resident_bytes"]

PROC: Final = Path("/proc")


class Cores(msgspec.Struct, frozen=True):
    """Cores of the servers and of the generators; the same ones where there is only one."""

    server: tuple[int, ...]
    generator: tuple[int, ...]

    @property
    def are_apart(self) -> bool:
        """Whether the generators take nothing from the servers."""
        return not set(self.server) & set(self.generator)

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The first core that we may use for the servers, the others for the generators."""
        first, *others = sorted(os.sched_getaffinity(0))
        return cls((first,), tuple(others) or (first,))


def pin(pids: Iterable[int], cores: Iterable[int]) -> None:
    """Keeps processes, with all threads that they have now, on some cores.

    Raises:
        ProcessLookupError: a process has ended.
    """
    wanted = set(cores)
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            os.sched_setaffinity(int(task.name), wanted)


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM, its shared pages included.

    Source: proc_pid_status(5): ``VmRSS``, in kB.
    """
    status = (PROC / str(pid) / "status").read_text()
    (line,) = [one for one in status.splitlines() if one.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
