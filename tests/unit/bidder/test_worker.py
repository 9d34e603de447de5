"""A worker that cannot begin says why."""

import os
import subprocess
import sys

from bidder.metrics import LAYOUT, open_memory


def test_a_worker_whose_metrics_stand_elsewhere_than_its_supervisors_does_not_begin() -> None:
    with open_memory() as memory:
        arguments = {
            "listener": 0, "memory": memory.fileno(), "layout": LAYOUT + 1,
            "parent": os.getpid(), "number": 0, "cause": "roll",
        }  # fmt: skip
        flags = [part for name, v in arguments.items() for part in (f"--{name}", str(v))]
        ended = subprocess.run(
            [sys.executable, "-m", "bidder.worker", *flags],
            check=False, capture_output=True, text=True, timeout=60,
            pass_fds=(memory.fileno(),),
        )  # fmt: skip
    assert ended.returncode == 1
    assert "has other metrics than the bidder that runs" in ended.stderr
    assert "Traceback" not in ended.stderr
