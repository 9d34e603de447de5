"""Which ad fits a slot, and its markup. Pure; what a request does not use costs nothing."""

from bidder.formats.fit import (
    AUDIO,
    BANNER,
    NATIVE,
    VIDEO,
    Asked,
    Fit,
    Fitted,
    Misfit,
    asked_of,
    formats_offered,
)
from bidder.formats.lineup import Lineup, Lineups
from bidder.formats.markup import Filled, Links, filled, url_of
from bidder.formats.pods import Break, bids_wanted, break_of, plcmt_of
from bidder.formats.slots import slot_values

__all__ = [
    "AUDIO",
    "BANNER",
    "NATIVE",
    "VIDEO",
    "Asked",
    "Break",
    "Filled",
    "Fit",
    "Fitted",
    "Lineup",
    "Lineups",
    "Links",
    "Misfit",
    "asked_of",
    "bids_wanted",
    "break_of",
    "filled",
    "formats_offered",
    "plcmt_of",
    "slot_values",
    "url_of",
]
