"""Notices: what exchanges, browsers and players tell of our bids."""

from bidder.notices.callers import Caller, caller_of
from bidder.notices.intake import Notices
from bidder.notices.keeper import Keeper

__all__ = ["Caller", "Keeper", "Notices", "caller_of"]
