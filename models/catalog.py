"""The catalogue in memory: what may be advertised, to whom, at which price.

One thread owns it and applies one record at a time, so whoever reads between two records sees
them whole. Prices, seats and target CPAs change in place; nothing is rebuilt.
"""

from collections import Counter

from models.campaign_facts import facts_of
from models.campaign_index import CampaignIndex
from models.catalog_records import (
    Advertiser,
    CallTag,
    Campaign,
    CatalogRecord,
    Creative,
    Department,
    Exchange,
    Flight,
    LineState,
    Offer,
    Product,
    Rates,
    Segment,
    record_key,
)
from models.currency import RateTable
from models.flight_board import FlightBoard
from models.segment_index import SegmentIndex
from models.units import CampaignId

__all__ = ["Catalog"]

Record = CatalogRecord | Offer | LineState


class Catalog:
    """Everything that the bidder knows without asking anyone."""

    def __init__(self) -> None:
        self.advertisers: dict[str, Advertiser] = {}
        self.exchanges: dict[str, Exchange] = {}
        self.segments: dict[str, Segment] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.creatives: dict[CampaignId, tuple[Creative, ...]] = {}
        self.flights: dict[tuple[str, str], Flight] = {}
        self.products: dict[tuple[str, str], Product] = {}
        self.call_tags: dict[str, CallTag] = {}
        self.departments: dict[str, Department] = {}
        self.lines: dict[str, LineState] = {}
        self.rates: dict[str, RateTable] = {}
        """By the currency that they are in."""
        self.deals: Counter[str] = Counter()
        """How many campaigns may bid on each deal; paused ones are among them."""
        self.index = CampaignIndex()
        self._segment_indexes: dict[str, SegmentIndex] = {}
        self._limited_count = 0
        self.board = FlightBoard()
        self._records: dict[str, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def records(self) -> dict[str, Record]:
        """Every record by its key, for listings and comparisons."""
        return dict(self._records)

    def marketing(self) -> list[CatalogRecord]:
        """The records that marketers write: neither offers nor what streams works out."""
        others = Flight | Product | LineState
        return [one for one in self._records.values() if not isinstance(one, others)]

    def segments_of(self, advertiser: str) -> SegmentIndex:
        """The advertiser's segments, by whom they hold."""
        known = self._segment_indexes.get(advertiser)
        if known is None:
            own = [one for one in self.segments.values() if one.advertiser == advertiser]
            known = self._segment_indexes[advertiser] = SegmentIndex(own)
        return known

    @property
    def offers_are_limited(self) -> bool:
        """Whether any campaign or segment may not see everything, so first choices differ."""
        return self._limited_count > 0

    def apply(self, record: Record) -> bool:
        """Puts one record in; returns False for a version older than the one that stands there."""
        key = record_key(record)
        before = self._records.get(key)
        if isinstance(record, Flight | Product | LineState):
            newest = getattr(before, "updated_ms", 0)
            if record.updated_ms < newest:
                return False
        if before is not None:
            self._take_out(before)
        self._records[key] = record
        self._put_in(record)
        return True

    def withdraw(self, key: str) -> bool:
        """Takes the record of ``kind/id`` out; returns whether there was one."""
        record = self._records.pop(key, None)
        if record is not None:
            self._take_out(record)
        return record is not None

    def _put_in(self, record: Record) -> None:
        if isinstance(record, Campaign | Segment):
            self._limited_count += bool(record.offers)
        match record:
            case Advertiser():
                self.advertisers[record.id] = record
            case Exchange():
                self.exchanges[record.id] = record
            case Segment():
                self.segments[record.id] = record
                self._segment_indexes.pop(record.advertiser, None)
            case Campaign():
                self.campaigns[record.id] = record
                self.deals.update(record.deals)
                self._place(record.id)
            case Creative():
                self._set_creatives(record, add=True)
            case Flight():
                self.flights[record.advertiser, record.id] = record
                self.board.put(record)
            case Product():
                self.products[record.advertiser, record.id] = record
            case Rates():
                self.rates[record.base] = RateTable(record)
            case _:
                self._put_in_for_calls(record)

    def _take_out(self, record: Record) -> None:
        if isinstance(record, Campaign | Segment):
            self._limited_count -= bool(record.offers)
        match record:
            case Advertiser():
                del self.advertisers[record.id]
            case Exchange():
                del self.exchanges[record.id]
            case Segment():
                del self.segments[record.id]
                self._segment_indexes.pop(record.advertiser, None)
            case Campaign():
                del self.campaigns[record.id]
                self.deals = self.deals - Counter(record.deals)
                self._place(record.id)
            case Creative():
                self._set_creatives(record, add=False)
            case Flight():
                del self.flights[record.advertiser, record.id]
                self.board.take(record)
            case Product():
                del self.products[record.advertiser, record.id]
            case Rates():
                del self.rates[record.base]
            case _:
                self._take_out_for_calls(record)

    def _put_in_for_calls(self, record: CallTag | Department | LineState) -> None:
        match record:
            case CallTag():
                self.call_tags[record.id] = record
            case Department():
                self.departments[record.id] = record
            case LineState():
                self.lines[record.advertiser] = record

    def _take_out_for_calls(self, record: CallTag | Department | LineState) -> None:
        match record:
            case CallTag():
                del self.call_tags[record.id]
            case Department():
                del self.departments[record.id]
            case LineState():
                del self.lines[record.advertiser]

    def _set_creatives(self, creative: Creative, *, add: bool) -> None:
        others = [c for c in self.creatives.get(creative.campaign, ()) if c.id != creative.id]
        chosen = [*others, creative] if add else others
        self.creatives[creative.campaign] = tuple(sorted(chosen, key=lambda c: c.id))
        self._place(creative.campaign)

    def _place(self, name: CampaignId) -> None:
        """Puts a campaign into the index as it is now, or takes it out."""
        campaign = self.campaigns.get(name)
        if campaign is None or not campaign.is_active:
            self.index.remove(name)
        else:
            self.index.put(campaign, facts_of(campaign, self.creatives.get(name, ())))
