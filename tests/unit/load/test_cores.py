"""Cores: a process is kept where it should be, with all its threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load.cores import Cores, pin, resident_bytes

THREADS = (
    "import threading, time; "
    "[threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(3)]; "
    "print(1, flush=True); time.sleep(60)"
)


def test_servers_and_generators_share_no_core_where_there_are_several() -> None:
    cores = Cores.of_this_machine()
    usable = os.sched_getaffinity(0)
    assert {*cores.server, *cores.generator} == usable
    assert cores.are_apart == (len(usable) > 1)


def test_all_threads_of_a_process_are_pinned_and_its_memory_is_told() -> None:
    with subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (core, *_) = Cores.of_this_machine().server
        pin([process.pid], [core])
        tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
        assert len(tasks) == 4
        assert {frozenset(os.sched_getaffinity(int(one.name))) for one in tasks} == {
            frozenset({core})
        }
        assert 4e6 < resident_bytes(process.pid) < 100e6
        process.kill()


def test_a_process_that_has_ended_cannot_be_pinned() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with pytest.raises((ProcessLookupError, FileNotFoundError)):
            pin([process.pid], [0])
