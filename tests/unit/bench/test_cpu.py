import os
import threading
from pathlib import Path

import pytest

from benchmarks.bench.cpu import cpu_micros, cpu_ticks


def task(proc: Path, pid: int, thread: int, ns: int) -> Path:
    folder = proc / str(pid) / "task" / str(thread)
    folder.mkdir(parents=True)
    (folder / "schedstat").write_text(f"{ns} 17 3\n")
    return folder


def test_all_threads_of_all_processes_add_up(tmp_path: Path) -> None:
    task(tmp_path, 1, 1, 5_000)
    task(tmp_path, 1, 2, 2_500)
    task(tmp_path, 9, 9, 1_000)
    assert cpu_micros([1], tmp_path) == 7.5
    assert cpu_micros([1, 9], tmp_path) == 8.5
    assert cpu_micros([], tmp_path) == 0


def test_a_thread_that_ended_is_passed_over_and_a_process_is_not(tmp_path: Path) -> None:
    task(tmp_path, 1, 1, 5_000)
    (task(tmp_path, 1, 2, 2_500) / "schedstat").unlink()
    assert cpu_micros([1], tmp_path) == 5
    with pytest.raises(FileNotFoundError):
        cpu_micros([2], tmp_path)


def test_the_kernel_counts_work_in_another_thread_of_ours() -> None:
    before = cpu_micros([os.getpid()])
    grown: list[float] = []

    def work() -> None:
        sum(range(3_000_000))
        grown.append(cpu_micros([os.getpid()]) - before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert grown[0] > 1_000


def test_own_code_and_kernel_are_told_apart_whatever_a_process_is_called(tmp_path: Path) -> None:
    for pid, name in ((1, "redis-server"), (2, "a) R 7 (b")):
        folder = tmp_path / str(pid)
        folder.mkdir()
        fields = ["S", *map(str, range(4, 14)), "50", "7", *map(str, range(16, 53))]
        (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    assert cpu_ticks([1], tmp_path) == (50, 7)
    assert cpu_ticks([1, 2], tmp_path) == (100, 14)
    with pytest.raises(FileNotFoundError):
        cpu_ticks([3], tmp_path)


def test_reading_nothing_over_and_over_is_the_kernels_work() -> None:
    own, kernel = cpu_ticks([os.getpid()])
    with Path("/dev/zero").open("rb", buffering=0) as zero:
        while sum(cpu_ticks([os.getpid()])) - own - kernel < 30:
            for _ in range(5):
                zero.read(4_000_000)
    own_after, kernel_after = cpu_ticks([os.getpid()])
    # Ticks are counted for whoever runs when the clock strikes: not exact among neighbours.
    assert 2 * (kernel_after - kernel) > own_after - own
