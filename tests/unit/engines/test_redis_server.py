from pathlib import Path

import pytest

from kinbid.engines import EngineMissingError, find_redis_server
from kinbid.engines.redis_server import choose_redis, cluster_flags, redis_command


def fake_server(folder: Path, name: str, banner: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{banner}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "banner", "is_usable"),
    [
        ("redis-server", "Redis server v=6.2.14 sha=0", False),
        ("redis-server", "Redis server v=7.0.0 sha=0", True),
        ("valkey-server", "Valkey server v=7.2.5 sha=0", False),
        ("valkey-server", "Valkey server v=8.0.1 sha=0", True),
        ("redis-server", "something else", False),
    ],
)
def test_an_installed_server_serves_from_redis_7_or_valkey_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, banner: str, *, is_usable: bool
) -> None:
    path = fake_server(tmp_path, name, banner)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis_server() == (path if is_usable else None)


def test_a_preference_decides_between_two_and_the_other_place_is_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_redis(None, "installed")[1] == "embedded"
    fake_server(tmp_path, "redis-server", "Redis server v=7.2.4 sha=0")
    assert choose_redis(None, "installed")[1] == "installed"
    assert choose_redis(None, "embedded")[1] == "embedded"


def test_without_any_server_the_error_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("kinbid.engines.redis_server.find_in_wheel", lambda *parts: None)
    with pytest.raises(EngineMissingError, match=r"pip install 'kinbid\[local\]'"):
        choose_redis(None, "installed")


def test_a_named_server_is_used_or_refused_but_never_replaced(tmp_path: Path) -> None:
    path = fake_server(tmp_path, "my-redis", "Redis server v=7.4.1 sha=0")
    program, origin = choose_redis(path, "embedded")
    assert (program.path, program.version, origin) == (path, "7.4.1", str(path))
    old = fake_server(tmp_path, "old-redis", "Redis server v=6.2.14 sha=0")
    with pytest.raises(EngineMissingError, match=r"Redis 6\.2\.14, which is too old"):
        choose_redis(old, "installed")
    with pytest.raises(EngineMissingError, match="is not a Redis or Valkey server"):
        choose_redis(tmp_path / "absent", "installed")


def test_a_server_listens_on_loopback_only_and_saves_nothing(tmp_path: Path) -> None:
    command = redis_command(Path("redis-server"), tmp_path, 7000)
    flags = dict(zip(command[1::2], command[2::2], strict=True))
    assert flags["--bind"] == "127.0.0.1"
    assert (flags["--save"], flags["--appendonly"]) == ("", "no")
    assert cluster_flags(7000, 7001)[3] == "7001"
