"""The cap ledger: impressions that count against the frequency caps of one person.

Impressions and reservations are sets of bids named by their nonce, so a count is the size of a
union: a billing notice that arrives twice counts once, and a reservation whose impression has been
billed is not counted beside it. Nothing ever has to be taken back for a count to be right.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from models.limits import MAX_CAP
from models.outcomes import Billing, ImportedImpression, Outcome

__all__ = [
    "CapLedger",
    "Impressions",
    "count_used",
    "decode_ledger",
    "encode_ledger",
    "fold_outcome",
    "is_imported",
    "merge_ledgers",
]

Impressions = dict[str, int]
"""Nonce to the time of its billing notice, Unix ms."""

IMPORT_MARK: Final = "~"
IMPORT_BYTES: Final = 9
"""72 bits of an imported impression's id: two of a person's never share a name."""

NO_IMPRESSIONS: Final[Impressions] = {}


class CapLedger(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Impressions under one identifier, or of a person.

    ``campaigns`` keeps the newest :data:`~models.limits.MAX_CAP` of each campaign, which is exact
    for every cap up to that size, whatever its window; and as an advertiser's newest are among the
    newest of its campaigns, for caps of advertisers, too.

    Attributes:
        advertisers: to those of ``campaigns`` that are its own. What was imported for no campaign
            stands under ``ADVERTISER/``.
    """

    watermark: int = -1
    campaigns: dict[str, Impressions] = {}
    billed_count: int = 0
    spend_micros: int = 0
    advertisers: dict[str, tuple[str, ...]] = {}

    def of_campaign(self, campaign: str) -> Impressions:
        """The campaign's impressions."""
        return self.campaigns.get(campaign, NO_IMPRESSIONS)

    def of_advertiser(self, advertiser: str) -> Iterator[Impressions]:
        """The impressions of each of the advertiser's campaigns."""
        for campaign in self.advertisers.get(advertiser, ()):
            yield self.campaigns[campaign]


encode_ledger: Final = msgspec.msgpack.Encoder().encode
decode_ledger: Final = msgspec.msgpack.Decoder(CapLedger).decode


def fold_outcome(ledger: CapLedger, outcome: Outcome, offset: int) -> CapLedger:
    """The ledger after one more notice; a win does not count, and a nonce counts once."""
    replace = msgspec.structs.replace
    campaign: str
    match outcome:
        case Billing():
            campaign, nonce = outcome.campaign, outcome.nonce
        case ImportedImpression():
            campaign = outcome.campaign or f"{outcome.advertiser}/"
            nonce = _import_nonce(outcome)
        case _:
            return replace(ledger, watermark=offset)
    seen = ledger.of_campaign(campaign)
    if nonce in seen:
        return replace(ledger, watermark=offset)
    impressions = _newest({**seen, nonce: outcome.time_ms})
    return CapLedger(
        watermark=offset,
        campaigns={**ledger.campaigns, campaign: impressions},
        billed_count=ledger.billed_count + 1,
        spend_micros=ledger.spend_micros + outcome.cost_micros,
        advertisers=_with_campaign(ledger.advertisers, outcome.advertiser, campaign),
    )


def _import_nonce(impression: ImportedImpression) -> str:
    """Names an impression that has no bid of ours; its source tells it again under the same id."""
    name = f"{impression.source}/{impression.advertiser}/{impression.impression_id}".encode()
    digest = hashlib.blake2b(name, digest_size=IMPORT_BYTES).digest()
    return IMPORT_MARK + urlsafe_b64encode(digest).decode()


def is_imported(nonce: str) -> bool:
    """Whether an impression was shown on a channel on which we do not bid."""
    return nonce[:1] == IMPORT_MARK


def _with_campaign(
    advertisers: dict[str, tuple[str, ...]], advertiser: str, campaign: str
) -> dict[str, tuple[str, ...]]:
    known = advertisers.get(advertiser, ())
    if not advertiser or campaign in known:
        return advertisers
    return {**advertisers, advertiser: tuple(sorted((*known, campaign)))}


def merge_ledgers(ledgers: Iterable[CapLedger]) -> CapLedger:
    """The ledger of a person: the union of their identifiers' impressions."""
    watermark, billed, spend = -1, 0, 0
    campaigns: dict[str, Impressions] = {}
    advertisers: dict[str, set[str]] = {}
    for ledger in ledgers:
        watermark += ledger.watermark + 1
        billed += ledger.billed_count
        spend += ledger.spend_micros
        for campaign, impressions in ledger.campaigns.items():
            joined = campaigns.setdefault(campaign, {})
            for nonce, billed_ms in impressions.items():
                # Told under two identifiers: the earlier notice stands, whichever comes first here.
                joined[nonce] = min(billed_ms, joined.get(nonce, billed_ms))
        for advertiser, own in ledger.advertisers.items():
            advertisers.setdefault(advertiser, set()).update(own)
    kept = {campaign: _newest(campaigns[campaign]) for campaign in sorted(campaigns)}
    owned = {name: tuple(sorted(advertisers[name])) for name in sorted(advertisers)}
    return CapLedger(watermark, kept, billed, spend, owned)


def _newest(impressions: Mapping[str, int]) -> Impressions:
    ordered = sorted(impressions.items(), key=lambda entry: (entry[1], entry[0]))
    return dict(ordered[-MAX_CAP:])


def count_used(
    impressions: Iterable[Mapping[str, int]], reserved: Collection[str], since_ms: int
) -> int:
    """How many of a cap's impressions are used: billed in the window, or reserved.

    Args:
        impressions: billed impressions, of the campaign or of each of the advertiser's campaigns.
        reserved: the nonces of open reservations that count, each once.
        since_ms: the window's beginning; a billed impression at this instant is outside.
    """
    used = len(reserved)
    for one in impressions:
        for nonce, billed_ms in one.items():
            if billed_ms > since_ms and nonce not in reserved:
                used += 1
    return used
