"""Records as bytes and as Kafka keys."""

from typing import Final, TypeAlias, cast

import msgspec

from models.catalog_records.advertiser import Advertiser
from models.catalog_records.campaign import Campaign
from models.catalog_records.creative import Creative
from models.catalog_records.exchange import Exchange
from models.catalog_records.offers import Flight, Offer, Product
from models.catalog_records.rates import Rates
from models.catalog_records.segment import Segment
from models.catalog_records.telephony import CallTag, Department, LineState
from models.errors import EventError, KinbidError

__all__ = ["CatalogRecord", "decode_record", "encode_record", "record_key"]

CatalogRecord: TypeAlias = (
    Advertiser | Exchange | Segment | Campaign | Creative | CallTag | Department | Rates
)  # fmt: skip
"""Records of the catalogue topic: written by marketers, few."""

_decoder: Final[msgspec.json.Decoder[CatalogRecord | Offer | LineState]] = msgspec.json.Decoder(
    CatalogRecord | Offer | LineState
)
encode_record: Final = msgspec.json.Encoder().encode


def decode_record(payload: bytes) -> CatalogRecord | Offer | LineState:
    """Reads and checks a record of any kind.

    Raises:
        EventError: not a record, or a value that cannot be used; the text names the field.
    """
    try:
        record = _decoder.decode(payload)
        record.check()
    except (msgspec.MsgspecError, UnicodeDecodeError, KinbidError) as error:
        raise EventError(str(error)) from error
    return record


def record_key(record: CatalogRecord | Offer | LineState) -> str:
    """The record's Kafka key: ``kind/id``, for offers ``kind/advertiser/id``."""
    kind = cast("str", record.__struct_config__.tag)
    if isinstance(record, Flight | Product):
        return f"{kind}/{record.advertiser}/{record.id}"
    if isinstance(record, LineState):
        return f"{kind}/{record.advertiser}"
    if isinstance(record, Rates):
        return f"{kind}/{record.base}"
    return f"{kind}/{record.id}"
