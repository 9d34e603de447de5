"""Checks that requirements.lock is what pyproject.toml asks for; ``--write`` makes it so.

The lock holds every version and hash for Python 3.11 to 3.13 and names no index.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
HEADER = "# Every dependency of kinbid with its hashes. Written by `make lock`; do not edit.\n"


def compile_lock(current: str) -> str:
    """Resolves pyproject.toml, keeping the versions that the current lock already names."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "requirements.lock"
        output.write_text(current)
        command = [
            sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "setup-requirements.in",
            "--all-extras", "--universal", "--python-version", "3.11", "--generate-hashes",
            "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links",
            "--quiet", "--output-file", str(output),
        ]  # fmt: skip
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        return HEADER + output.read_text()


def main() -> int:
    """Returns 0 when the lock is fresh, else 1 with a sentence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    current = LOCK.read_text() if LOCK.exists() else ""
    wanted = compile_lock(current)
    if parser.parse_args().write:
        LOCK.write_text(wanted)
    elif wanted != current:
        print("requirements.lock does not follow pyproject.toml: run `make lock` and commit it.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
