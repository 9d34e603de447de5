"""A campaign's creatives, prepared: which of them is shown in a slot."""

from collections.abc import Callable, Sequence
from typing import Final

from bidder.formats.banner import BannerFacts
from bidder.formats.facts import Facts
from bidder.formats.fit import AUDIO, BANNER, NATIVE, VIDEO, Asked, Fit, Fitted, Misfit
from bidder.formats.native import NativeFacts
from bidder.formats.native_request import NativeAsks
from bidder.formats.stream import StreamFacts
from models.catalog_records import Advertiser, Creative, Offer

__all__ = ["Lineup", "Lineups"]

RICHEST_FIRST: Final = (VIDEO, AUDIO, NATIVE, BANNER)
"""What a slot of several formats gets where a campaign has several; 2.6 allows one bid of one."""
FOR_ALL: Final = "any"
KEPT_LINEUPS: Final = 200_000
KEPT_BANNERS: Final = 64
"""Of a campaign: kinds of slots, as sizes and lists."""


class Lineup:
    """The creatives of one campaign.

    Args:
        creatives: in the order in which they are tried within a format.
        asks: reads what native slots want.

    Attributes:
        creatives: as given.
        formats: bits of all formats among them.
    """

    __slots__ = ("_all", "_banners", "_by_set", "_for_all", "creatives", "formats")

    def __init__(self, creatives: tuple[Creative, ...], asks: NativeAsks) -> None:
        self.creatives = creatives
        facts = [_facts_of(creative, asks) for creative in creatives]
        facts.sort(key=lambda one: RICHEST_FIRST.index(one.bit))
        self.formats = 0
        by_set: dict[str, list[Facts]] = {}
        for one in facts:
            self.formats |= one.bit
            by_set.setdefault(one.creative.creative_set, []).append(one)
        self._for_all = tuple(by_set.pop(FOR_ALL, ()))
        self._by_set = {name: (*own, *self._for_all) for name, own in by_set.items()}
        self._all = tuple(facts)
        self._banners: dict[tuple[str, tuple[object, ...] | None], Fitted | None] = {}

    def choose(
        self,
        asked: Asked,
        wanted_set: str,
        offer: Offer | None,
        advertiser: Advertiser,
        *,
        private_allowed: bool,
        is_taken: Callable[[Creative], bool] | None = None,
    ) -> Fit:
        """The first creative of the wanted set that fits, else one for all.

        Args:
            asked: what the slot takes.
            wanted_set: the segment's creative set.
            offer: what is advertised; None for a contextual ad.
            advertiser: whose ad it is.
            private_allowed: whether it is certain enough who is there for a private creative.
            is_taken: whether the request takes a creative, whatever the slot is; None takes all.

        Returns:
            The ad as it would be shown; else why the last one tried would not.
        """
        if asked.banner_key is not None:
            known = self._first_banner(asked, wanted_set, advertiser)
            if (
                known is not None
                and (private_allowed or not known.creative.is_private)
                and (is_taken is None or is_taken(known.creative))
            ):
                return known
        formats = asked.formats
        if not self.formats & formats:
            return Misfit.FORMAT
        reason = Misfit.SET
        for facts in self._by_set.get(wanted_set, self._for_all):
            if not facts.bit & formats:
                continue
            if facts.is_private and not private_allowed:
                reason = Misfit.PRIVATE
                continue
            if is_taken is not None and not is_taken(facts.creative):
                reason = Misfit.BARRED
                continue
            found = facts.fit(asked, offer, advertiser)
            if isinstance(found, Fitted):
                return found
            reason = found
        return reason

    def _first_banner(self, asked: Asked, wanted_set: str, advertiser: Advertiser) -> Fitted | None:
        """The first banner of the set that fits, whoever may see it; kept by what the slot takes.

        The offer does not matter to it.
        """
        key = wanted_set, asked.banner_key
        banners = self._banners
        if key in banners:
            return banners[key]
        fits = (
            facts.fit(asked, None, advertiser)
            for facts in self._by_set.get(wanted_set, self._for_all)
            if facts.bit == BANNER
        )
        first = next((one for one in fits if isinstance(one, Fitted)), None)
        if len(banners) >= KEPT_BANNERS:
            banners.clear()
        banners[key] = first
        return first

    def fits_of(
        self, asked: Asked, offer: Offer | None, advertiser: Advertiser
    ) -> Sequence[tuple[Creative, Fit]]:
        """Every creative with what comes of it, for explanations."""
        return [
            (facts.creative, _fit_or_format(facts, asked, offer, advertiser)) for facts in self._all
        ]


class Lineups:
    """Lineups by campaign, each made again when the campaign's creatives change."""

    def __init__(self) -> None:
        self._asks = NativeAsks()
        self._kept: dict[str, Lineup] = {}

    def of(self, campaign: str, creatives: tuple[Creative, ...]) -> Lineup:
        """The lineup of a campaign whose creatives are these."""
        known = self._kept.get(campaign)
        if known is not None and known.creatives is creatives:
            return known
        if len(self._kept) >= KEPT_LINEUPS:
            self._kept.clear()
        made = Lineup(creatives, self._asks)
        self._kept[campaign] = made
        return made


def _facts_of(creative: Creative, asks: NativeAsks) -> Facts:
    if creative.native is not None:
        return NativeFacts(creative, creative.native, asks)
    stream = creative.video or creative.audio
    return BannerFacts(creative) if stream is None else StreamFacts(creative, stream)


def _fit_or_format(facts: Facts, asked: Asked, offer: Offer | None, advertiser: Advertiser) -> Fit:
    return facts.fit(asked, offer, advertiser) if facts.bit & asked.formats else Misfit.FORMAT
