"""Records of erased identifiers in Kafka: what keeps a replay from bringing them back.

They hold keyed hashes and a time, and nothing that was known. While an erasure is being done its
records also name it, so that one that broke off can be finished for all identifiers of the person,
and what the person had withdrawn, since that word outlives the erasure.
"""

from typing import Final

import msgspec

from models.errors import EventError
from models.event_base import check_node, check_time
from models.events import CarriedConsent
from models.identifiers import NodeId
from models.person_events import Purpose

__all__ = ["ErasureRecord", "decode_erasure", "encode_erasure", "outliving"]


class ErasureRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One erased identifier; it is the record's key, too.

    Attributes:
        node: the identifier.
        erased_ms: nothing up to this time counts, Unix ms.
        open_request: the erasure that is not finished yet, the same for all identifiers of the
            person; empty when it is, for then nobody needs to know who belonged together.
        withdrawn: purposes to which the person had withdrawn consent; empty when it is finished.
    """

    node: NodeId
    erased_ms: int
    open_request: str = ""
    withdrawn: tuple[Purpose, ...] = ()


encode_erasure: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(ErasureRecord)


def decode_erasure(key: bytes | None, value: bytes) -> ErasureRecord:
    """Reads a record of the erasures topic.

    Raises:
        EventError: not such a record; the text names the field.
    """
    try:
        record = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventError(str(error)) from error
    check_node("node", record.node)
    check_time("erased_ms", record.erased_ms)
    if key != record.node.encode():
        raise EventError(f"key: {key!r} is not the record's node {record.node!r}")
    return record


def outliving(record: ErasureRecord) -> CarriedConsent:
    """What an erasure tells of an identifier: withdrawn stays withdrawn, until it is granted anew.

    Args:
        record: of an erasure under way.
    """
    return CarriedConsent(
        event_id=f"{record.open_request}/{record.node}", ids=(record.node,),
        event_time_ms=record.erased_ms + 1, channel="crm", withdrawn=record.withdrawn,
        source="erasure",
    )  # fmt: skip
