"""The Dockerfile copies what exists and what is installed, and the image does not run as root."""

import fnmatch
import re
import tomllib

from tests.unit.deploy.compose_file import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source.rstrip("/") for line in lines for source in line.split()[:-1]]


def allowed() -> set[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return {line[1:] for line in lines if line.startswith("!")}


def test_what_is_copied_is_exactly_what_dockerignore_lets_in() -> None:
    assert set(copied()) == allowed()
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_every_package_that_is_installed_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {
        path.parent.name
        for path in ROOT.glob("*/__init__.py")
        if any(fnmatch.fnmatch(path.parent.name, pattern) for pattern in patterns)
    }
    assert packages <= set(copied())


def test_the_image_is_slim_and_runs_as_nobody_in_particular() -> None:
    assert LAST_STAGE.startswith("\nFROM python:3.12-slim")
    user = re.search(r"^USER (\d+)$", LAST_STAGE, re.MULTILINE)
    assert user is not None
    assert int(user[1]) > 0
    assert f"--uid {user[1]} " in LAST_STAGE


def test_nothing_is_installed_in_the_last_stage() -> None:
    assert not re.search(r"\b(pip|uv|apt-get)\b", LAST_STAGE)


def test_every_installation_checks_hashes_or_needs_no_network() -> None:
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    commands = re.findall(r"\b(?:pip|uv pip) (?:install|wheel) [^&\n]+", joined)
    assert len(commands) >= 4
    for command in commands:
        assert "--require-hashes" in command or "--no-index" in command, command


def test_the_tools_that_are_picked_from_the_lock_are_in_it() -> None:
    picked = re.search(r"\^\((.+?)\)==", DOCKERFILE)
    assert picked is not None
    lock = (ROOT / "requirements.lock").read_text()
    for name in picked[1].split("|"):
        assert re.search(rf"^{name}==", lock, re.MULTILINE)
