"""One load generator: ``python -m benchmarks.load.generator``, started by a crew, never by hand.

It reads JSON lines: first what to send, then a run at a time. To a run it says ``done`` as soon as
the last answer is there, so that whoever reads the servers' CPU reads it at the right moment; then,
asked to ``tell``, what it has seen.
"""

import gc
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from benchmarks.load.corpus import Corpus
from benchmarks.load.histogram import encoded
from benchmarks.load.loops import Loop
from benchmarks.load.outcome import Told
from benchmarks.load.schedule import Arrivals, arrivals
from benchmarks.load.times import Times

if TYPE_CHECKING:
    from array import array

__all__ = ["Run", "Target", "main"]

NS_PER_MICRO: Final = 1000


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send what.

    Attributes:
        url: of the bids, http.
        corpus: a file as :meth:`Corpus.read` reads it.
        connections: keep-alive connections.
        first: where in the corpus to begin.
        spins: it has a core that no server needs.
    """

    url: str
    corpus: str
    connections: int
    first: int = 0
    spins: bool = True


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run; without a rate it is the closed loop.

    Attributes:
        seconds: how long.
        per_second: requests a second, of this generator.
        arrivals: kind of the schedule.
        seed: of the schedule.
        start_ns: when the schedule begins, by the monotonic clock; 0 for now.
    """

    seconds: float
    per_second: float | None = None
    arrivals: Arrivals = "poisson"
    seed: int = 0
    start_ns: int = 0


class _Generator:
    """Does one run after the other."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._times = Times(0)
        self._cpu_ns = 0

    def run(self, run: Run) -> None:
        """Does a run and keeps what it has seen."""
        offsets: array[int] | None = None
        if run.per_second is not None:
            offsets = arrivals(run.arrivals, run.per_second, run.seconds, run.seed)
        before_ns = time.process_time_ns()
        if offsets is None:
            self._times = self._loop.closed(run.seconds)
        else:
            self._times = self._loop.open(offsets, run.start_ns or time.monotonic_ns())
        self._cpu_ns = time.process_time_ns() - before_ns

    def tell(self) -> Told:
        """What the last run has seen."""
        times = self._times
        return Told(
            scheduled=len(times.latencies),
            statuses=dict(times.statuses),
            faults=dict(times.faults),
            bids=times.bids,
            elapsed_ns=times.elapsed_ns,
            cpu_us=self._cpu_ns / NS_PER_MICRO,
            latency=encoded(times.latencies),
            lateness=encoded(times.lateness),
        )


def main(asked: IO[bytes] = sys.stdin.buffer, told: IO[bytes] = sys.stdout.buffer) -> int:
    """Does what is asked until there is no more; returns the exit code."""

    def say(line: bytes) -> None:
        told.write(line + b"\n")
        told.flush()

    target = msgspec.json.decode(asked.readline(), type=Target)
    corpus, parts = Corpus.read(Path(target.corpus)), urlsplit(target.url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    try:
        loop = Loop(
            address, corpus.messages(target.url), corpus.ids,
            connections=target.connections, first=target.first, spins=target.spins,
        )  # fmt: skip
    except OSError as error:
        say(f"{target.url}: {error}".encode())
        return 1
    gc.collect()
    gc.freeze()
    generator = _Generator(loop)
    say(b"ready")
    while line := asked.readline().strip():
        if line == b"tell":
            say(msgspec.json.encode(generator.tell()))
        else:
            generator.run(msgspec.json.decode(line, type=Run))
            say(b"done")
    loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
