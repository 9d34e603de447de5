"""The run file: a stack on this machine tells the other commands where it listens.

It holds the stack's secrets, so only its user can read it. One stack per user is found this way;
``KINBID_RUN_FILE`` names another place.
"""

import contextlib
import os
from pathlib import Path
from typing import Any

import msgspec

from runtime.settings import Settings, SettingsError

__all__ = ["RunFile", "is_alive", "path", "read", "remove", "write"]


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """What ``kinbid up`` and ``kinbid demo`` write when everything is ready.

    Attributes:
        pid: the stack's supervisor.
        settings: those that its processes run with.
    """

    pid: int
    settings: dict[str, Any]


def path() -> Path:
    """Where the run file is."""
    named = os.environ.get("KINBID_RUN_FILE")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "kinbid" / "run.json"


def write(settings: Settings) -> None:
    """Writes the run file of this process.

    Raises:
        SettingsError: it cannot be written there.
    """
    target = path()
    body = msgspec.json.encode(RunFile(pid=os.getpid(), settings=msgspec.structs.asdict(settings)))
    draft = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.touch(mode=0o600)
        draft.write_bytes(body)
        draft.replace(target)
    except OSError as error:
        raise SettingsError(
            f"the run file {target} cannot be written ({error.strerror}); "
            "KINBID_RUN_FILE names another place"
        ) from error


def read() -> RunFile | None:
    """The run file of a stack that is alive, else None."""
    try:
        found = msgspec.json.decode(path().read_bytes(), type=RunFile)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if is_alive(found.pid) else None


def remove() -> None:
    """Removes the run file if it is this process's own."""
    found = read()
    if found is not None and found.pid == os.getpid():
        with contextlib.suppress(FileNotFoundError):
            path().unlink()


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
