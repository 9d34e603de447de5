"""The cap-leak meter: impressions beyond a cap under which they were bid, by cause. Expected: 0.

Only here, where billing is folded, is the truth known: a person's impressions on all devices and
exchanges. A billing notice brings the limits of its bid and how much of each the bidder had seen
used. Where folding it makes a window fuller than its limit, it leaked, for the first cause that
holds:

``late``: it came when its own place under the caps had expired.
``imported``: without impressions that were imported it would have been within the cap.
``joined``: more had been billed before the bid than the bidder saw: under identifiers that joined
    the person since, or by notices that came late.
``in_flight``: bids that were out at the same moment did not see each other: their persons joined
    while they were out, or reservations were not exact (``cap_exact_margin``).
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from models.caps import CapLedger, decode_ledger, is_imported
from models.commands import Steps
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from models.limits import Limit
from models.outcomes import Billing
from models.units import SECOND_MS

__all__ = ["LEAK_CAUSES", "Billed", "LeakCause", "leak_of", "leaks_of"]

LeakCause: TypeAlias = Literal["late", "imported", "joined", "in_flight"]
LEAK_CAUSES: Final[tuple[LeakCause, ...]] = ("late", "imported", "joined", "in_flight")


class Billed(msgspec.Struct, frozen=True):
    """Impressions of one identifier that were folded just now.

    Attributes:
        node: the identifier.
        root: its person then.
        billings: what was folded, without what had been folded before.
    """

    node: NodeId
    root: NodeId
    billings: tuple[Billing, ...]


def leaks_of(keys: Keys, billed: Sequence[Billed]) -> Steps[list[LeakCause]]:
    """What leaked of a batch's impressions, once the bid views of their persons are written."""
    watched = [one for one in billed if any(billing.limits for billing in one.billings)]
    if not watched:
        return []
    replies = yield [("HGET", keys.bid_view(one.root), "c") for one in watched]
    found: list[LeakCause] = []
    for one, reply in zip(watched, replies, strict=True):
        encoded = reply
        if encoded is None:  # the person has been merged since
            root = yield from find(keys, one.node)
            (encoded,) = yield [("HGET", keys.bid_view(root), "c")]
        ledger = CapLedger() if encoded is None else decode_ledger(encoded)
        causes = (leak_of(ledger, billing) for billing in one.billings)
        found += [cause for cause in causes if cause is not None]
    return found


def leak_of(ledger: CapLedger, billing: Billing) -> LeakCause | None:
    """Why an impression is beyond one of its limits; None where it is not.

    Args:
        ledger: the person's, with the impression in it.
        billing: the impression.
    """
    for limit in billing.limits:
        shown = _counted(ledger, billing, limit)
        window = _fullest(shown, billing, limit.window_seconds * SECOND_MS)
        if len(window) > limit.impressions:
            return _cause(window, billing, limit)
    return None


def _counted(ledger: CapLedger, billing: Billing, limit: Limit) -> dict[str, int]:
    if not limit.of_advertiser:
        return ledger.of_campaign(billing.campaign)
    return {
        nonce: billed_ms
        for one in ledger.of_advertiser(billing.advertiser)
        for nonce, billed_ms in one.items()
    }


def _fullest(shown: dict[str, int], billing: Billing, window_ms: int) -> dict[str, int]:
    """Of all windows that hold the impression the one with the most; none where it is not kept."""
    at_ms = shown.get(billing.nonce)
    if at_ms is None:
        return {}  # so many newer ones are that no cap counts it any more
    ends_ms = {billed_ms for billed_ms in shown.values() if at_ms <= billed_ms < at_ms + window_ms}
    windows = (
        {n: billed_ms for n, billed_ms in shown.items() if end_ms - window_ms < billed_ms <= end_ms}
        for end_ms in sorted(ends_ms)
    )
    return max(windows, key=len)


def _cause(window: dict[str, int], billing: Billing, limit: Limit) -> LeakCause:
    if billing.notice_time_ms > billing.bid_time_ms + billing.reserved_seconds * SECOND_MS:
        return "late"
    if sum(not is_imported(nonce) for nonce in window) <= limit.impressions:
        return "imported"
    before = sum(billed_ms <= billing.bid_time_ms for billed_ms in window.values())
    return "joined" if before > limit.used else "in_flight"
