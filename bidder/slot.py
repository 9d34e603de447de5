"""One slot of a request, as campaigns compete for it."""

import msgspec

from bidder.auction import lowest_bid_cpm_micros
from bidder.bids import Bid
from bidder.desk import Desk
from bidder.formats import AUDIO, BANNER, NATIVE, VIDEO, Asked, asked_of
from bidder.openrtb import Imp
from models.campaign_facts import ANY_BANNER, ANYTHING, size_value
from models.campaign_index import CONTEXTUAL, Candidates

__all__ = ["Slot", "slot_of"]

SECOND_PRICE = 2
NAMED_FORMATS = ((VIDEO, "video"), (AUDIO, "audio"), (NATIVE, "native"))


class Slot(msgspec.Struct, frozen=True):
    """A slot.

    Attributes:
        desk: the request.
        imp: the slot itself.
        picked: bids on slots before it, which count under caps already.
        asked: what it takes.
        floor_cpm_micros: the least that a bid may be.
        is_second_price: whether the winner pays the second price, so that a bid is the value.
        query: what campaigns' targeting is asked, without audience and offer.
    """

    desk: Desk
    imp: Imp
    picked: list[Bid]
    asked: Asked
    floor_cpm_micros: int
    is_second_price: bool
    query: dict[str, tuple[str, ...]]

    def candidates(self, audience: str, goal: str, offers: tuple[str, ...]) -> Candidates:
        """Campaigns that may be shown here to an audience, with one of the offers."""
        query = {"audience": (audience,), "goal": (goal,), "offer": offers} | self.query
        return self.desk.catalog.index.candidates(tuple(query.values()), query)

    def contextual(self) -> Candidates:
        """Campaigns that know no person, those that pay most first."""
        return self.candidates(CONTEXTUAL, CONTEXTUAL, (ANYTHING,))


def slot_of(desk: Desk, imp: Imp, picked: list[Bid]) -> Slot:
    """A slot of the request."""
    asked = asked_of(imp)
    return Slot(
        desk,
        imp,
        picked,
        asked,
        lowest_bid_cpm_micros(imp),
        (desk.request.at or SECOND_PRICE) == SECOND_PRICE,
        {"format": _format_values(asked)} | desk.query,
    )


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
