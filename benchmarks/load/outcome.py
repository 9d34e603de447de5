"""What a run came to, and whether it may be believed."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from benchmarks.load.histogram import Percentiles, percentiles

__all__ = ["LEAST_BIDS", "Outcome", "Told", "bid_share", "merge", "objections"]

LEAST_DELIVERED: Final = 0.99
MOST_LATENESS_US: Final = 1000.0
"""Of the 99th percentile of how late the generator itself was."""
LEAST_BIDS: Final = 0.99
"""Of kinbid's answers: on this load everything bids, or something is wrong."""
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

    @property
    def is_delivered(self) -> bool:
        """Whether the server kept up with what was offered."""
        return self.delivered_ratio >= LEAST_DELIVERED

    @property
    def is_punctual(self) -> bool:
        """Whether the generator kept up with its schedule; the closed loop has none."""
        return self.offered_per_second is None or self.lateness.p99_us <= MOST_LATENESS_US


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
    return Outcome(
        offered_per_second=offered_per_second, per_second=per_second, scheduled=scheduled,
        answered=latency.count, bids=sum(one.bids for one in parts), statuses=dict(statuses),
        faults=dict(faults), seconds=seconds, delivered_ratio=delivered, latency=latency,
        lateness=percentiles([one.lateness for one in parts]),
        generator_us=sum(one.cpu_us for one in parts) / max(1, scheduled),
    )  # fmt: skip


def objections(runs: Sequence[Outcome], *, least_bids: float = 0.0) -> list[str]:
    """Why runs are INVALID, in sentences; none for those that may be believed.

    Args:
        runs: of one target.
        least_bids: the share of the answers that must be bids.
    """
    found: list[str] = []
    if lacking := [one.delivered_ratio for one in runs if not one.is_delivered]:
        found.append(
            f"{len(lacking)} of {len(runs)} runs delivered less than {LEAST_DELIVERED:.0%} of "
            f"their load, the worst {min(lacking):.1%}"
        )
    if late := [one.lateness.p99_us for one in runs if not one.is_punctual]:
        found.append(
            f"in {len(late)} of {len(runs)} runs the generator fell behind: at the 99th percentile "
            f"it sent up to {max(late):,.0f} us later than it could have, more than "
            f"{MOST_LATENESS_US:,.0f}"
        )
    bids = bid_share(runs)
    if bids < least_bids:
        found.append(f"{bids:.1%} of the answers were bids, less than {least_bids:.0%}")
    return found


def bid_share(runs: Sequence[Outcome]) -> float:
    """Bids over right answers; 0 without any."""
    return sum(one.bids for one in runs) / max(1, sum(one.answered for one in runs))
