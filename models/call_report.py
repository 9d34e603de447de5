"""Calls beside orders in what a conversion costs: by campaign, keyword, device and hour. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from models.call_join import GRACE_MS, Joined, Outcome, join_call
from models.call_tags import Conversion, Departments, Tags, conversions_of
from models.calls import CallHistory, ToldCall
from models.units import HOUR_MS

__all__ = [
    "FREE", "UNJOINED", "AttributedCall", "Split", "attributed", "conversions_by",
    "cost_per_conversion_micros",
]  # fmt: skip

Split: TypeAlias = Literal["campaign", "keyword", "device_type", "hour"]

UNJOINED: Final = "unjoined"
FREE: Final = "free"
"""A session that no campaign, or no keyword, brought."""


class AttributedCall(msgspec.Struct, frozen=True):
    """A call, what is known of the session that made it, and whether it counts.

    Attributes:
        call: it.
        outcome: the lease of its number.
        conversion: None for a call that does not count.
    """

    call: ToldCall
    outcome: Outcome
    conversion: Conversion | None

    def by(self, split: Split) -> str:
        """The call's group: ``free`` without a campaign, ``unjoined`` without a session.

        Hours are of the day, UTC: ``00`` to ``23``.
        """
        if split == "hour":
            return f"{self.call.time_ms // HOUR_MS % 24:02d}"
        if not isinstance(self.outcome, Joined):
            return UNJOINED
        return getattr(self.outcome.lease, split) or FREE


def attributed(
    history: CallHistory, tags: Tags, departments: Departments, grace_ms: int = GRACE_MS
) -> Iterator[AttributedCall]:
    """A person's calls, each with the session of theirs that saw the number which was dialled."""
    counted = {one.call: one for one in conversions_of(history.calls, tags, departments)}
    for call in history.calls:
        shown = (lease for lease in history.leases if call.number and lease.number == call.number)
        outcome = join_call(call.time_ms, shown, grace_ms)
        yield AttributedCall(call, outcome, counted.get(call))


def conversions_by(calls: Iterable[AttributedCall], split: Split) -> Counter[str]:
    """How many of these calls, of any number of persons, count; by group."""
    return Counter(one.by(split) for one in calls if one.conversion is not None)


def cost_per_conversion_micros(spend_micros: int, order_count: int, call_count: int) -> int | None:
    """What one conversion cost, orders and calls alike; None without any.

    An order that a call led to counts as both where no order names its call: then the cost is
    understated by as much.
    """
    conversions = order_count + call_count
    return spend_micros // conversions if conversions else None
