"""Generators of one target: started, told what to do, and their parts put together."""

import contextlib
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.bench.cpu import cpu_micros, cpu_ticks
from benchmarks.bench.site import BenchError
from benchmarks.load.cores import Cores, pin
from benchmarks.load.corpus import Corpus
from benchmarks.load.generator import Run, Target
from benchmarks.load.outcome import Outcome, Told, merge
from benchmarks.load.schedule import Arrivals

__all__ = ["Crew", "Measured", "Pids", "crew"]

Pids = Mapping[str, Sequence[int]]
"""Processes whose CPU is measured, by what they are."""

START_SECONDS: Final = 60.0
SLACK_SECONDS: Final = 60.0
HEAD_START_NS: Final = 200_000_000
NS: Final = 1_000_000_000


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A run and what it cost.

    Attributes:
        cpu_us: CPU for a right answer, by process, all its threads, in microseconds.
        kernel_share: of it, what the kernel used for the process, 0 to 1.
    """

    outcome: Outcome
    cpu_us: dict[str, float]
    kernel_share: dict[str, float]


class _Used(NamedTuple):
    """CPU that processes have used so far."""

    micros: float
    own_ticks: int
    kernel_ticks: int

    def micros_since(self, before: "_Used") -> float:
        return self.micros - before.micros

    def kernel_share(self, before: "_Used") -> float:
        kernel = self.kernel_ticks - before.kernel_ticks
        return kernel / max(1, kernel + self.own_ticks - before.own_ticks)


class _Generator:
    """One process, seen from outside."""

    def __init__(self, target: Target, cores: Sequence[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load.generator"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        pin([self._process.pid], cores)
        self.ask(msgspec.json.encode(target))

    def ask(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - opened above
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def answer(self, seconds: float) -> bytes:
        """The next line that it writes.

        Raises:
            BenchError: it has ended, or says nothing for so long.
        """
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened above
        if not select.select([stdout], [], [], seconds)[0]:
            raise BenchError(f"a load generator said nothing for {seconds:.0f} s")
        line = stdout.readline().strip()
        if not line:
            raise BenchError("a load generator has ended; its error is above")
        return line

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=5)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Crew:
    """Generators that load one target together; made by :func:`crew`."""

    def __init__(self, generators: Sequence[_Generator], pids: Pids) -> None:
        self._generators = generators
        self._pids = pids

    def closed(self, seconds: float) -> Measured:
        """Keeps every connection busy for so long."""
        return self._run([Run(seconds=seconds)] * len(self._generators), seconds, None)

    def open(
        self, per_second: float, seconds: float, *, kind: Arrivals = "poisson", seed: int = 0
    ) -> Measured:
        """Offers a rate, whatever the target does."""
        many, start_ns = len(self._generators), time.monotonic_ns() + HEAD_START_NS
        runs = [
            Run(
                seconds=seconds, per_second=per_second / many, arrivals=kind,
                seed=seed * many + place, start_ns=start_ns,
            )
            for place in range(many)
        ]  # fmt: skip
        return self._run(runs, seconds, per_second)

    def _run(self, runs: Sequence[Run], seconds: float, per_second: float | None) -> Measured:
        before = self._cpu()
        for one, run in zip(self._generators, runs, strict=True):
            one.ask(msgspec.json.encode(run))
        for one in self._generators:
            one.answer(seconds + SLACK_SECONDS)
        after = self._cpu()
        parts: list[Told] = []
        for one in self._generators:
            one.ask(b"tell")
            parts.append(msgspec.json.decode(one.answer(SLACK_SECONDS), type=Told))
        outcome = merge(parts, per_second)
        answers = max(1, outcome.answered)
        return Measured(
            outcome=outcome,
            cpu_us={name: after[name].micros_since(one) / answers for name, one in before.items()},
            kernel_share={name: after[name].kernel_share(one) for name, one in before.items()},
        )

    def _cpu(self) -> dict[str, "_Used"]:
        try:
            return {
                name: _Used(cpu_micros(pids), *cpu_ticks(pids)) for name, pids in self._pids.items()
            }
        except FileNotFoundError as error:
            raise BenchError(f"a process that is measured has ended: {error.filename}") from error


@contextlib.contextmanager
def crew(
    url: str,
    corpus: Corpus,
    pids: Pids,
    *,
    cores: Cores,
    connections: int,
    processes: int = 1,
) -> Iterator[Crew]:
    """Starts generators; they end with the block.

    Args:
        url: where bid requests go.
        corpus: what is sent.
        pids: processes whose CPU is measured.
        cores: where generators run.
        connections: of all generators together.
        processes: generators.

    Raises:
        BenchError: nobody listens at ``url``.
    """
    with contextlib.ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="kinbid-load-")))
        path = folder / "corpus.jsonl"
        corpus.write(path)
        generators: list[_Generator] = []
        for place in range(processes):
            target = Target(
                url=url, corpus=str(path), connections=max(1, connections // processes),
                first=place * len(corpus.bodies) // processes, spins=cores.are_apart,
            )  # fmt: skip
            generators.append(_Generator(target, cores.generator))
            cleanup.callback(generators[-1].stop)
        for one in generators:
            said = one.answer(START_SECONDS)
            if said != b"ready":
                raise BenchError(f"no load can be sent to {said.decode()}")
        yield Crew(generators, pids)
