"""Receipts: what a bidder decided, and from what. Records of a topic, found by their ids.

A summary says what was decided. A full receipt has all that the decision was made of besides, so
that it can be made again. Neither has an identifier that is not hashed, nor an address.
"""

import hashlib
from typing import Any, Final, Literal
from zlib import crc32

import msgspec

from models.errors import EventError
from models.topics import Topics

__all__ = [
    "LONGEST_AUCTION",
    "Absent",
    "Receipt",
    "ReceiptOutcome",
    "ReceiptPerson",
    "ReceiptUse",
    "Why",
    "auction_key",
    "decode_receipt",
    "encode_receipt",
    "receipt_partition",
]

ReceiptOutcome = Literal["bid", "no_bid", "late", "fault"]
Why = Literal["sample", "watch", "fault"]
Absent = Literal["", "no_identifier", "crowded", "redis", "caps", "caps_unchecked", "streams"]
"""Why a decision is for nobody, although privacy allows more: the request has no identifier, or
more than are looked up; Redis did not tell who it is; or it refused each place under a cap, or did
not tell whether there is one."""

LONGEST_AUCTION: Final = 128
NOTHING: Final = msgspec.Raw()


def receipt_partition(worker: str) -> int:
    """Where the receipts of a worker are in their topic."""
    return crc32(worker.encode()) % Topics.RECEIPTS.partitions


def auction_key(request_id: str) -> str:
    """A request's id as receipts keep it; of a longer one a digest, since ids have no bound."""
    if len(request_id) <= LONGEST_AUCTION:
        return request_id
    return hashlib.blake2b(request_id.encode(), digest_size=16).hexdigest()


class ReceiptUse(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What privacy allowed, and the reasons why not more."""

    personal: bool = True
    ids: bool = True
    precise_geo: bool = True
    refusals: tuple[str, ...] = ()


class ReceiptPerson(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Whom a decision was for.

    Attributes:
        node: the hashed identifier that decided; None where none may be kept.
        version: of the bid view; empty without one.
        is_known, disagrees, is_shared, is_withdrawn: as in :class:`bidder.lookup.Found`.
        presence_ratio: the probability that it is them.
        absent: why it is for nobody, though it might have been for somebody.
    """

    node: str | None = None
    version: str = ""
    is_known: bool = False
    disagrees: bool = False
    is_shared: bool = False
    is_withdrawn: bool = False
    presence_ratio: float = 1.0
    absent: Absent = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision.

    Attributes:
        id: the first bid's, or one of its own.
        why: it was kept.
        time_ms: the present that was decided in, Unix ms.
        exchange: who asked.
        auction: :func:`auction_key` of the request.
        code: version of the program that decided.
        catalog: how far each topic of the catalogue had been read, by the topic's name without the
            owner; that and the topic say what was on sale.
        outcome: ``late`` is a decision that was not sent, since its time was over.
        reason: for which there is no bid; the kind of error and its place for a fault.
        was_cut: a slot took the best of what it had tried.
        elapsed_us: from the request's last byte to the answer.
        use: what privacy allowed; None where that was not asked.
        person: whom it was for; None where nobody was looked for.
        bids: as :class:`bidder.bids.Bid`, records by their ids, each with its nonce.
        others: campaigns that were tried and lost; only in a full receipt.
        body: what was answered; only in a full receipt.
        full: what the decision was made of (:mod:`bidder.receipts.inputs`), still packed, since
            only the version of the program that wrote it may be able to read it; empty in a
            summary.
    """

    id: str
    why: Why
    time_ms: int
    exchange: str
    auction: str
    code: str
    outcome: ReceiptOutcome
    catalog: dict[str, int] = {}
    reason: str | None = None
    was_cut: bool = False
    elapsed_us: int = 0
    use: ReceiptUse | None = None
    person: ReceiptPerson | None = None
    bids: tuple[dict[str, Any], ...] = ()
    others: tuple[str, ...] = ()
    body: str | None = None
    full: msgspec.Raw = NOTHING

    @property
    def is_full(self) -> bool:
        """Whether the decision can be made again from it."""
        return bytes(self.full) != b""

    @property
    def names(self) -> set[str]:
        """Every id that leads here, the auction's aside."""
        return {self.id, *(str(bid["nonce"]) for bid in self.bids)}


encode_receipt: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Receipt).decode


def decode_receipt(payload: bytes) -> Receipt:
    """Reads a receipt.

    Raises:
        EventError: it is none.
    """
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(str(error)) from error
