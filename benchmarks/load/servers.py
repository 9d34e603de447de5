"""Servers that are no bidder, as processes: the bare handler and the constant responder."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from benchmarks.bench.site import BenchError
from benchmarks.load.cores import pin

__all__ = ["Listening", "serving"]


class Listening(NamedTuple):
    """A server: where bid requests go, and its processes."""

    url: str
    pid: int


@contextlib.contextmanager
def serving(what: Literal["bare", "constant"], cores: Sequence[int]) -> Iterator[Listening]:
    """Starts one; it ends with the block.

    Raises:
        BenchError: it does not listen.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", f"benchmarks.load.{what}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None  # noqa: S101 - opened above
        url = process.stdout.readline().strip()
        if not url:
            raise BenchError(f"the {what} handler does not listen; its error is above")
        pin([process.pid], cores)
        yield Listening(f"{url}/openrtb2/bench/bid", process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=10)
