"""Records about links in Kafka: evidence, its history, quarantine, and what people decided.

Each has the pair as its key, ``a|b`` with the smaller node first, so that a compacted topic keeps
the latest of each pair. Only the history keeps all that was told: there kind and time stand behind.
"""

import re
from typing import Final, TypeVar

import msgspec

from models.errors import EventError
from models.evidence import Evidence, Kind, Pair, Reason, Verdict, pair_of
from models.identifiers import NodeId

__all__ = [
    "EvidenceRecord",
    "LinkRecord",
    "QuarantineRecord",
    "ToldRecord",
    "VerdictRecord",
    "decode_evidence_record",
    "decode_quarantine",
    "decode_told",
    "decode_verdict",
    "encode_link_record",
    "is_node",
    "pair_key",
    "pair_named",
    "told_key",
    "told_pair",
    "told_record",
]

_NODE: Final = re.compile(r"[a-z][A-Za-z0-9_-]{22}")


class EvidenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Why two identifiers are believed to be one person's: the strongest and earliest evidence.

    Attributes:
        a, b: the pair, the smaller first.
        kind: where the evidence comes from.
        event_time_ms: of its event, Unix ms.
        confidence: percent.
    """

    a: NodeId
    b: NodeId
    kind: Kind
    event_time_ms: int
    confidence: int


class ToldRecord(EvidenceRecord, frozen=True, kw_only=True):
    """Evidence that was told of a pair, whatever else was told of it since.

    Attributes:
        withdrawn_ms: when streams found it wrong, Unix ms; None: it did not.
    """

    withdrawn_ms: int | None = None


class QuarantineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A link that is not made.

    Attributes:
        a, b: the pair, the smaller first.
        reason: why not.
        kind, event_time_ms: its strongest evidence.
        noted_ms: when streams refused it, Unix ms.
    """

    a: NodeId
    b: NodeId
    reason: Reason
    kind: Kind
    event_time_ms: int
    noted_ms: int


class VerdictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody decided about a link.

    Attributes:
        a, b: the pair, the smaller first.
        verdict: ``approved`` or ``rejected``.
        at_ms: when, Unix ms.
        by: who.
        reason: why, in their words.
    """

    a: NodeId
    b: NodeId
    verdict: Verdict
    at_ms: int
    by: str = ""
    reason: str = ""


LinkRecord = EvidenceRecord | QuarantineRecord | VerdictRecord

_Checked = TypeVar("_Checked", EvidenceRecord, ToldRecord, QuarantineRecord, VerdictRecord)
_evidence: Final = msgspec.json.Decoder(EvidenceRecord)
_told: Final = msgspec.json.Decoder(ToldRecord)
_quarantine: Final = msgspec.json.Decoder(QuarantineRecord)
_verdict: Final = msgspec.json.Decoder(VerdictRecord)
_encode: Final = msgspec.json.Encoder().encode


def is_node(text: str) -> bool:
    """Whether a text is a node id."""
    return _NODE.fullmatch(text) is not None


def pair_key(a: NodeId, b: NodeId) -> bytes:
    """The record key of a pair, in whichever order it is given."""
    return "|".join(pair_of(a, b)).encode()


def pair_named(key: bytes | None) -> Pair:
    """The pair of a record key, as :func:`pair_key` wrote it; a tombstone has nothing else.

    Raises:
        EventError: not such a key.
    """
    a, _, b = (key or b"").decode(errors="replace").partition("|")
    if not (is_node(a) and is_node(b) and a < b):
        raise EventError(f"key: {key!r} is not a pair of nodes a|b")
    return NodeId(a), NodeId(b)


def told_record(
    a: NodeId, b: NodeId, evidence: Evidence, *, withdrawn_ms: int | None = None
) -> ToldRecord:
    """The record of evidence that was told of a pair, in whichever order it is given."""
    low, high = pair_of(a, b)
    return ToldRecord(
        a=low, b=high, kind=evidence.kind, event_time_ms=evidence.time_ms,
        confidence=evidence.confidence, withdrawn_ms=withdrawn_ms,
    )  # fmt: skip


def told_key(record: ToldRecord) -> bytes:
    """The record key of one piece of evidence: its pair's, its kind and its time."""
    return pair_key(record.a, record.b) + f"|{record.kind}@{record.event_time_ms}".encode()


def told_pair(key: bytes | None) -> Pair:
    """The pair of a record key, as :func:`told_key` wrote it.

    Raises:
        EventError: not such a key.
    """
    return pair_named((key or b"").rpartition(b"|")[0])


def encode_link_record(record: LinkRecord) -> bytes:
    """A record as it stands in Kafka, JSON."""
    return _encode(record)


def decode_evidence_record(key: bytes | None, value: bytes) -> EvidenceRecord:
    """Reads a record of the evidence topic.

    Raises:
        EventError: not such a record; the text names the field.
    """
    return _decoded(_evidence, key, value)


def decode_told(key: bytes | None, value: bytes) -> ToldRecord:
    """Reads a record of the link history topic.

    Raises:
        EventError: not such a record; the text names the field.
    """
    return _decoded(_told, key, value)


def decode_quarantine(key: bytes | None, value: bytes) -> QuarantineRecord:
    """Reads a record of the quarantine topic.

    Raises:
        EventError: not such a record; the text names the field.
    """
    return _decoded(_quarantine, key, value)


def decode_verdict(key: bytes | None, value: bytes) -> VerdictRecord:
    """Reads a record of the verdicts topic.

    Raises:
        EventError: not such a record; the text names the field.
    """
    return _decoded(_verdict, key, value)


def _key_of(record: LinkRecord) -> bytes:
    return told_key(record) if isinstance(record, ToldRecord) else pair_key(record.a, record.b)


def _decoded(
    decoder: "msgspec.json.Decoder[_Checked]", key: bytes | None, value: bytes
) -> _Checked:
    try:
        record = decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventError(str(error)) from error
    pair: Pair = (record.a, record.b)
    for field, node in zip(("a", "b"), pair, strict=True):
        if not is_node(node):
            raise EventError(f"{field}: {node!r} is not a node id")
    if record.a >= record.b:
        raise EventError(f"b: {record.b!r} does not stand above a")
    if key != _key_of(record):
        raise EventError(f"key: {key!r} is not the record's own")
    return record
