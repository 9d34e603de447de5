"""Ways to bid on a slot: in the open auction, or on a deal; each with its own floor and rules."""

from collections.abc import Container, Sequence
from typing import Final, Protocol

import msgspec

from bidder.auction import DEFAULT_CURRENCY, EVEN, Terms, is_first_price
from bidder.errors import NoBidReason
from bidder.limits import domain_and_parents
from bidder.openrtb import Imp
from bidder.openrtb_context import Deal, DurationFloor
from models.catalog_records import Advertiser, Campaign, Exchange
from models.units import MICROS
from models.value.shading import shade

__all__ = ["Floor", "Opening", "TimedFloors", "bid_in", "floor_of", "openings", "price_of"]

FIXED_PRICE: Final = 3
"""The value of ``deal.at`` under which the deal's floor is its price."""
LOWEST_BID_CPM_MICROS: Final = 10_000
"""A cent for a thousand: below it a bid is noise."""
LARGEST_CPM: Final = 1e12
"""Units of any currency; a floor above it is one that nobody reaches."""


class Floor(msgspec.Struct, frozen=True, gc=False):
    """The least that a bid may be.

    Attributes:
        cpm_micros: in our own currency, at least a cent for a thousand.
        price_micros: in the currency that prices are written in, exactly what was asked for.
    """

    cpm_micros: int
    price_micros: int


class TimedFloors(Protocol):
    """Whatever has floors by duration: a deal, a video slot, an audio slot."""

    @property
    def mincpmpersec(self) -> float | None:
        """The floor of a second."""

    @property
    def durfloors(self) -> Sequence[DurationFloor] | None:
        """Floors of ads from and up to so many seconds."""


class Opening(msgspec.Struct, frozen=True, gc=False):
    """One way to bid on a slot.

    Attributes:
        deal_id: of the deal; None is the open auction.
        floor: of an ad without duration, or where none is named for its duration.
        floor_currency: in which the slot or the deal names floors.
        is_first_price: the winner pays its own bid.
        is_fixed: the floor is the price that was agreed on.
        is_guaranteed: somebody of ours has promised to bid.
        domains: of the advertisers who may bid; None lets all.
        timed: the deal's own floors by duration.
    """

    deal_id: str | None
    floor: Floor
    floor_currency: str
    is_first_price: bool
    is_fixed: bool = False
    is_guaranteed: bool = False
    domains: frozenset[str] | None = None
    timed: TimedFloors | None = None

    def admits(self, campaign: Campaign) -> bool:
        """Whether a campaign bids here: it names its deals, one by one."""
        if self.deal_id is None:
            return campaign.open_auction
        return self.deal_id in campaign.deals

    def admits_advertiser(self, advertiser: Advertiser) -> bool:
        """Whether the seller lets an advertiser bid here (``wadomain``)."""
        domains = self.domains
        return domains is None or not domains.isdisjoint(domain_and_parents(advertiser.domain))


def openings(
    imp: Imp, terms: Terms, known_deals: Container[str]
) -> tuple[Opening, ...] | NoBidReason:
    """The ways to bid on a slot, deals before the open auction, guaranteed ones first of all.

    Args:
        imp: the slot.
        terms: of the request.
        known_deals: those that any campaign may bid on; others cost nothing but this look.

    Returns:
        At least one opening, or why there is none.
    """
    pmp = imp.pmp
    found: tuple[Opening, ...] = ()
    if pmp is not None:
        if pmp.deals:
            found = _deal_openings(pmp.deals, terms, known_deals)
        if pmp.private_auction:
            return found or NoBidReason.PRIVATE_AUCTION
    currency = imp.bidfloorcur or DEFAULT_CURRENCY
    floor = _floor(imp.bidfloor, currency, terms)
    if floor is None:
        return found or NoBidReason.CURRENCY
    return (*found, Opening(None, floor, currency, terms.is_first_price))


def _deal_openings(
    deals: Sequence[Deal], terms: Terms, known_deals: Container[str]
) -> tuple[Opening, ...]:
    """The deals that we have a part in, each once."""
    found: dict[str, Opening] = {}
    for deal in deals:
        if deal.id in known_deals and deal.id not in found:
            opening = _deal_opening(deal, terms)
            if opening is not None:
                found[deal.id] = opening
    return tuple(sorted(found.values(), key=lambda one: not one.is_guaranteed))


def _deal_opening(deal: Deal, terms: Terms) -> Opening | None:
    """A deal as an opening, if its seats let us and its floor can be understood.

    ``bidfloorcur`` of a deal does not follow the slot's (2.6 section 3.2.12).
    """
    if deal.wseat and terms.seat not in deal.wseat:
        return None
    currency = deal.bidfloorcur or DEFAULT_CURRENCY
    floor = _floor(deal.bidfloor, currency, terms)
    if floor is None:
        return None
    return Opening(
        deal_id=deal.id,
        floor=floor,
        floor_currency=currency,
        is_first_price=is_first_price(deal.at) if deal.at else terms.is_first_price,
        is_fixed=deal.at == FIXED_PRICE and bool(deal.bidfloor),
        is_guaranteed=bool(deal.guar),
        domains=frozenset(map(str.lower, deal.wadomain)) if deal.wadomain else None,
        timed=deal if deal.durfloors or deal.mincpmpersec else None,
    )


def floor_of(
    opening: Opening, terms: Terms, seconds: float | None = None, media: TimedFloors | None = None
) -> Floor | None:
    """The floor of one ad; None where it is in a currency without a rate.

    A deal's own floors come first, then those by duration, then the slot's (implementation guide,
    section 7.11.2). Of a range and of a price per second that both fit, the higher one.

    Args:
        opening: where it bids.
        terms: of the request.
        seconds: how long the ad is; None for one that just stands there.
        media: the video or audio slot that it goes to.
    """
    timed = opening.timed if opening.deal_id is not None else media
    if timed is None or seconds is None:
        return opening.floor
    asked = [
        one.bidfloor
        for one in timed.durfloors or ()
        if one.bidfloor is not None
        and (one.mindur or 0) <= seconds
        and (one.maxdur is None or seconds <= one.maxdur)
    ]
    if timed.mincpmpersec:
        asked.append(timed.mincpmpersec * seconds)
    return _floor(max(asked), opening.floor_currency, terms) if asked else opening.floor


def bid_in(
    opening: Opening, floor: Floor, value_cpm_micros: float, campaign: Campaign, exchange: Exchange
) -> int | None:
    """What to bid, micros of our own currency for a thousand; None where it is not worth it.

    Between the floor and the value. On a guaranteed deal a campaign bids what it has promised at
    least, whatever the impression is worth; more than that no exchange can make it pay.
    """
    if value_cpm_micros < floor.cpm_micros:
        promised = opening.is_guaranteed and campaign.guaranteed_cpm_micros >= floor.cpm_micros
        return floor.cpm_micros if promised else None
    if opening.is_fixed:
        return floor.cpm_micros
    shaded = value_cpm_micros
    if opening.is_first_price:
        shaded = shade(value_cpm_micros, exchange.median_price_cpm_micros)
    return max(int(shaded), floor.cpm_micros)


def price_of(bid_cpm_micros: int, floor: Floor, terms: Terms) -> int:
    """A bid as its price, micros of the currency that prices are written in, above 0.

    Rounded down, so it says no more than the bid; at the floor it is what was asked for.
    """
    if bid_cpm_micros == floor.cpm_micros:
        return floor.price_micros
    if terms.ratio is EVEN:
        return bid_cpm_micros
    return max(1, terms.ratio.floor(bid_cpm_micros))


def _floor(amount: float | None, currency: str, terms: Terms) -> Floor | None:
    """A floor in both currencies, each rounded so that a bid at it is not below it."""
    asked = _micros_not_below(amount) if amount and amount > 0 else 0
    if asked and currency != terms.currency:
        ratio = terms.ratio_of(currency)
        if ratio is None:
            return None
        asked = ratio.ceil(asked)
    own = asked if terms.ratio is EVEN else terms.ratio.inverse.ceil(asked)
    if own >= LOWEST_BID_CPM_MICROS:
        return Floor(own, asked)
    return Floor(LOWEST_BID_CPM_MICROS, max(1, terms.ratio.floor(LOWEST_BID_CPM_MICROS)))


def _micros_not_below(amount: float) -> int:
    """The least number of micros that, written with six decimals, is not below ``amount``.

    0.1 is 100,000 micros: its nearest double is a little more, and so is that of "0.100000".
    """
    if amount > LARGEST_CPM:
        return int(LARGEST_CPM * MICROS)
    nearest = round(amount * MICROS)
    return nearest if nearest / MICROS >= amount else nearest + 1
