"""What a run has seen, request by request."""

from array import array
from collections import Counter
from typing import Final

__all__ = ["Times"]

UNANSWERED: Final = -1


class Times:
    """What one run has seen, in ns; one entry for each request, in the order of the schedule.

    Attributes:
        latencies: from when a request was due to the last byte of its answer; -1 without a right
            answer. In the closed loop it was due when it was sent.
        lateness: how much later than it could have been a request was sent: later than it was due
            and a connection was free. That is the generator's own fault.
        statuses: answers by status.
        faults: what went wrong, by kind.
        bids: answers with a bid.
        elapsed_ns: from the start to the last answer.
    """

    def __init__(self, capacity: int) -> None:
        self.latencies = array("q", [UNANSWERED]) * capacity
        self.lateness = array("q", [0]) * capacity
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.bids = 0
        self.elapsed_ns = 0
