"""The caps that the referee holds the bidder to, read from the marketers' own records."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from models.catalog_records import Campaign, CatalogRecord, Segment
from models.limits import Cap
from models.units import AdvertiserId, CampaignId

__all__ = ["CapRule", "cap_rules_of"]


class CapRule(msgspec.Struct, frozen=True):
    """A campaign's caps, which depend on how often the person has ordered.

    Attributes:
        advertiser: whose orders count.
        caps_for: from the number of orders to the caps, all of which hold; none where no segment
            takes the person.
    """

    advertiser: AdvertiserId
    caps_for: Callable[[int], tuple[Cap, ...]]


CapRules: TypeAlias = Mapping[CampaignId, CapRule]
"""Campaigns that are not in it have no cap: contextual ones."""


def cap_rules_of(records: Iterable[CatalogRecord]) -> dict[CampaignId, CapRule]:
    """The rules of every campaign that has segments.

    Raises:
        ValueError: a segment adjusts its caps to the person.
    """
    kept = list(records)
    segments = {record.id: record for record in kept if isinstance(record, Segment)}
    return {
        record.id: _rule(record, tuple(segments[name] for name in record.segments))
        for record in kept
        if isinstance(record, Campaign) and record.segments
    }


def _rule(campaign: Campaign, segments: tuple[Segment, ...]) -> CapRule:
    for segment in segments:
        if segment.cap_adjustments:
            raise ValueError(f"segment {segment.id}: the referee cannot judge adjusted caps")

    def caps_for(order_count: int) -> tuple[Cap, ...]:
        for segment in segments:
            most = order_count if segment.max_orders is None else segment.max_orders
            if segment.min_orders <= order_count <= most:
                return (*segment.caps, *campaign.caps)
        return ()

    return CapRule(campaign.advertiser, caps_for)
