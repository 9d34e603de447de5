"""``python -m tests.fuzz http --seconds 60``: fuzzes, or tries the inputs in the files named.

Exits with 0 when nothing was found. What was found stands in a file that the output names; put it
into ``tests/fuzz/found/TARGET/`` with the mend, so that it is tried for ever. Inputs that reach
new code stay in the folder, and the next run begins with them.
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

LONGEST_INPUT_BYTES: Final = 12_000
LONGEST_RUN_SECONDS: Final = 5
MOST_MEMORY_MB: Final = 1_024
"""Above what the process had at its peak when it began: on Linux it begins with the peak of whoever
started it, which a large test run may be, and the fuzzer looks at the peak."""


def main() -> int:
    """Returns the exit code; the fuzzer itself ends the process."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--module", default="tests.fuzz.targets", help="where TARGETS are")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="0 picks one and prints it")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"), help="inputs and finds")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_intermixed_args()
    if args.files:
        target = importlib.import_module(args.module).TARGETS[args.target]
        for file in args.files:
            target(file.read_bytes())
        return 0
    try:
        import atheris  # noqa: PLC0415 - has wheels for Linux on x86_64 only
    except ImportError:
        print("atheris is not installed: it has wheels for Linux on x86_64 only", file=sys.stderr)
        return 1
    with atheris.instrument_imports(include=["bidder"]):
        target = importlib.import_module(args.module).TARGETS[args.target]
    corpus = args.folder / args.target
    most_mb = MOST_MEMORY_MB + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    flags = [
        "fuzz", f"-max_total_time={args.seconds}", f"-max_len={LONGEST_INPUT_BYTES}",
        f"-timeout={LONGEST_RUN_SECONDS}", f"-rss_limit_mb={most_mb}", f"-seed={args.seed}",
        f"-artifact_prefix={corpus}{os.sep}", "-print_final_stats=1",
        str(_seeded(corpus, args.target)), f"-dict={_dictionary(corpus)}",
    ]  # fmt: skip
    mutator = _json_mutator(atheris) if args.target == "openrtb" else None
    atheris.Setup(flags, target, custom_mutator=mutator)
    atheris.Fuzz()
    return 0


def _seeded(corpus: Path, target: str) -> Path:
    from tests.fuzz.seeds import FOUND, seeds  # noqa: PLC0415 - after the instrumentation

    folder = corpus / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [*seeds(target), *(file.read_bytes() for file in FOUND.glob(f"{target}/*"))]
    for number, one in enumerate(inputs):
        (folder / f"seed-{number}").write_bytes(one)
    return folder


def _dictionary(corpus: Path) -> Path:
    from tests.fuzz.seeds import DICTIONARY  # noqa: PLC0415 - after the instrumentation

    file = corpus / "dictionary"
    file.write_text("".join(f'"{_quoted(word)}"\n' for word in DICTIONARY))
    return file


def _quoted(word: str) -> str:
    return "".join(f"\\x{ord(sign):02x}" for sign in word)


def _json_mutator(atheris: Any) -> Callable[[bytes, int, int], bytes]:  # noqa: ANN401 - untyped
    """Changes values and names, and each fourth time bytes."""
    from tests.fuzz.mutations import mutated  # noqa: PLC0415 - after the instrumentation

    def mutator(data: bytes, most_bytes: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.randrange(4):
            with contextlib.suppress(ValueError, RecursionError):  # no JSON any more
                changed = mutated(json.loads(data), chance)
                if len(changed) <= most_bytes:
                    return changed
        # Not before the fuzzer runs: Setup puts another Mutate into the module.
        found: bytes = atheris.Mutate(data, most_bytes)
        return found

    return mutator


if __name__ == "__main__":
    sys.exit(main())
