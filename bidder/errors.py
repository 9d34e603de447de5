"""Why there is no bid, as a value; and the one error that a bid request can cause."""

import enum

from models.errors import KinbidError

__all__ = ["MalformedRequestError", "NoBidReason"]


class MalformedRequestError(KinbidError):
    """The body is not an OpenRTB bid request: answered with 400 (OpenRTB 2.6 section 2.1)."""


class NoBidReason(enum.Enum):
    """Why a request got no bid; the value is the metric's label.

    Attributes:
        nbr: what exchanges that ask are told (OpenRTB 3.0, List: No-Bid Reason Codes, to which 2.6
            section 4.2.1 points): 0 where the list has no word for it.
    """

    nbr: int

    def __new__(cls, label: str, nbr: int = 0) -> "NoBidReason":
        """A reason with its label and its code."""
        made = object.__new__(cls)
        made._value_ = label
        made.nbr = nbr
        return made

    NO_FORMAT = "no_format"
    INVALID_REQUEST = "invalid_request", 2
    SEAT_BLOCKED = "seat_blocked"
    CURRENCY = "currency"
    PRIVATE_AUCTION = "private_auction"
    INSECURE = "insecure"
    CRAWLER = "crawler", 3
    PUBLISHER_BLOCKED = "publisher_blocked", 7
    CHAIN_INCOMPLETE = "chain_incomplete", 16
    SELLER_BLOCKED = "seller_blocked", 17
    NO_CAMPAIGN = "no_campaign"
    LATE = "late", 15
    OVERLOAD = "overload", 15
    NO_CATALOG = "no_catalog", 1
    INTERNAL_ERROR = "internal_error", 1
