"""Which records of the catalogue a decision was made of: noted while it is made, then collected."""

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, cast

from bidder.openrtb import BidRequest
from models.campaign_index import CampaignIndex, Candidates, Query
from models.catalog import Catalog
from models.catalog_records import Campaign, CatalogRecord, LineState, Offer, record_key
from models.profile import Person

__all__ = ["SMALL_CATALOG", "AnyRecord", "Behind", "records_behind", "watched"]

SMALL_CATALOG: Final = 32
"""Of a catalogue with no more campaigns than this a receipt has all; of another one those that came
into question, since why the others did not is what their targeting says."""


AnyRecord: TypeAlias = CatalogRecord | Offer | LineState


class Behind(NamedTuple):
    """What of the catalogue a decision was made of.

    Attributes:
        records: that mattered.
        deals: of the request, with how many campaigns may bid on each, untried ones included.
    """

    records: tuple[AnyRecord, ...]
    deals: dict[str, int]

    def newer(self, catalog: Catalog) -> tuple[AnyRecord, ...]:
        """Those of the records that stand otherwise in a catalogue, as they stand there."""
        known = (catalog.record(record_key(one)) for one in self.records)
        pairs = zip(self.records, known, strict=True)
        return tuple(now for then, now in pairs if now is not None and now is not then)


class _Noted:
    """Candidates, of which each is noted when it is looked at."""

    __slots__ = ("_found", "_seen")

    def __init__(self, found: Candidates, seen: dict[str, Campaign]) -> None:
        self._found = found
        self._seen = seen

    def __iter__(self) -> Iterator[Campaign]:
        for campaign in self._found:
            self._seen[campaign.id] = campaign
            yield campaign


class _WatchedIndex:
    """An index that notes what is found in it."""

    __slots__ = ("_index", "_seen", "restricted")

    def __init__(self, index: CampaignIndex, seen: dict[str, Campaign]) -> None:
        self._index = index
        self._seen = seen
        self.restricted = index.restricted

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def known(self, key: tuple[object, ...]) -> _Noted | None:
        found = self._index.known(key)
        return None if found is None else _Noted(found, self._seen)

    def candidates(self, key: tuple[object, ...], query: Query) -> _Noted:
        return _Noted(self._index.candidates(key, query), self._seen)


def watched(catalog: Catalog, seen: dict[str, Campaign]) -> Catalog:
    """The same catalogue for one decision; every campaign that it looks at is put into ``seen``."""
    view = copy.copy(catalog)
    view.index = cast("Any", _WatchedIndex(catalog.index, seen))
    return view


def records_behind(
    catalog: Catalog, campaigns: Collection[str], arguments: Mapping[str, Any]
) -> Behind:
    """That from which a decision over some campaigns can be made again.

    Args:
        catalog: as it was when the decision was made.
        campaigns: that were looked at, and others that are to be explained.
        arguments: of ``decide``.
    """
    person, terms = arguments["person"], arguments.get("terms")
    if len(catalog.campaigns) <= SMALL_CATALOG:
        campaigns = catalog.campaigns
    chosen = [catalog.campaigns[name] for name in campaigns if name in catalog.campaigns]
    advertisers = {one.advertiser: None for one in chosen}
    segments = {name: None for one in chosen for name in one.segments}
    records: list[AnyRecord] = [arguments["exchange"]]
    for name in advertisers:
        if name in catalog.advertisers:
            records.append(catalog.advertisers[name])
        if name in catalog.lines:
            records.append(catalog.lines[name])
        records += _offers(catalog, name, person)
    records += [catalog.segments[name] for name in segments if name in catalog.segments]
    records += chosen
    for one in chosen:
        records += catalog.creatives.get(one.id, ())
    records += [table.record for table in catalog.rates.values()]
    if terms is not None and terms.rates is not None:
        records.append(terms.rates.record)  # newer ones may have come since the terms were made
    if person.header.calls:
        records += [*catalog.call_tags.values(), *catalog.departments.values()]
    return Behind(tuple(records), _deals_of(arguments["request"], catalog))


def _deals_of(request: BidRequest, catalog: Catalog) -> dict[str, int]:
    told = (imp.pmp.deals or () for imp in request.imp if imp.pmp is not None)
    named = {deal.id for deals in told for deal in deals}
    return {name: catalog.deals[name] for name in sorted(named) if name in catalog.deals}


def _offers(catalog: Catalog, advertiser: str, person: Person) -> Iterator[Offer]:
    """All that the advertiser sells of what the person looked at."""
    dealings = person.header.dealings_with(advertiser)
    for trip in {search.key: None for search in dealings.searches(advertiser)}:
        yield from catalog.board.departures(advertiser, trip)
    for look in dealings.products(advertiser):
        product = catalog.products.get((advertiser, look.key))
        if product is not None:
            yield product
