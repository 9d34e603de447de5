"""Breaks of several video or audio ads (pods), and where a player stands (2.6 impl. 7.6, 7.10)."""

from collections.abc import Sequence
from typing import Final

from bidder.openrtb import Imp
from bidder.openrtb_formats import Video

__all__ = ["Break", "bids_wanted", "break_of", "plcmt_of"]

MOST_BIDS: Final = 10
"""For one slot, however many a break has room for: an answer stays small (H16)."""
INSTREAM, STANDALONE, INTERSTITIAL = 1, 4, 3
PLCMT_OF_PLACEMENT: Final = {
    1: INSTREAM,
    2: STANDALONE,
    3: STANDALONE,
    4: STANDALONE,
    5: INTERSTITIAL,
}
"""The deprecated list said where a player stands, the new one also how it begins: in-stream of the
old is the nearest that there is to the new one's."""


def plcmt_of(video: Video) -> int | None:
    """Where a player stands: ``plcmt``, else from ``placement``; None where neither says (F9)."""
    if video.plcmt:
        return video.plcmt
    return PLCMT_OF_PLACEMENT.get(video.placement or 0)


def bids_wanted(imp: Imp) -> int:
    """How many ads a slot may be sold to: more than 1 for the dynamic part of a break (F8).

    The seller builds the break and may take any of them.
    """
    stream = imp.video or imp.audio
    if stream is None or not stream.poddur:
        return 1
    shortest = min(stream.rqddurs, default=1) if stream.rqddurs else stream.minduration or 1
    room = stream.poddur // max(shortest, 1)
    return max(1, min(stream.maxseq or room, room, MOST_BIDS))


class Break:
    """The breaks of one request, and who is in them: rivals are kept apart (F8).

    Two ads of an advertiser, or of one category, do not run in one break. Categories are compared
    by their first part, so IAB20-3 and IAB20-7 are rivals. Bids on one structured slot are no
    rivals: only one of them can win it.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[str, dict[str, str]] = {}

    def admits(self, imp: Imp, advertiser: str, categories: Sequence[str]) -> bool:
        """Whether an ad may stand beside those that were added to the slot's break."""
        taken = self._taken.get(break_of(imp))
        if not taken:
            return True
        itself = "" if bids_wanted(imp) > 1 else imp.id
        return all(taken.get(mark, itself) == itself for mark in _marks(advertiser, categories))

    def add(self, imp: Imp, advertiser: str, categories: Sequence[str]) -> None:
        """Puts an ad into the slot's break; a slot outside of any break is forgotten."""
        name = break_of(imp)
        if name:
            taken = self._taken.setdefault(name, {})
            for mark in _marks(advertiser, categories):
                taken.setdefault(mark, imp.id)


def break_of(imp: Imp) -> str:
    """The name of a slot's break; empty outside of any.

    Slots of one ``podid`` share a break; a dynamic slot without one is a break by itself.
    """
    stream = imp.video or imp.audio
    if stream is None:
        return ""
    if stream.podid:
        return f"pod {stream.podid}"
    return f"slot {imp.id}" if stream.poddur else ""


def _marks(advertiser: str, categories: Sequence[str]) -> set[str]:
    return {f"advertiser {advertiser}", *(one.partition("-")[0] for one in categories)}
