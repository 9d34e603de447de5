"""One slot of a request, as campaigns compete for it."""

import msgspec

from bidder.auction import lowest_bid_cpm_micros
from bidder.bids import Bid
from bidder.desk import Desk
from bidder.openrtb import Imp
from models.campaign_facts import ANYTHING, size_value
from models.campaign_index import CONTEXTUAL, Candidates, Query

__all__ = ["Slot", "slot_of"]

SECOND_PRICE = 2


class Slot(msgspec.Struct, frozen=True):
    """A slot.

    Attributes:
        desk: the request.
        imp: the slot itself.
        picked: bids on slots before it, which count under caps already.
        sizes: in which a banner may be shown.
        floor_cpm_micros: the least that a bid may be.
        is_second_price: whether the winner pays the second price, so that a bid is the value.
        query: what campaigns' targeting is asked, without audience and offer.
    """

    desk: Desk
    imp: Imp
    picked: list[Bid]
    sizes: frozenset[tuple[int, int]]
    floor_cpm_micros: int
    is_second_price: bool
    query: Query

    def candidates(self, audience: str, goal: str, offers: tuple[str, ...]) -> Candidates:
        """Campaigns that may be shown here to an audience, with one of the offers."""
        query = {"audience": (audience,), "goal": (goal,), "offer": offers, **self.query}
        return self.desk.catalog.index.candidates(tuple(query.values()), query)

    def contextual(self) -> Candidates:
        """Campaigns that know no person, those that pay most first."""
        return self.candidates(CONTEXTUAL, CONTEXTUAL, (ANYTHING,))


def slot_of(desk: Desk, imp: Imp, picked: list[Bid]) -> Slot:
    """A slot of the request."""
    sizes = frozenset(imp.banner.sizes() if imp.banner else ())
    formats = tuple(sorted(size_value(*size) for size in sizes))
    return Slot(
        desk,
        imp,
        picked,
        sizes,
        lowest_bid_cpm_micros(imp),
        (desk.request.at or SECOND_PRICE) == SECOND_PRICE,
        {"format": formats, **desk.query},
    )
