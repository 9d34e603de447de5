import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from kinbid.engines import ChildProcess, EngineStartError
from kinbid.engines.process import TETHER

ANNOUNCE = "print('up', flush=True); import time; time.sleep(600)"


def start(folder: Path, code: str, pass_fds: Sequence[int] = ()) -> ChildProcess:
    command = [sys.executable, "-c", code]
    return ChildProcess.start("child", command, log_path=folder / "log", pass_fds=pass_fds)


def wait_for_line(child: ChildProcess, line: str = "up") -> None:
    child.wait_until(lambda: line in child.output().splitlines(), deadline_seconds=20)


def test_a_child_is_stopped_on_leaving_the_block(tmp_path: Path) -> None:
    with start(tmp_path, ANNOUNCE) as child:
        wait_for_line(child)
        assert child.poll() is None
    assert child.poll() == -signal.SIGTERM
    assert child.stop() == -signal.SIGTERM


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen(['sleep', '600']); print(inner.pid); print('up', flush=True)\n"
        "inner.wait()"
    )
    child = start(tmp_path, code)
    wait_for_line(child)
    began = time.monotonic()
    assert child.stop(grace_seconds=0.2) == -signal.SIGKILL
    assert time.monotonic() - began < 5
    inner_pid = int(child.output().splitlines()[0])
    deadline = time.monotonic() + 5
    while Path(f"/proc/{inner_pid}/stat").exists():
        if Path(f"/proc/{inner_pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_log_tail_holds_the_last_lines_of_this_run_only(tmp_path: Path) -> None:
    for run in ("first", "second"):
        child = start(tmp_path, f"for n in range(30): print('{run}', n)")
        assert child.wait(20) == 0
        assert child.log_tail(2) == f"{run} 28\n{run} 29"
        assert len(child.output().splitlines()) == 30
    assert len((tmp_path / "log").read_text().splitlines()) == 60


def test_a_child_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = start(tmp_path, "import sys; sys.exit('no such flag')")
    with pytest.raises(EngineStartError, match=r"child ended with code 1 .*\n.*no such flag"):
        child.wait_until(lambda: False, deadline_seconds=20)


def test_a_child_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    child = start(tmp_path, ANNOUNCE)
    with pytest.raises(EngineStartError, match=r"not ready after 0\.1 s"):
        child.wait_until(lambda: False, deadline_seconds=0.1)
    assert child.poll() == -signal.SIGTERM


def test_a_failing_probe_stops_the_child(tmp_path: Path) -> None:
    child = start(tmp_path, ANNOUNCE)
    with pytest.raises(ZeroDivisionError):
        child.wait_until(lambda: bool(1 / 0), deadline_seconds=1)
    assert child.poll() == -signal.SIGTERM


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    child = ChildProcess.start("child", ["kinbid-no-such"], log_path=tmp_path / "log")
    with pytest.raises(EngineStartError, match="cannot run kinbid-no-such: No such file"):
        child.wait_until(lambda: False, deadline_seconds=20)
    assert child.poll() == 127


def test_a_child_inherits_the_descriptors_it_is_given(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        child = start(tmp_path, f"import os; os.write({writer}, b'through')", pass_fds=[writer])
        assert child.wait(20) == 0
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_child_leads_its_own_session_so_that_ctrl_c_reaches_us_alone(tmp_path: Path) -> None:
    with start(tmp_path, ANNOUNCE) as child:
        wait_for_line(child)
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_child_does_not_inherit_pythons_ignored_signals(tmp_path: Path) -> None:
    child = ChildProcess.start("child", ["cat", "/proc/self/status"], log_path=tmp_path / "log")
    assert child.wait(20) == 0
    (ignored,) = (line for line in child.output().splitlines() if line.startswith("SigIgn"))
    mask = int(ignored.split()[1], 16)
    assert not mask & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of a death")
def test_the_tether_ends_at_once_if_its_parent_is_gone_already(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    not_our_parent = "1" if os.getpid() != 1 else "2"
    command = [sys.executable, "-I", "-S", str(TETHER), not_our_parent, "9", "--", "touch"]
    assert subprocess.run([*command, str(marker)], check=False).returncode == 125
    assert not marker.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of a death")
def test_a_child_may_drain_when_its_parent_is_killed(tmp_path: Path) -> None:
    inner = (
        "import signal, sys, time\n"
        f"drain = lambda *_: (open({str(tmp_path / 'drained')!r}, 'w').close(), sys.exit())\n"
        "signal.signal(signal.SIGTERM, drain); print('up', flush=True); time.sleep(600)"
    )
    outer = (
        "import os, pathlib, signal, sys; from kinbid.engines import ChildProcess\n"
        f"child = ChildProcess.start('inner', [sys.executable, '-c', {inner!r}],"
        f" log_path=pathlib.Path({str(tmp_path / 'inner.log')!r}), death_signal=signal.SIGTERM)\n"
        "child.wait_until(lambda: 'up' in child.output(), deadline_seconds=20)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", outer], check=False, cwd=TETHER.parents[2])
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while not (tmp_path / "drained").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
