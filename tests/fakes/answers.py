"""Bid responses, read by tests."""

from typing import Any

__all__ = ["creative_of"]


def creative_of(bid: dict[str, Any]) -> str:
    """The creative's id in a bid's ``crid``: a banner's size and a digest of its look follow it."""
    crid: str = bid["crid"]
    return crid.rsplit(".", 2 if bid["mtype"] == 1 else 1)[0]
