"""Where a result comes from: what a reader needs to repeat the run."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["provenance"]

LIBRARIES: Final = (
    "aiokafka", "faust-streaming", "hdrhistogram", "hiredis", "httptools", "msgspec", "uvloop",
)  # fmt: skip


def provenance(
    seed: int, chosen: Mapping[str, Any], engines: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Commit, machine, versions, seed and settings.

    Args:
        seed: of everything that was drawn.
        chosen: the run's settings.
        engines: name to description.
    """
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
        "machine": {
            "system": platform.platform(),
            "cpu": _cpu_model(),
            "cpus": len(os.sched_getaffinity(0)),
            "load_average": list(os.getloadavg()),
        },
        "versions": {
            "python": sys.version.split()[0],
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
            **(engines or {}),
        },
        "seed": seed,
        "settings": dict(chosen),
    }


def _git(*words: str) -> str:
    command: Sequence[str] = ("git", "-C", str(Path(__file__).parent), *words)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # installed without its history
    return done.stdout.strip()


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
