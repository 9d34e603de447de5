"""The caps that the referee holds the bidder to, read from the marketers' own records."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from models.catalog_records import Campaign, CatalogRecord, Segment
from models.units import AdvertiserId, CampaignId

__all__ = ["Cap", "CapRule", "cap_rules_of"]


class Cap(msgspec.Struct, frozen=True):
    """At most ``impressions`` per person within any ``window_seconds``."""

    impressions: int
    window_seconds: int


class CapRule(msgspec.Struct, frozen=True):
    """A campaign's cap, which depends on how often the person has ordered.

    Attributes:
        advertiser: whose orders count.
        cap_for: from the number of orders to the cap; None where no segment takes the person.
    """

    advertiser: AdvertiserId
    cap_for: Callable[[int], Cap | None]


CapRules: TypeAlias = Mapping[CampaignId, CapRule]
"""Campaigns that are not in it have no cap: contextual ones."""


def cap_rules_of(records: Iterable[CatalogRecord]) -> dict[CampaignId, CapRule]:
    """The rules of every campaign that has segments."""
    kept = list(records)
    segments = {record.id: record for record in kept if isinstance(record, Segment)}
    return {
        record.id: _rule(record, tuple(segments[name] for name in record.segments))
        for record in kept
        if isinstance(record, Campaign) and record.segments
    }


def _rule(campaign: Campaign, segments: tuple[Segment, ...]) -> CapRule:
    def cap_for(order_count: int) -> Cap | None:
        for segment in segments:
            most = order_count if segment.max_orders is None else segment.max_orders
            if segment.min_orders <= order_count <= most:
                return Cap(segment.cap_impressions, segment.cap_window_seconds)
        return None

    return CapRule(campaign.advertiser, cap_for)
