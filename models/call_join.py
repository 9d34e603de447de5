"""Which web session made a call: the rule that joins a dialled number to its lease.

Of the leases of the number that began before the call, those still shown at its start are its
candidates; without any, those that ended at most a grace before, since people dial from a
page that is closed or a note on paper. Candidates of several sessions at once (the pool is too
small) make it ambiguous, and an ambiguous call is nobody's; after their end, the lease that began
last counts. The rule is a function of the set of leases, in whatever order they were heard of.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from models.calls import Lease

__all__ = ["GRACE_MS", "Joined", "Outcome", "join_call"]

GRACE_MS: Final = 30 * 60_000
"""How long after a lease its number may still be dialled, where no setting says otherwise."""

ALONE: Final = 0.9
REUSED: Final = 0.7
"""The visitor before this one may still dial the number."""
LATE: Final = 0.5
LATE_AND_REUSED: Final = 0.3


class Joined(msgspec.Struct, frozen=True):
    """The call belongs to this lease; ``confidence`` in (0, 1] is a declared prior, not a fit."""

    lease: Lease
    confidence: float


Outcome: TypeAlias = Joined | Literal["ambiguous", "unmatched"]


def join_call(time_ms: int, leases: Iterable[Lease], grace_ms: int = GRACE_MS) -> Outcome:
    """Finds the lease of a call.

    Args:
        time_ms: the call's start, Unix ms.
        leases: of the dialled number, each id once.
        grace_ms: how long after a lease its number may still be dialled.

    Returns:
        The lease; ``ambiguous`` when several sessions saw the number at that time, ``unmatched``
        when none did.
    """
    heard = sorted(
        (lease for lease in leases if lease.start_ms <= time_ms < lease.expires_ms + grace_ms),
        key=lambda lease: (lease.start_ms, lease.lease_id),
    )
    if not heard:
        return "unmatched"
    shown = [lease for lease in heard if time_ms < lease.expires_ms]
    newest = (shown or heard)[-1]
    rivals = [lease for lease in heard if lease.session != newest.session]
    # Ended leases are rivals only if they were on show together with the newest one.
    if any(lease.expires_ms > (time_ms if shown else newest.start_ms) for lease in rivals):
        return "ambiguous"
    if shown:
        return Joined(newest, REUSED if rivals else ALONE)
    return Joined(newest, LATE_AND_REUSED if rivals else LATE)
