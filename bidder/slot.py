"""One opening of a slot, as campaigns compete for it."""

from functools import lru_cache
from typing import Final

import msgspec

from bidder.bids import Bid
from bidder.desk import Desk
from bidder.formats import AUDIO, BANNER, NATIVE, VIDEO, Asked, Break, asked_of
from bidder.openings import Opening
from bidder.openrtb import Imp
from bidder.openrtb_formats import MOST_REMEMBERED
from models.campaign_facts import ANY_BANNER, ANYTHING, OPEN_AUCTION, size_value
from models.campaign_index import CONTEXTUAL, Candidates, Query

__all__ = ["ANY_OFFER", "Slot", "slot_of"]

ANY_OFFER: Final = (ANYTHING,)
NAMED_FORMATS: Final = ((VIDEO, "video"), (AUDIO, "audio"), (NATIVE, "native"))


class Slot(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An opening of a slot.

    Attributes:
        desk: the request.
        imp: the slot itself.
        opening: the open auction for it, or one deal.
        picked: bids before this one, which count under caps already.
        asked: what it takes.
        formats: the same as values of that dimension.
        breaks: who is in the request's breaks already; None where it has none.
    """

    desk: Desk
    imp: Imp
    opening: Opening
    picked: list[Bid]
    asked: Asked
    formats: tuple[str, ...]
    breaks: Break | None

    @property
    def query(self) -> Query:
        """What campaigns' targeting is asked, without audience and offer."""
        deal = self.opening.deal_id
        deals = (OPEN_AUCTION if deal is None else deal,)
        return {"format": self.formats, "deal": deals, **self.desk.query}

    @property
    def least_value_cpm_micros(self) -> int:
        """What an impression is worth at least to whoever bids; 0 where that depends on the ad."""
        opening, imp = self.opening, self.imp
        if opening.is_guaranteed or opening.timed is not None:
            return 0
        if imp.video is not None or imp.audio is not None:
            for stream in (imp.video, imp.audio):
                if stream is not None and (stream.durfloors or stream.mincpmpersec):
                    return 0  # a short ad's floor may be lower than the slot's
        return opening.floor.cpm_micros

    def candidates(self, audience: str, goal: str, offers: tuple[str, ...]) -> Candidates:
        """Campaigns that may be shown here to an audience, with one of the offers.

        ``ANY_OFFER`` will do while no campaign's offers are limited: few answers serve all people.
        """
        desk = self.desk
        index = desk.catalog.index
        key = (audience, goal, offers, self.formats, self.opening.deal_id, desk.query_values)
        known = index.known(key)
        if known is not None:
            return known
        query = {"audience": (audience,), "goal": (goal,), "offer": offers, **self.query}
        return index.candidates(key, query)

    def contextual(self) -> Candidates:
        """Campaigns that know no person, those that pay most first."""
        return self.candidates(CONTEXTUAL, CONTEXTUAL, ANY_OFFER)


def slot_of(
    desk: Desk, imp: Imp, opening: Opening, picked: list[Bid], breaks: Break | None = None
) -> Slot:
    """An opening of a slot of the request."""
    asked = asked_of(imp)
    values = _format_values if len(asked.sizes) <= MOST_REMEMBERED else _format_values.__wrapped__
    formats = values(asked.formats, asked.sizes, is_flexible=asked.is_flexible)
    return Slot(desk, imp, opening, picked, asked, formats, breaks)


@lru_cache(maxsize=4096)
def _format_values(
    formats: int, sizes: frozenset[tuple[int, int]], *, is_flexible: bool
) -> tuple[str, ...]:
    """The values of the dimension ``format``: sizes of banners, and the names of formats.

    A banner slot without a size (proportions, or limits only) asks every banner.
    """
    values = [size_value(*size) for size in sizes]
    if formats != BANNER:
        values += [name for bit, name in NAMED_FORMATS if formats & bit]
    if is_flexible:
        values.append(ANY_BANNER)
    return tuple(sorted(values))
