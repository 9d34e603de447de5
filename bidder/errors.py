"""Why there is no bid, as a value; and the one error that a bid request can cause."""

import enum

from models.errors import KinbidError

__all__ = ["MalformedRequestError", "NoBidReason"]


class MalformedRequestError(KinbidError):
    """The body is not an OpenRTB bid request: answered with 400 (OpenRTB 2.6 section 2.1)."""


class NoBidReason(enum.Enum):
    """Why a request got no bid; the value is the metric's label."""

    NO_BANNER = "no_banner"
    SEAT_BLOCKED = "seat_blocked"
    CURRENCY = "currency"
    PRIVATE_AUCTION = "private_auction"
    INSECURE = "insecure"
    NO_CAMPAIGN = "no_campaign"
    LATE = "late"
    OVERLOAD = "overload"
    NO_CATALOG = "no_catalog"
    INTERNAL_ERROR = "internal_error"
