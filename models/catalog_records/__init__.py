"""What marketers, revenue managers and shops publish: the records of the compacted topics.

A record's key is ``kind/id``, an offer's names its advertiser too; a tombstone withdraws it. Money
is in micros of the owner's currency, caps are impressions per person and window.
"""

from models.catalog_records.ad_media import Companion, Image, MediaFile
from models.catalog_records.advertiser import Advertiser
from models.catalog_records.campaign import Campaign
from models.catalog_records.codec import CatalogRecord, decode_record, encode_record, record_key
from models.catalog_records.creative import AdFormat, Creative
from models.catalog_records.exchange import Exchange
from models.catalog_records.native_ad import DATA_TYPES, NativeAd
from models.catalog_records.offers import Flight, Offer, Product
from models.catalog_records.rates import Rates
from models.catalog_records.segment import Channel, Segment
from models.catalog_records.stream_ad import AudioAd, StreamAd, TrackedEvent, VideoAd
from models.catalog_records.targeting import (
    MONEY_FEATURES,
    Condition,
    DeviceType,
    Feature,
    Targeting,
)
from models.catalog_records.telephony import CallTag, Department, LineState

__all__ = [
    "DATA_TYPES",
    "MONEY_FEATURES",
    "AdFormat",
    "Advertiser",
    "AudioAd",
    "CallTag",
    "Campaign",
    "CatalogRecord",
    "Channel",
    "Companion",
    "Condition",
    "Creative",
    "Department",
    "DeviceType",
    "Exchange",
    "Feature",
    "Flight",
    "Image",
    "LineState",
    "MediaFile",
    "NativeAd",
    "Offer",
    "Product",
    "Rates",
    "Segment",
    "StreamAd",
    "Targeting",
    "TrackedEvent",
    "VideoAd",
    "decode_record",
    "encode_record",
    "record_key",
]
