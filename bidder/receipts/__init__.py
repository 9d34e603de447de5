"""Decision receipts: what was decided and from what, so that it can be made again later."""

from bidder.receipts.code_version import code_version
from bidder.receipts.draft import Draft
from bidder.receipts.keeper import Receipts
from bidder.receipts.recompute import Recomputed, recompute

__all__ = [
    "Draft",
    "Receipts",
    "Recomputed",
    "code_version",
    "recompute",
]
