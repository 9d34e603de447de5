"""What an auction asks for before any campaign is looked at: the terms of a request, once.

Nothing here reads what is known of a person, so a request that is refused costs no look-up.
"""

from typing import Final

import msgspec

from bidder.agents import is_crawler
from bidder.bids import Policy
from bidder.dsa import dsa_asked
from bidder.errors import NoBidReason
from bidder.formats import formats_offered
from bidder.limits import Limits, limits_of
from bidder.openrtb import BidRequest, Imp
from bidder.openrtb_context import Dsa
from bidder.supply_chain import supply_refused
from models.catalog import Catalog
from models.catalog_records import Exchange
from models.currency import RateTable, Ratio

__all__ = ["DEFAULT_CURRENCY", "Terms", "is_first_price", "slot_refused", "terms_of"]

DEFAULT_CURRENCY: Final = "USD"
"""What ``cur`` and ``bidfloorcur`` mean where a request has none (2.6 sections 3.2.1, 3.2.4)."""
SECOND_PRICE: Final = 2
EVEN: Final = Ratio(1, 1)
MOST_PEOPLE: Final = 1_000_000
"""Before one screen. A slot that claims more, or fewer than none, would cost what nobody bid."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What holds for every bid on a request.

    Attributes:
        seat: under which we bid.
        own_currency: of the catalogue, in which values and bids are thought.
        currency: in which prices are written.
        ratio: from the first to the second.
        is_first_price: the winner pays its bid, if a deal says nothing else.
        limits: the request's lists; None has none.
        dsa: what bids must say of themselves; None is nothing.
        rates: for floors in a third currency; None where the catalogue has none.
        now_ms: the present, Unix ms.
    """

    seat: str
    own_currency: str
    currency: str
    ratio: Ratio
    is_first_price: bool
    limits: Limits | None
    dsa: Dsa | None
    rates: RateTable | None
    now_ms: int

    def ratio_of(self, currency: str) -> Ratio | None:
        """From another currency to the one that prices are written in; None without a rate."""
        if currency == self.currency:
            return EVEN
        spelt = currency.strip().upper()
        if spelt == self.currency:
            return EVEN
        if self.rates is None:
            return None
        return self.rates.ratio(spelt, self.currency, self.now_ms)


def terms_of(
    request: BidRequest, exchange: Exchange, policy: Policy, catalog: Catalog, now_ms: int
) -> Terms | NoBidReason:
    """The terms of a request, or why no campaign of ours may bid on it at all.

    One seat for all advertisers of an owner at an exchange: the seat is who is billed there.
    """
    limits = limits_of(request)
    seat = exchange.seat or policy.seat
    if limits is not None:
        if not limits.is_readable:
            return NoBidReason.INVALID_REQUEST
        if not limits.admits_seat(seat):
            return NoBidReason.SEAT_BLOCKED
    if request.device is not None and is_crawler(request.device):
        return NoBidReason.CRAWLER
    if exchange.blocked_publishers or exchange.complete_chain_only or exchange.blocked_sellers:
        refused = supply_refused(request, exchange)
        if refused is not None:
            return refused
    rates = catalog.rates.get(policy.currency)
    answer = _answer_currency(request.cur, policy.currency, rates, now_ms)
    if answer is None:
        return NoBidReason.CURRENCY
    currency, ratio = answer
    dsa = None
    if request.regs is not None and request.regs.ext is not None:
        dsa = dsa_asked(request)
    first = is_first_price(request.at)
    # By place: by name it takes 0.3 us more.
    return Terms(seat, policy.currency, currency, ratio, first, limits, dsa, rates, now_ms)


def _answer_currency(
    wanted: list[str] | None, own: str, rates: RateTable | None, now_ms: int
) -> tuple[str, Ratio] | None:
    """Our own currency if it will do, else the first one that is wanted and has a rate."""
    if own in (wanted or (DEFAULT_CURRENCY,)):
        return own, EVEN
    for spelt in wanted or (DEFAULT_CURRENCY,):
        currency = spelt.strip().upper()
        ratio = EVEN if currency == own else None
        if ratio is None and rates is not None:
            ratio = rates.ratio(own, currency, now_ms)
        if ratio is not None:
            return currency, ratio
    return None


def is_first_price(at: int | None) -> bool:
    """Whether the winner pays its own bid: ``at``, 2 by default.

    Rules of an exchange's own (500 and above) count as first price: a bid that was lowered for a
    first-price auction loses a second-price one now and then, the other way round it overpays.
    """
    return bool(at) and at != SECOND_PRICE


def slot_refused(imp: Imp, policy: Policy) -> NoBidReason | None:
    """Why no campaign of ours may bid on a slot, whoever sells it and how."""
    if not imp.id or not formats_offered(imp):
        return NoBidReason.NO_FORMAT
    if imp.qty is not None and not 0 < imp.multiplier <= MOST_PEOPLE:
        return NoBidReason.INVALID_REQUEST
    if not policy.is_secure and imp.secure != 0:
        return NoBidReason.INSECURE
    return None
