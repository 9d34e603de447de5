"""One opening of a slot, as campaigns compete for it."""

import msgspec

from bidder.bids import Bid
from bidder.desk import Desk
from bidder.formats import AUDIO, BANNER, NATIVE, VIDEO, Asked, Break, asked_of
from bidder.openings import Opening
from bidder.openrtb import Imp
from models.campaign_facts import ANY_BANNER, ANYTHING, OPEN_AUCTION, size_value
from models.campaign_index import CONTEXTUAL, Candidates, Query

__all__ = ["Slot", "slot_of"]

NAMED_FORMATS = ((VIDEO, "video"), (AUDIO, "audio"), (NATIVE, "native"))


class Slot(msgspec.Struct, frozen=True):
    """An opening of a slot.

    Attributes:
        desk: the request.
        imp: the slot itself.
        opening: the open auction for it, or one deal.
        picked: bids before this one, which count under caps already.
        asked: what it takes.
        query: what campaigns' targeting is asked, without audience and offer.
        query_key: names it.
        breaks: who is in the request's breaks already; None where it has none.
    """

    desk: Desk
    imp: Imp
    opening: Opening
    picked: list[Bid]
    asked: Asked
    query: Query
    query_key: tuple[tuple[str, ...], ...]
    breaks: Break | None

    @property
    def least_value_cpm_micros(self) -> int:
        """What an impression is worth at least to whoever bids; 0 where that depends on the ad."""
        opening, imp = self.opening, self.imp
        if opening.is_guaranteed or opening.timed is not None:
            return 0
        for stream in (imp.video, imp.audio):
            if stream is not None and (stream.durfloors or stream.mincpmpersec):
                return 0  # a short ad's floor may be lower than the slot's
        return opening.floor.cpm_micros

    def candidates(self, audience: str, goal: str, offers: tuple[str, ...]) -> Candidates:
        """Campaigns that may be shown here to an audience, with one of the offers."""
        index = self.desk.catalog.index
        key = (audience, goal, offers, self.query_key)
        known = index.known(key)
        if known is not None:
            return known
        query = {"audience": (audience,), "goal": (goal,), "offer": offers, **self.query}
        return index.candidates(key, query)

    def contextual(self) -> Candidates:
        """Campaigns that know no person, those that pay most first."""
        return self.candidates(CONTEXTUAL, CONTEXTUAL, (ANYTHING,))


def slot_of(
    desk: Desk, imp: Imp, opening: Opening, picked: list[Bid], breaks: Break | None = None
) -> Slot:
    """An opening of a slot of the request."""
    asked = asked_of(imp)
    deal = opening.deal_id if opening.deal_id is not None else OPEN_AUCTION
    query = {"format": _format_values(asked), "deal": (deal,), **desk.query}
    return Slot(desk, imp, opening, picked, asked, query, tuple(query.values()), breaks)


def _format_values(asked: Asked) -> tuple[str, ...]:
    """The values of the dimension ``format``: sizes of banners, and the names of formats.

    A banner slot without a size (proportions, or limits only) asks every banner.
    """
    values = [size_value(*size) for size in asked.sizes]
    if asked.formats != BANNER:
        values += [name for bit, name in NAMED_FORMATS if asked.formats & bit]
    if asked.is_flexible:
        values.append(ANY_BANNER)
    return tuple(sorted(values))
