"""What an auction asks for before any campaign is looked at: seats, currencies, floors, blocks."""

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Final

from bidder.bids import Policy
from bidder.errors import NoBidReason
from bidder.formats import formats_offered
from bidder.openrtb import BidRequest, Imp
from models.catalog_records import Advertiser
from models.units import MICROS

__all__ = ["imp_refused", "is_blocked", "lowest_bid_cpm_micros", "request_refused"]

DEFAULT_CURRENCIES: Final = ("USD",)
"""What ``cur`` and ``bidfloorcur`` mean where a request has none (2.6 sections 3.2.1, 3.2.4)."""
LOWEST_BID_CPM_MICROS: Final = 10_000
"""A cent for a thousand: below it a bid is noise."""
UNREACHABLE_CPM_MICROS: Final = 10**18


def request_refused(request: BidRequest, policy: Policy) -> NoBidReason | None:
    """Why no campaign of ours may bid on a request at all."""
    if request.wseat and policy.seat not in request.wseat:
        return NoBidReason.SEAT_BLOCKED
    if request.bseat and policy.seat in request.bseat:
        return NoBidReason.SEAT_BLOCKED
    if policy.currency not in (request.cur or DEFAULT_CURRENCIES):
        return NoBidReason.CURRENCY
    return None


def imp_refused(imp: Imp, policy: Policy) -> NoBidReason | None:
    """Why no campaign of ours may bid on a slot."""
    if not imp.id or not formats_offered(imp):
        return NoBidReason.NO_FORMAT
    if imp.pmp is not None and imp.pmp.private_auction:
        return NoBidReason.PRIVATE_AUCTION
    if not policy.is_secure and imp.secure != 0:
        return NoBidReason.INSECURE
    if imp.bidfloor and (imp.bidfloorcur or DEFAULT_CURRENCIES[0]) != policy.currency:
        return NoBidReason.CURRENCY
    return None


def is_blocked(request: BidRequest, advertiser: Advertiser) -> bool:
    """Whether the request wants no ads of this advertiser: ``badv``, ``bcat``, ``acat``."""
    return bool(
        (request.badv and _domain_is_blocked(advertiser.domain, request.badv))
        or (request.bcat and _is_in_any_category(advertiser, request.bcat))
        or (request.acat and not _is_in_any_category(advertiser, request.acat))
    )


def _domain_is_blocked(domain: str, blocked: Sequence[str]) -> bool:
    own = domain.lower()
    lowered = [name.lower() for name in blocked]
    return any(own == name or own.endswith(f".{name}") for name in lowered)


def _is_in_any_category(advertiser: Advertiser, names: Sequence[str]) -> bool:
    """Whether the advertiser is in one of the categories; a parent's code means its children."""
    return any(
        own == name or own.startswith(f"{name}-")
        for own in advertiser.iab_categories
        for name in names
    )


def lowest_bid_cpm_micros(imp: Imp) -> int:
    """The least that a bid may be: the floor rounded up, or a cent for a thousand."""
    floor = (imp.bidfloor or 0.0) * MICROS
    if not isfinite(floor):
        return UNREACHABLE_CPM_MICROS
    return max(ceil(floor), LOWEST_BID_CPM_MICROS)
