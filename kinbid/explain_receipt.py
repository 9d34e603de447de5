"""``kinbid explain --receipt``: what was decided, from what, and whether it would be again."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bidder.receipts import Recomputed, code_version, recompute
from kinbid.find_receipt import find_receipts
from kinbid.profile_report import time_text
from models.errors import KinbidError
from models.identifiers import NodeId, namespace_of
from models.receipts import Receipt, ReceiptPerson
from runtime.settings import Settings

__all__ = ["explain_receipt", "receipt_report"]


async def explain_receipt(
    settings: Settings, name: str, at_ms: int | None, exchange: str | None = None
) -> dict[str, Any]:
    """What is known of a decision.

    Args:
        settings: where Kafka is, and the secret that signs notices.
        name: of a receipt or a bid, or an auction's id; of several the newest receipt is told.
        at_ms: about when an auction was, Unix ms.
        exchange: whose auction it was; None for whichever.

    Raises:
        NoReceiptError: nothing was kept.
        KafkaDownError: no broker answers.
    """
    found = await find_receipts(settings, name, at_ms=at_ms, exchange=exchange)
    return receipt_report(found[-1], settings.notice_secret, [one.id for one in found[:-1]])


def receipt_report(receipt: Receipt, secret: str, others: Sequence[str] = ()) -> dict[str, Any]:
    """A receipt, and what comes of it when it is decided again.

    Args:
        receipt: whichever.
        secret: that signs notices.
        others: older receipts of the same auction.
    """
    use, person = receipt.use, receipt.person
    found, trouble = _again(receipt, secret)
    return {
        "receipt": receipt.id,
        "kind": "full" if receipt.is_full else "summary",
        "why": receipt.why,
        "others": list(others),
        "time": time_text(receipt.time_ms),
        "time_ms": receipt.time_ms,
        "request": receipt.auction,
        "exchange": receipt.exchange,
        "code": receipt.code,
        "catalog": receipt.catalog,
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "was_cut": receipt.was_cut,
        "elapsed_us": receipt.elapsed_us,
        "allowed_use": None if use is None else msgspec.to_builtins(_whole(use)),
        "person": None if person is None else _person(person),
        "bids": list(receipt.bids),
        "tried": list(receipt.others),
        "lost": [] if found is None else [
            {
                "imp": fate.imp_id,
                "campaign": fate.campaign,
                "reason": fate.lost.reason.value,
                "detail": fate.lost.detail,
            }
            for fate in found.fates
        ],
        "inputs": None if found is None else _inputs(found),
        "body": receipt.body,
        "recomputed": {
            "is_equal": None if found is None else found.is_equal,
            "is_same_code": receipt.code == code_version(),
            "code": code_version(),
            "differences": [] if found is None else list(found.differences),
            "trouble": trouble,
        },
    }  # fmt: skip


def _again(receipt: Receipt, secret: str) -> tuple[Recomputed | None, str | None]:
    if not receipt.is_full:
        return None, "a summary: what the decision was made of was not kept"
    try:
        return recompute(receipt, secret), None
    except KinbidError as error:  # another version wrote it, or no secret is set here
        return None, str(error)


def _person(person: ReceiptPerson) -> dict[str, Any]:
    """With the kind of the identifier that decided."""
    node = person.node
    kind = None if node is None else namespace_of(NodeId(node)).name.lower()
    return {"namespace": kind, **_whole(person)}


def _whole(one: msgspec.Struct) -> dict[str, Any]:
    """With the fields at their defaults, which a receipt leaves out."""
    return msgspec.structs.asdict(one)


def _inputs(found: Recomputed) -> dict[str, Any]:
    """The arguments of ``decide`` as JSON has them, the catalogue as its records."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found.arguments))
    return plain | {"catalog": msgspec.to_builtins(list(found.catalog.records().values()))}
