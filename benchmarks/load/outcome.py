"""What a run came to, and whether it may be believed."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.load.histogram import Percentiles, percentiles

__all__ = ["Outcome", "Told", "merge", "objections"]

LEAST_DELIVERED: Final = 0.99
MOST_LATENESS_US: Final = 1000.0
"""Of the 99th percentile of how late the generator itself was."""
NS: Final = 1e9


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What one generator tells of its part of a run.

    Attributes:
        scheduled: requests that were to be sent; in the closed loop, those that were.
        statuses: answers by status.
        faults: requests without a right answer, by kind.
        bids: answers with a bid.
        elapsed_ns: from the start to the last answer.
        cpu_us: CPU of the generator.
        latency, lateness: histograms.
    """

    scheduled: int
    statuses: dict[int, int]
    faults: dict[str, int]
    bids: int
    elapsed_ns: int
    cpu_us: float
    latency: bytes
    lateness: bytes


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A run, all generators together.

    Attributes:
        offered_per_second: what the schedule offers; None for the closed loop.
        per_second: right answers a second, until the last one.
        scheduled: requests that were to be sent.
        answered: right answers: 200 with a bid response, or 204.
        bids: those with a bid.
        statuses: answers by status.
        faults: requests without a right answer, by kind.
        seconds: until the last answer.
        delivered_ratio: right answers a second over what was offered; of the closed loop, over
            what was sent.
        latency: of right answers, from when they were due.
        lateness: how late the generator itself was.
        generator_us: CPU of the generators for a request.
        objections: why the run is invalid; empty for one that may be believed.
    """

    offered_per_second: float | None
    per_second: float
    scheduled: int
    answered: int
    bids: int
    statuses: dict[int, int]
    faults: dict[str, int]
    seconds: float
    delivered_ratio: float
    latency: Percentiles
    lateness: Percentiles
    generator_us: float
    objections: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether it may be believed."""
        return not self.objections

    @property
    def is_delivered(self) -> bool:
        """Whether the server kept up with what was offered."""
        return self.delivered_ratio >= LEAST_DELIVERED


def merge(parts: Sequence[Told], offered_per_second: float | None) -> Outcome:
    """One run from what every generator tells of it."""
    statuses, faults = Counter[int](), Counter[str]()
    for one in parts:
        statuses.update(one.statuses)
        faults.update(one.faults)
    latency = percentiles([one.latency for one in parts])
    scheduled, seconds = sum(one.scheduled for one in parts), max(p.elapsed_ns for p in parts) / NS
    per_second = latency.count / seconds if seconds > 0 else 0.0
    if offered_per_second is None:
        delivered = latency.count / scheduled if scheduled else 0.0
    else:
        # A Poisson schedule ends a little before its time, so more than all is not delivered.
        delivered = min(1.0, per_second / offered_per_second, latency.count / scheduled)
    made = Outcome(
        offered_per_second=offered_per_second, per_second=per_second, scheduled=scheduled,
        answered=latency.count, bids=sum(one.bids for one in parts), statuses=dict(statuses),
        faults=dict(faults), seconds=seconds, delivered_ratio=delivered, latency=latency,
        lateness=percentiles([one.lateness for one in parts]),
        generator_us=sum(one.cpu_us for one in parts) / max(1, scheduled),
    )  # fmt: skip
    return msgspec.structs.replace(made, objections=objections(made))


def objections(made: Outcome) -> tuple[str, ...]:
    """Why a run is INVALID, in sentences; none for one that may be believed."""
    found: list[str] = []
    if not made.is_delivered:
        load = "of what was sent" if made.offered_per_second is None else "of the offered load"
        found.append(
            f"{made.delivered_ratio:.1%} {load} was delivered, less than {LEAST_DELIVERED:.0%}"
        )
    if made.offered_per_second is not None and made.lateness.p99_us > MOST_LATENESS_US:
        found.append(
            f"the generator fell behind: at the 99th percentile it sent {made.lateness.p99_us:.0f} "
            f"us later than it could have, more than {MOST_LATENESS_US:.0f}"
        )
    return tuple(found)
