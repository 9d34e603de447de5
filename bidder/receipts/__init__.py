"""Decision receipts: what was decided and from what, so that it can be made again later."""

from bidder.receipts.code_version import code_version
from bidder.receipts.draft import Draft
from bidder.receipts.keeper import Receipts
from bidder.receipts.outbox import Outbox, partition_of
from bidder.receipts.recompute import Recomputed, recompute

__all__ = [
    "Draft",
    "Outbox",
    "Receipts",
    "Recomputed",
    "code_version",
    "partition_of",
    "recompute",
]
