"""Drafts as receipts, and bids as they stand in them."""

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from bidder.allowed_use import FREE, AllowedUse
from bidder.bids import Bid
from bidder.formats.markup import Template
from bidder.lookup import Found
from bidder.receipts.draft import Draft
from bidder.receipts.inputs import encode_full
from bidder.receipts.redact import without_identifiers, without_nodes
from models.catalog_records.record import Record
from models.receipts import Receipt, ReceiptPerson, ReceiptUse, auction_key
from models.value.price import Factors

__all__ = ["bid_note", "full_of", "summary_of"]

ALL_FREE: Final = ReceiptUse()


def bid_note(bid: Bid, nonce: str) -> dict[str, Any]:
    """A bid as a receipt has it: records by their ids, and all factors of the price.

    What is compiled, or at its default, is left out.
    """
    return {"nonce": nonce} | _note(bid)


def _note(one: msgspec.Struct) -> dict[str, Any]:
    shape = _shape_of(type(one))
    note: dict[str, Any] = {}
    for name in shape.records:
        record = getattr(one, name)
        if record is not None:
            note[name] = record.id
    for name in shape.parts:
        note[name] = _note(getattr(one, name))
    for name, default in shape.plain:
        value = getattr(one, name)
        if value != default:
            note[name] = value
    return note


class _Shape(msgspec.Struct, frozen=True):
    """How the fields of a bid, or of a part of one, are noted.

    Attributes:
        records: by their ids.
        parts: as notes of their own.
        plain: as they are, but where they are at their defaults.
    """

    records: tuple[str, ...]
    parts: tuple[str, ...]
    plain: tuple[tuple[str, Any], ...]


@cache
def _shape_of(kind: type[msgspec.Struct]) -> _Shape:
    hints = get_type_hints(kind)
    records, parts, plain = [], [], []
    for field in msgspec.structs.fields(kind):
        classes = _classes_in(hints[field.name])
        if any(issubclass(one, Record) for one in classes):
            records.append(field.name)
        elif any(issubclass(one, msgspec.Struct) and one is not Factors for one in classes):
            parts.append(field.name)
        elif Template not in classes:
            plain.append((field.name, field.default))
    return _Shape(tuple(records), tuple(parts), tuple(plain))


def _classes_in(hint: Any) -> list[type]:  # noqa: ANN401 - a type as it stands in an annotation
    is_union = get_origin(hint) in {Union, UnionType}
    return [one for one in (get_args(hint) if is_union else (hint,)) if isinstance(one, type)]


def summary_of(
    draft: Draft, code: str, as_of: Mapping[str, int], *, is_sent: bool, elapsed_ns: int
) -> Receipt:
    """The receipt of an answered request, without what the decision was made of.

    Args:
        draft: what was noted.
        code: version of the program.
        as_of: how far each topic of the catalogue is read.
        is_sent: the answer left in time.
        elapsed_ns: from the request's last byte to the answer.
    """
    decision, use = draft.decision, draft.use
    nonces = [token.nonce for token in draft.tokens]
    outcome = "bid" if decision.bids else "no_bid"
    return Receipt(
        id=draft.id,
        why="sample" if draft.is_sampled else "watch",
        time_ms=draft.now_ms,
        exchange=draft.exchange.id,
        auction=auction_key(draft.request.id),
        code=code,
        catalog=dict(as_of),
        outcome=cast("Any", outcome) if is_sent else "late",
        reason=None if decision.reason is None else decision.reason.value,
        was_cut=decision.was_cut,
        elapsed_us=elapsed_ns // 1000,
        use=_use(use),
        person=None if draft.found is None else _person(draft.found, may_keep=_keeps_nodes(draft)),
        bids=tuple(map(bid_note, decision.bids, nonces)),
    )  # fmt: skip


def full_of(draft: Draft, summary: Receipt, public_url: str) -> Receipt:
    """The same receipt with everything that the decision was made of.

    Args:
        draft: of an answered request.
        summary: its receipt.
        public_url: where notices come to.
    """
    arguments = draft.arguments
    behind, newer = draft.behind()
    person = arguments["person"]
    kept = arguments | {
        "request": without_identifiers(draft.request),
        "person": without_nodes(person, may_keep_own=_keeps_nodes(draft)),
    }
    return msgspec.structs.replace(
        summary,
        others=_losers(draft),
        body=None if draft.body is None else draft.body.decode(),
        full=encode_full(kept, behind, newer, draft.tokens, public_url),
    )


def _use(use: AllowedUse | None) -> ReceiptUse | None:
    if use is None:
        return None
    if use is FREE:
        return ALL_FREE
    refusals = tuple(one.value for one in use.refusals)
    return ReceiptUse(use.personal, use.ids, use.precise_geo, refusals)


def _losers(draft: Draft) -> tuple[str, ...]:
    winners = {bid.campaign.id for bid in draft.decision.bids}
    return tuple(name for name in draft.seen if name not in winners)


def _keeps_nodes(draft: Draft) -> bool:
    use = draft.use
    return use is not None and use.personal and use.ids


def _person(found: Found, *, may_keep: bool) -> ReceiptPerson:
    return ReceiptPerson(
        node=found.person.node if may_keep else None,
        version=found.version.decode(),
        is_known=found.is_known,
        disagrees=found.disagrees,
        is_shared=found.is_shared,
        is_withdrawn=found.is_withdrawn,
        presence_ratio=found.person.presence_ratio,
        absent=found.absent,
    )
