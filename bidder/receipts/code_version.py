"""Which program decides: its version, and a digest of the sources that decisions come from."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bidder
import models

__all__ = ["code_version"]


@cache
def code_version() -> str:
    """``VERSION+DIGEST``; two programs with the same one decide alike."""
    digest = hashlib.blake2b(digest_size=5)
    for package in (bidder, models):
        root = Path(package.__file__ or "").parent
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    try:
        release = version("kinbid")
    except PackageNotFoundError:  # run from its sources
        release = "0"
    return f"{release}+{digest.hexdigest()}"
