"""Who is at a shared device now: the last sign-in, believed less the older it is.

Between sign-ins, whoever sits there may be followed by any of the others without a word. With a
constant rate of that, the chance that the last one who signed in is still there falls from 1
towards an even chance among all of them: ``1/n + (1 - 1/n) exp(-age / stay)``, a two-state Markov
chain seen from the last sign-in. The mean stay is a declared prior, not a fit.
"""

from collections.abc import Iterable
from math import exp
from typing import Final

import msgspec

from models.identifiers import NodeId
from models.units import HOUR_MS

__all__ = ["DEFAULT_PRESENCE", "PresenceRule", "Present", "who_is_there"]


class PresenceRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a shared device is priced for one of its users.

    Attributes:
        stay_ms: the mean time after a sign-in until somebody else takes over unnoticed.
        min_ratio: probability below which the device is nobody's.
        private_ratio: probability below which private creatives are withheld.
    """

    stay_ms: int = 12 * HOUR_MS
    min_ratio: float = 0.6
    private_ratio: float = 0.9


DEFAULT_PRESENCE: Final = PresenceRule()


class Present(msgspec.Struct, frozen=True, gc=False):
    """Who is probably there.

    Attributes:
        account: the identifier with which they signed in.
        ratio: the probability that it is them, 0 to 1.
    """

    account: NodeId
    ratio: float


def who_is_there(
    sign_ins: Iterable[tuple[NodeId, NodeId, int]], now_ms: int, stay_ms: int
) -> Present | None:
    """The person who signed in last, with the probability that they are still there.

    Args:
        sign_ins: (account, root of its person, time of its newest sign-in in Unix ms).
        now_ms: the present; a sign-in of the future counts as one of now.
        stay_ms: as in :class:`PresenceRule`.

    Returns:
        None where nobody signed in.
    """
    newest = sorted(sign_ins, key=lambda one: (one[2], one[0]))
    if not newest:
        return None
    account, _, signed_in_ms = newest[-1]
    persons = len({root for _, root, _ in newest})
    age_ms = max(0, now_ms - signed_in_ms)
    return Present(account, 1 / persons + (1 - 1 / persons) * exp(-age_ms / stay_ms))
