"""A decision made again from its receipt: the same function, the same inputs, the same bytes."""

import re
from collections import Counter
from typing import Any, Final

import msgspec

from bidder.auction import terms_of
from bidder.bids import Decision, Fate
from bidder.decide import decide
from bidder.errors import NoBidReason
from bidder.openrtb import BidRequest
from bidder.receipts.inputs import Full, decode_full
from bidder.receipts.watched_catalog import AnyRecord
from bidder.receipts.written import bid_note
from bidder.respond import Responder, no_bid_body
from models.catalog import Catalog
from models.notices import NoticeSigner
from models.receipts import Receipt

__all__ = ["Recomputed", "recompute"]

TOKENS: Final = re.compile(r"(?<=\?t=)[\w-]+")
"""In the addresses of notices."""


class Recomputed(msgspec.Struct, frozen=True):
    """What a receipt's inputs lead to now.

    Attributes:
        request: without the fields that no receipt has.
        decision: as it is made now.
        fates: why each campaign of the receipt lost.
        bids: as the receipt has them.
        body: the answer as bytes; None without a bid, or where there are more or fewer than then.
        differences: in words, of the decision and the answer; none where all is equal.
        arguments: of ``decide``, without the catalogue.
        catalog: of the receipt's records.
    """

    request: BidRequest
    decision: Decision
    fates: tuple[Fate, ...]
    bids: tuple[dict[str, Any], ...]
    body: bytes | None
    differences: tuple[str, ...]
    arguments: dict[str, Any]
    catalog: Catalog

    @property
    def is_equal(self) -> bool:
        """Whether the answer is what it was, byte for byte."""
        return not self.differences


def recompute(receipt: Receipt, notice_secret: str) -> Recomputed:
    """Makes the decision of a full receipt again.

    Args:
        receipt: a full one.
        notice_secret: under which notices were signed then.

    Raises:
        EventError: another version of the program wrote the inputs, and this one cannot read them.
    """
    full, arguments = decode_full(receipt.full)
    catalog = _catalog_of(*full.records)
    catalog.deals = Counter(full.deals)
    fates: list[Fate] = []
    decision = decide(**arguments, catalog=catalog, fates=fates)
    nonces = [token.nonce for token in full.tokens]
    bids = tuple(
        _plain(bid_note(bid, nonce))
        for bid, nonce in zip(decision.bids, [*nonces, *[""] * len(decision.bids)], strict=False)
    )
    body = _body(full, arguments, catalog, decision, notice_secret)
    return Recomputed(
        request=arguments["request"],
        decision=decision,
        fates=tuple(fates),
        bids=bids,
        body=body,
        differences=tuple(_differences(receipt, decision, bids, body)),
        arguments=arguments,
        catalog=catalog,
    )


def _catalog_of(*records: AnyRecord) -> Catalog:
    catalog = Catalog()
    for record in records:
        catalog.apply(record)
    return catalog


def _plain(note: dict[str, Any]) -> dict[str, Any]:
    """As it is read from JSON."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(note))
    return plain


def _body(
    full: Full, arguments: dict[str, Any], catalog: Catalog, decision: Decision, secret: str
) -> bytes | None:
    request, exchange = arguments["request"], arguments["exchange"]
    if decision.reason is not None:
        return no_bid_body(request.id, decision.reason) if exchange.no_bid_body else None
    terms = terms_of(request, exchange, arguments["policy"], catalog, arguments["now_ms"])
    if len(decision.bids) != len(full.tokens) or isinstance(terms, NoBidReason):
        return None
    if full.newer:
        catalog = _catalog_of(*full.records, *full.newer)
    responder = Responder(catalog, NoticeSigner(secret), public_url=full.public_url)
    pairs = list(zip(decision.bids, full.tokens, strict=True))
    return responder.body(request.id, pairs, terms, exchange)


def _differences(
    receipt: Receipt, decision: Decision, bids: tuple[dict[str, Any], ...], body: bytes | None
) -> list[str]:
    found: list[str] = []
    reason = None if decision.reason is None else decision.reason.value
    if reason != receipt.reason:
        found.append(f"no bid: {receipt.reason} then, {reason} now")
    if len(bids) != len(receipt.bids):
        found.append(f"bids: {len(receipt.bids)} then, {len(bids)} now")
    for then, now in zip(receipt.bids, bids, strict=False):
        for name in sorted({*then, *now}):
            if then.get(name) != now.get(name):
                slot = then.get("imp_id")
                found.append(f"slot {slot}: {name}: {then.get(name)} then, {now.get(name)} now")
    answer = None if body is None else body.decode()
    if answer != receipt.body and not found:
        found.append(_answer_difference(receipt.body or "", answer or ""))
    return found


def _answer_difference(then: str, now: str) -> str:
    if TOKENS.sub("", then) == TOKENS.sub("", now):
        return (
            "the signatures of notices, and nothing else: the notice secret "
            "(KINBID_NOTICE_SECRET) is another than then"
        )
    return _first_difference(then, now)


def _first_difference(then: str, now: str) -> str:
    place = next(
        (n for n, pair in enumerate(zip(then, now, strict=False)) if pair[0] != pair[1]),
        min(len(then), len(now)),
    )
    around = slice(max(0, place - 20), place + 40)
    return f"the answer from character {place}: {then[around]!r} then, {now[around]!r} now"
