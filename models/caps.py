"""Frequency caps: billed impressions and open reservations of one person.

Both are sets of bids named by their nonce, so a count is the size of a union: a billing notice
that arrives twice counts once, and a reservation whose impression has been billed is not counted
beside it. Nothing ever has to be taken back for a count to be right.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from models.events import Billing, Outcome

__all__ = [
    "MAX_CAP",
    "CapLedger",
    "Reservation",
    "count_used",
    "decode_ledger",
    "decode_reservations",
    "encode_ledger",
    "encode_reservations",
    "fold_outcome",
    "merge_ledgers",
]

MAX_CAP: Final = 64
"""The most impressions a window may allow: a ledger keeps this many per campaign, exactly."""

EXPIRY_DIGITS: Final = 13

Impressions = dict[str, int]
"""Nonce to the time of its billing notice, Unix ms."""


class CapLedger(msgspec.Struct, frozen=True, array_like=True):
    """Billed impressions under one identifier, or of a person.

    ``campaigns`` keeps the newest :data:`MAX_CAP` of each campaign, which is exact for every cap
    up to that size, whatever its window.
    """

    watermark: int = -1
    campaigns: dict[str, Impressions] = {}
    billed_count: int = 0
    spend_micros: int = 0


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A bid whose outcome is not known yet.

    Attributes:
        campaign: whose cap it holds a place under.
        nonce: the bid's name.
        expires_ms: from then on it holds none, Unix ms.
        made_ms: when the bid was made, Unix ms: an erasure takes what was made up to its time.
    """

    campaign: str
    nonce: str
    expires_ms: int
    made_ms: int


encode_ledger: Final = msgspec.msgpack.Encoder().encode
decode_ledger: Final = msgspec.msgpack.Decoder(CapLedger).decode
_encode_list: Final = msgspec.msgpack.Encoder().encode
_decode_list: Final = msgspec.msgpack.Decoder(list[Reservation]).decode


def encode_reservations(reservations: Iterable[Reservation]) -> bytes:
    """One worker's reservations for one person: 13 digits of the last expiry, then msgpack.

    The digits let a reader, Lua included, see without decoding that all of it has expired.
    """
    entries = list(reservations)
    last = max((entry.expires_ms for entry in entries), default=0)
    return b"%013d%b" % (last, _encode_list(entries))


def decode_reservations(value: bytes, now_ms: int) -> list[Reservation]:
    """The reservations that are still open at ``now_ms``."""
    if int(value[:EXPIRY_DIGITS]) <= now_ms:
        return []
    return [entry for entry in _decode_list(value[EXPIRY_DIGITS:]) if entry.expires_ms > now_ms]


def fold_outcome(ledger: CapLedger, outcome: Outcome, offset: int) -> CapLedger:
    """The ledger after one more notice; only billing counts, and a nonce counts once."""
    replace = msgspec.structs.replace
    if not isinstance(outcome, Billing):
        return replace(ledger, watermark=offset)
    seen = ledger.campaigns.get(outcome.campaign, {})
    if outcome.nonce in seen:
        return replace(ledger, watermark=offset)
    impressions = _newest({**seen, outcome.nonce: outcome.notice_time_ms})
    return CapLedger(
        watermark=offset,
        campaigns={**ledger.campaigns, outcome.campaign: impressions},
        billed_count=ledger.billed_count + 1,
        spend_micros=ledger.spend_micros + outcome.cost_micros,
    )


def merge_ledgers(ledgers: Iterable[CapLedger]) -> CapLedger:
    """The ledger of a person: the union of their identifiers' impressions."""
    watermark, billed, spend = -1, 0, 0
    campaigns: dict[str, Impressions] = {}
    for ledger in ledgers:
        watermark += ledger.watermark + 1
        billed += ledger.billed_count
        spend += ledger.spend_micros
        for campaign, impressions in ledger.campaigns.items():
            joined = campaigns.setdefault(campaign, {})
            for nonce, billed_ms in impressions.items():
                # Told under two identifiers: the earlier notice stands, whichever comes first here.
                joined[nonce] = min(billed_ms, joined.get(nonce, billed_ms))
    kept = {campaign: _newest(campaigns[campaign]) for campaign in sorted(campaigns)}
    return CapLedger(watermark, kept, billed, spend)


def _newest(impressions: Mapping[str, int]) -> Impressions:
    ordered = sorted(impressions.items(), key=lambda entry: (entry[1], entry[0]))
    return dict(ordered[-MAX_CAP:])


def count_used(
    impressions: Mapping[str, int],
    reservations: Iterable[Reservation],
    campaign: str,
    since_ms: int,
) -> int:
    """How many of a cap's impressions are used: billed in the window, or reserved.

    Args:
        impressions: the campaign's billed impressions.
        reservations: the person's open reservations, of any campaign.
        campaign: the campaign whose cap is asked for.
        since_ms: the window's beginning; a billed impression at this instant is outside.
    """
    used = {nonce for nonce, billed_ms in impressions.items() if billed_ms > since_ms}
    used.update(entry.nonce for entry in reservations if entry.campaign == campaign)
    return len(used)
