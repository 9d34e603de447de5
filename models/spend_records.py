"""What campaigns have spent and how they are paced: the records of the spend topic.

Streams writes them, bidders read them. Keys are ``spend/CAMPAIGN/PARTITION``, ``mark/PARTITION``,
``fold/PARTITION`` and ``pacing/CAMPAIGN``. Money is in micros of the owner's currency; a day is the
owner's (``KINBID_TIME_ZONE``), written ``YYYY-MM-DD``.
"""

from typing import Final, TypeAlias

import msgspec

from models.errors import EventError

__all__ = ["CampaignSpend", "DaySpend", "FoldMark", "Pacing", "SpendMark", "SpendRecord",
           "decode_spend", "encode_spend", "spend_key"]  # fmt: skip


class DaySpend(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What was billed in a day."""

    day: str
    spend_micros: int
    impressions: int


class CampaignSpend(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="spend"):
    """What one partition of the outcomes tells of a campaign.

    Attributes:
        campaign: its id.
        partition: of the outcomes topic.
        offset: of the newest notice in it: an earlier one counts no more.
        days: the newest two days, the newer one last.
    """

    campaign: str
    partition: int
    offset: int
    days: tuple[DaySpend, ...]


class SpendMark(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="mark"):
    """How far a partition of the outcomes has been counted, for all campaigns.

    Attributes:
        partition: of the outcomes topic.
        offset: of the newest record that is counted; -1 before the first.
        counted_ms: all that was told until then is counted, Unix ms.
    """

    partition: int
    offset: int
    counted_ms: int


class FoldMark(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fold"):
    """How far a partition of the outcomes has been folded into persons.

    Attributes:
        partition: of the outcomes topic.
        folded_ms: all that was told until then is folded, Unix ms.
    """

    partition: int
    folded_ms: int


class Pacing(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="pacing"):
    """How a campaign is paced, and where its control loop stands.

    Attributes:
        campaign: its id.
        day: for which it holds.
        log_control: of the multiplier (:mod:`models.value.pacing`).
        spent_micros: of the day when the last tick ended.
        tick_ms: when that was, Unix ms.
    """

    campaign: str
    day: str
    log_control: float
    spent_micros: int
    tick_ms: int


SpendRecord: TypeAlias = CampaignSpend | SpendMark | FoldMark | Pacing

encode_spend: Final = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[SpendRecord]] = msgspec.json.Decoder(SpendRecord)


def decode_spend(payload: bytes) -> SpendRecord:
    """Reads a record of the spend topic.

    Raises:
        EventError: it is none.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(f"not a record of spend: {error}") from error


def spend_key(record: SpendRecord) -> str:
    """The record's Kafka key."""
    match record:
        case CampaignSpend():
            return f"spend/{record.campaign}/{record.partition}"
        case SpendMark():
            return f"mark/{record.partition}"
        case FoldMark():
            return f"fold/{record.partition}"
        case Pacing():
            return f"pacing/{record.campaign}"
