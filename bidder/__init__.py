"""Bid requests in, bids out: parse, identify, person, decide, respond; then notices in."""

__all__ = [
    "allowed_use",
    "catalog_feed",
    "decide",
    "identify",
    "lookup",
    "openrtb",
    "privacy",
    "supervisor",
]
