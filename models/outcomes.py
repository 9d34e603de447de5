"""What became of our bids, as it stands in Kafka: notices of exchanges, our pixel, our clicks.

Only :class:`Billing` moves money and caps, once per ``nonce``; which notice makes one is the
exchange's contract (OpenRTB 2.6, implementation guide, 7.8). All others are kept for people and
for prices. Every notice may come twice, in any order, and without the others. What was shown where
we do not bid comes beside them as :class:`ImportedImpression`, and counts the same.
"""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from models.errors import EventError
from models.event_base import (
    MAX_EVENT_ID,
    MAX_MONEY_MICROS,
    Advertiser,
    Name,
    check_key,
    check_node,
    check_time,
    not_ahead,
)
from models.identifiers import NodeId
from models.limits import Limit
from models.units import AdvertiserId, CampaignId, CreativeId, ExchangeId

__all__ = [
    "AuctionLoss",
    "Billing",
    "Click",
    "ImportedImpression",
    "Impression",
    "NoticeOutcome",
    "NoticeSource",
    "Outcome",
    "UncountedBilling",
    "Win",
    "decode_outcome",
    "read_outcome",
]

NoticeSource: TypeAlias = Literal["burl", "pixel", "nurl"]
"""What may bill at an exchange: its billing notice, our impression pixel, its win notice."""

Id: TypeAlias = Annotated[str, Meta(max_length=128)]


class _Outcome(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every notice has.

    Attributes:
        node: the identifier that decided the bid, and the key; empty for a contextual bid.
        nonce: the bid's name, ``bid.id``.
        campaign, creative, exchange: ids.
        clearing_cpm_micros: the price that was notified, for a thousand impressions; after
            discounts (2.6 section 4.4.1).
        notice_time_ms: when the notice came, Unix ms.
        personal: whether the bid was for a person.
        auction, imp: ids of the bid request and the slot; one that is long as a digest.
        bid_time_ms: when the bid was made, Unix ms; 0 where that is not known.
        bid_cpm_micros: what was bid; 0 where that is not known.
        viewer: a keyed digest of the viewer's address and user agent, only of a personal bid.
    """

    node: NodeId
    nonce: str
    campaign: CampaignId
    creative: CreativeId
    exchange: ExchangeId
    clearing_cpm_micros: int
    notice_time_ms: int
    personal: bool
    auction: Id = ""
    imp: Id = ""
    bid_time_ms: int = 0
    bid_cpm_micros: int = 0
    viewer: Id = ""

    @property
    def time_ms(self) -> int:
        """When it happened, Unix ms."""
        return self.notice_time_ms


class Win(_Outcome, frozen=True, kw_only=True, tag="win"):
    """The auction was won. Not an impression: it moves no cap and no spend.

    Attributes:
        min_to_win_cpm_micros: what would have been enough (2.6 section 4.4); None where the
            exchange does not say.
    """

    min_to_win_cpm_micros: int | None = None


class Billing(_Outcome, frozen=True, kw_only=True, tag="billing"):
    """The impression was billed: spend and caps move here, once per ``nonce``.

    Attributes:
        source: which notice said so, the one that bills at this exchange.
        advertiser: the campaign's; empty in records of an earlier kinbid.
        reserved_seconds: for how long the bid held its place under the caps.
        limits: the caps that the bid was made under, for the meter of impressions beyond them.
    """

    source: NoticeSource = "burl"
    advertiser: AdvertiserId = AdvertiserId("")
    reserved_seconds: int = 0
    limits: tuple[Limit, ...] = ()

    @property
    def cost_micros(self) -> int:
        """What this one impression has cost; its price is for a thousand."""
        return round(self.clearing_cpm_micros / 1000)


class UncountedBilling(_Outcome, frozen=True, kw_only=True, tag="uncounted_billing"):
    """A billing notice of an exchange that bills by something else: it moves nothing."""


class Impression(_Outcome, frozen=True, kw_only=True, tag="impression"):
    """Our pixel was fetched, at an exchange that bills by something else: it moves nothing."""


class AuctionLoss(_Outcome, frozen=True, kw_only=True, tag="loss"):
    """The bid lost, so its place under a cap will not be used.

    Attributes:
        reason: a code of OpenRTB's list of loss reasons; None where the exchange does not say.
        min_to_win_cpm_micros: what would have won (2.6 section 4.4); None likewise.
    """

    reason: int | None = None
    min_to_win_cpm_micros: int | None = None


class Click(_Outcome, frozen=True, kw_only=True, tag="click"):
    """The ad was clicked. It has no price: ``clearing_cpm_micros`` is 0."""


class ImportedImpression(msgspec.Struct, frozen=True, kw_only=True, tag_field="type",
                         tag="imported_impression"):  # fmt: skip
    """An impression on a channel on which we do not bid: it uses up the same caps.

    Attributes:
        node: the identifier under which it counts, and the key.
        impression_id: names it with its source and advertiser, which give it again if they send it
            again.
        source: where it was shown, such as ``facebook`` or ``direct``.
        advertiser: whose caps it counts for.
        campaign: whose it counts for, too; empty where it belongs to none of ours.
        cost_micros: what it has cost.
        shown_time_ms: when, Unix ms.
    """

    node: NodeId
    impression_id: Annotated[str, Meta(min_length=1, max_length=MAX_EVENT_ID)]
    source: Name
    advertiser: Annotated[Advertiser, Meta(min_length=1)]
    campaign: Annotated[CampaignId, Meta(max_length=64)] = CampaignId("")
    cost_micros: int = 0
    shown_time_ms: int

    @property
    def time_ms(self) -> int:
        """When it happened, Unix ms."""
        return self.shown_time_ms


NoticeOutcome: TypeAlias = Win | Billing | UncountedBilling | Impression | AuctionLoss | Click
"""What a notice says."""

Outcome: TypeAlias = NoticeOutcome | ImportedImpression

_decoder: Final[msgspec.json.Decoder[Outcome]] = msgspec.json.Decoder(Outcome)
_replace: Final = msgspec.structs.replace


def decode_outcome(payload: bytes) -> Outcome:
    """Reads a notice's record.

    Raises:
        EventError: not an outcome; the text names the field.
    """
    try:
        outcome = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(f"not an outcome: {error}") from error
    if isinstance(outcome, ImportedImpression):
        check_node("node", outcome.node)
        check_time("shown_time_ms", outcome.shown_time_ms)
        if not 0 <= outcome.cost_micros <= MAX_MONEY_MICROS:
            raise EventError(f"cost_micros: {outcome.cost_micros} is not a cost")
        return outcome
    if outcome.node:
        check_node("node", outcome.node)
    check_time("notice_time_ms", outcome.notice_time_ms)
    if not 0 <= outcome.clearing_cpm_micros <= MAX_MONEY_MICROS:
        raise EventError(f"clearing_cpm_micros: {outcome.clearing_cpm_micros} is not a price")
    return outcome


def read_outcome(key: bytes | None, value: bytes | None, recorded_ms: int) -> Outcome:
    """Reads a notice's record as it stands in Kafka.

    Args:
        key: its record's.
        value: its record's.
        recorded_ms: its record's timestamp, Unix ms.

    Raises:
        EventError: not an outcome, not under the identifier that it has, or dated ahead of its
            record.
    """
    outcome = decode_outcome(value or b"")
    if outcome.node:
        check_key(key, outcome.node)
    field = "shown_time_ms" if isinstance(outcome, ImportedImpression) else "notice_time_ms"
    time_ms = not_ahead(field, outcome.time_ms, recorded_ms)
    return outcome if time_ms == outcome.time_ms else _replace(outcome, **{field: time_ms})
