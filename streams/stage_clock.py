"""Where the loop's CPU goes: seconds of its thread, charged to the stages of a batch."""

import time
from typing import Final, Literal

from prometheus_client import Counter

__all__ = ["STAGES", "Stage", "StageClock"]

Stage = Literal["fetch", "decode", "fold", "publish", "account", "commit"]
STAGES: Final[tuple[Stage, ...]] = ("fetch", "decode", "fold", "publish", "account", "commit")


class StageClock:
    """Charges the CPU since the last charge to a stage.

    What else runs on the thread while a stage waits for Redis, such as the receipt of the next
    records, is charged to that stage. A charge costs about 0.3 us, and there are six a batch.

    Args:
        seconds: a counter with the label ``stage``.
    """

    def __init__(self, seconds: Counter) -> None:
        self._charged = {stage: seconds.labels(stage) for stage in STAGES}
        self._last = time.thread_time()

    def charge(self, stage: Stage) -> None:
        """Ends a stage."""
        now = time.thread_time()
        self._charged[stage].inc(now - self._last)
        self._last = now
