"""What all slots of one request share: the person, the context, and how each advertiser stands.

Everything is worked out when it is first asked for, and once.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from bidder.auction import Terms
from bidder.bids import Loss, Lost, Policy
from bidder.context import request_query, sites_of
from bidder.dsa import dsa_refused, dsa_shown
from bidder.inventory import place_of
from bidder.openrtb import BidRequest
from bidder.openrtb_context import App, Dooh
from models.budgets import Allowance
from models.call_tags import ads_paused_until_ms
from models.campaign_index import Query
from models.catalog import Catalog
from models.catalog_records import Channel, Creative, Exchange, Segment
from models.dealings import Dealings
from models.profile import Person
from models.reservations import Reservation
from models.segment_index import EMPTY, SegmentIndex

__all__ = ["Desk", "Standing"]


BLOCKED: Final = Lost(Loss.BLOCKED)
NOT_TRANSPARENT: Final = Lost(Loss.NOT_TRANSPARENT)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a request and its person stand with one advertiser.

    Attributes:
        lost: why none of its campaigns may bid; None where they may.
        dealings: the person's.
        index: of the advertiser's segments.
        mask: of those that hold the person; 0 where none of its campaigns may bid.
    """

    lost: Lost | None
    dealings: Dealings
    index: SegmentIndex = EMPTY
    mask: int = 0

    def first_of(self, segments: Iterable[str]) -> Segment | None:
        """The first of these segments that holds the person."""
        return self.index.first_of(self.mask, segments)


class Desk(msgspec.Struct, eq=False, gc=False):
    """A request on its way to a decision."""

    request: BidRequest
    terms: Terms
    person: Person
    exchange: Exchange
    catalog: Catalog
    policy: Policy
    now_ms: int
    excluded: frozenset[str]
    allowances: Mapping[str, Allowance]
    reserved: tuple[Reservation, ...] = ()
    _standings: dict[str, Standing] = {}
    _query: Query | None = None
    _query_values: tuple[tuple[str, ...], ...] | None = None
    _sites: tuple[str, ...] | None = None

    @property
    def query(self) -> Query:
        """The request's values in every dimension that matters, without its slots' formats."""
        if self._query is None:
            restricted = self.catalog.index.restricted
            self._query = request_query(self.request, self.exchange, restricted, self.now_ms)
        return self._query

    @property
    def query_values(self) -> tuple[tuple[str, ...], ...]:
        """The values alone: with the catalogue they name the query."""
        if self._query_values is None:
            self._query_values = tuple(self.query.values())
        return self._query_values

    @property
    def sites(self) -> tuple[str, ...]:
        """The names by which campaigns may list the inventory."""
        if self._sites is None:
            self._sites = sites_of(self.request)
        return self._sites

    @property
    def channel(self) -> Channel:
        """The kind of inventory; what says nothing is taken for a site."""
        place = place_of(self.request)
        if isinstance(place, App):
            return "app"
        return "dooh" if isinstance(place, Dooh) else "site"

    def takes(self, creative: Creative) -> bool:
        """Whether the request takes a creative's language, own categories and what it shows."""
        limits, dsa = self.terms.limits, self.terms.dsa
        if limits is not None:
            if creative.language and not limits.admits_language(creative.language):
                return False
            if creative.categories and not limits.admits_categories(creative.categories):
                return False
        return dsa is None or dsa_shown(dsa, creative)

    def standing_with(self, advertiser: str) -> Standing:
        """How the request and its person stand with an advertiser."""
        known = self._standings.get(advertiser)
        if known is None:
            known = self._standings[advertiser] = self._find_standing(advertiser)
        return known

    def _find_standing(self, name: str) -> Standing:
        person, catalog, terms = self.person, self.catalog, self.terms
        dealings = person.header.dealings_with(name)
        advertiser, lost = catalog.advertisers.get(name), None
        if advertiser is None or (terms.limits is not None and not terms.limits.admits(advertiser)):
            lost = BLOCKED
        elif terms.dsa is not None and dsa_refused(terms.dsa, advertiser):
            lost = NOT_TRANSPARENT
        elif person.header.calls:
            # An ad for nobody in particular would still reach whoever waits for a call.
            lost = self._paused_for_a_call(name)
        if lost is not None or person.root is None:
            return Standing(lost, dealings)
        index = catalog.segments_of(name)
        return Standing(None, dealings, index, index.mask_of(dealings, self.now_ms))

    def _paused_for_a_call(self, advertiser: str) -> Lost | None:
        calls, what = self.person.header.calls, self.catalog
        until_ms = ads_paused_until_ms(
            calls, advertiser, what.call_tags, what.departments, self.now_ms
        )
        if until_ms is None:
            return None
        until = dt.datetime.fromtimestamp(until_ms / 1000, tz=dt.UTC)
        return Lost(Loss.CALL_PAUSE, f"until {until.isoformat(' ', 'seconds')}")
