"""What commands share: their settings, their flags, and the files that they write."""

import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from runtime import run_file
from runtime.settings import Settings, SettingsError, Sourced, load

__all__ = [
    "Config", "Json", "check_json", "check_writable", "client_settings", "running_settings",
    "write_file", "write_json",
]  # fmt: skip

Config = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result to this file.")]


def running_settings(config: Path | None) -> Sourced:
    """Settings of a command that talks to what runs: a stack on this machine is found by itself."""
    found = run_file.read()
    return load(config, running=found.settings if found else None)


def client_settings(config: Path | None) -> Settings:
    """The same for a command that is given identifiers, and so must hash them as streams does.

    Raises:
        SettingsError: no stack runs here, and no pepper is set.
    """
    settings = running_settings(config).settings
    if run_file.read() is None and not settings.identity_pepper:
        raise SettingsError(
            "nothing runs here that I know of: `kinbid up` starts it; to look into another "
            "installation, give its KINBID_IDENTITY_PEPPER, KINBID_REDIS_URL and "
            "KINBID_KAFKA_BOOTSTRAP"
        )
    return settings


def check_json(path: Path | None) -> None:
    """Finds out before the work whether its result can be written after it."""
    check_writable("--json", path)


def check_writable(flag: str, path: Path | None) -> None:
    """The same for a file of another flag.

    Raises:
        SettingsError: it cannot be written.
    """
    if path is not None and not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SettingsError(f"{flag} {path}: cannot be written")


def write_json(path: Path | None, value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Writes a result as JSON, where one is wanted."""
    if path is not None:
        write_file("--json", path, msgspec.json.format(msgspec.json.encode(value)) + b"\n")


def write_file(flag: str, path: Path, body: bytes) -> None:
    """Writes the file of a flag.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        path.write_bytes(body)
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot be written ({error.strerror})") from error
