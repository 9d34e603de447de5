"""One opening of a slot, as campaigns compete for it."""

import msgspec

from bidder.bids import Bid
from bidder.desk import Desk
from bidder.openings import Opening
from bidder.openrtb import Imp
from models.campaign_facts import ANYTHING, OPEN_AUCTION, size_value
from models.campaign_index import CONTEXTUAL, Candidates, Query

__all__ = ["Slot", "slot_of"]


class Slot(msgspec.Struct, frozen=True):
    """An opening of a slot.

    Attributes:
        desk: the request.
        imp: the slot itself.
        opening: the open auction for it, or one deal.
        picked: bids before this one, which count under caps already.
        is_choosy: not every creative of a fitting size will do.
        sizes: in which a banner may be shown.
        query: what campaigns' targeting is asked, without audience and offer.
    """

    desk: Desk
    imp: Imp
    opening: Opening
    picked: list[Bid]
    is_choosy: bool
    sizes: frozenset[tuple[int, int]]
    query: Query

    @property
    def least_value_cpm_micros(self) -> int:
        """What an impression is worth at least to whoever bids, but for promises."""
        opening = self.opening
        return 0 if opening.is_guaranteed else opening.floor.cpm_micros

    def candidates(self, audience: str, goal: str, offers: tuple[str, ...]) -> Candidates:
        """Campaigns that may be shown here to an audience, with one of the offers."""
        query = {"audience": (audience,), "goal": (goal,), "offer": offers, **self.query}
        return self.desk.catalog.index.candidates(tuple(query.values()), query)

    def contextual(self) -> Candidates:
        """Campaigns that know no person, those that pay most first."""
        return self.candidates(CONTEXTUAL, CONTEXTUAL, (ANYTHING,))


def slot_of(desk: Desk, imp: Imp, opening: Opening, picked: list[Bid]) -> Slot:
    """An opening of a slot of the request."""
    sizes = frozenset(imp.banner.sizes() if imp.banner else ())
    formats = tuple(sorted(size_value(*size) for size in sizes))
    deal = opening.deal_id if opening.deal_id is not None else OPEN_AUCTION
    query = {"format": formats, "deal": (deal,), **desk.query}
    terms, banner = desk.terms, imp.banner
    is_choosy = bool(
        terms.limits is not None
        or terms.dsa is not None
        or (banner is not None and (banner.battr or banner.btype))
    )
    return Slot(desk, imp, opening, picked, is_choosy, sizes, query)
