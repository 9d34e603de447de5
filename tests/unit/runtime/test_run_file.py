"""The run file: found while its stack lives, read by its user only."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from runtime import run_file
from runtime.settings import Settings, load


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    target = tmp_path / "state" / "run.json"
    monkeypatch.setenv("KINBID_RUN_FILE", str(target))
    return target


def test_what_is_written_is_found_and_removed(path: Path) -> None:
    settings = Settings(seat="running", notice_secret="a secret of mine")
    run_file.write(settings)
    found = run_file.read()
    assert found is not None
    assert found.pid == os.getpid()
    assert load(None, {}, running=found.settings).settings == settings
    run_file.remove()
    assert run_file.read() is None
    assert not path.exists()
    run_file.remove()


def test_only_its_user_can_read_it_whatever_the_umask_says(path: Path) -> None:
    before = os.umask(0)
    try:
        run_file.write(Settings())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path], "no draft stays behind"


def test_a_stack_that_is_gone_is_not_found_and_its_file_is_not_ours_to_remove(path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"pid": ended.pid, "settings": {}}))
    assert run_file.read() is None
    run_file.remove()
    assert path.exists()


def test_another_living_stacks_file_is_found_and_not_removed(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode({"pid": os.getppid(), "settings": {"seat": "x"}}))
    found = run_file.read()
    assert found is not None
    assert found.settings == {"seat": "x"}
    run_file.remove()
    assert path.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid":"x","settings":{}}', b"\xff"])
def test_a_broken_file_is_no_stack(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert run_file.read() is None


def test_without_a_named_place_it_lies_in_the_users_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KINBID_RUN_FILE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run_file.path() == tmp_path / "kinbid" / "run.json"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert run_file.path() == Path.home() / ".local" / "state" / "kinbid" / "run.json"
