"""The spool's file format: records one after another, each with its length and checksum.

    KBSPOOL1 | length u32 | CRC-32 u32 | msgpack record | length ...

Only what was written whole was ever acknowledged, so an end that was torn off by a crash holds
nothing that anybody relies on. A record in the middle whose checksum is wrong was damaged on the
disk; its neighbours are read all the same.
"""

import struct
import zlib
from typing import Final

import msgspec

__all__ = ["MAGIC", "KafkaRecord", "Segment", "frame", "read_segment"]

MAGIC: Final = b"KBSPOOL1"
_HEAD: Final = struct.Struct("<II")
LONGEST_BYTES: Final = 1 << 20
"""A notice's address is at most some kilobytes; what claims to be longer is no record."""


class KafkaRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record that Kafka is to have."""

    topic: str
    value: bytes
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Segment(msgspec.Struct, frozen=True):
    """What a file holds.

    Attributes:
        records: whole ones, in the order in which they were written.
        damaged: records that were left out as their checksum is wrong.
        torn_bytes: of an end that is no record.
    """

    records: list[KafkaRecord]
    damaged: int = 0
    torn_bytes: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(KafkaRecord).decode


def frame(record: KafkaRecord) -> bytes:
    """A record as it stands in a file."""
    body = _encode(record)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def read_segment(data: bytes) -> Segment:
    """Reads a file, whatever became of it."""
    if not data.startswith(MAGIC):
        return Segment([], torn_bytes=len(data))
    records: list[KafkaRecord] = []
    damaged, place = 0, len(MAGIC)
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        end = place + _HEAD.size + length
        if not 0 < length <= LONGEST_BYTES or end > len(data):
            break
        body = data[place + _HEAD.size : end]
        record = _read(body) if zlib.crc32(body) == checksum else None
        if record is None and end == len(data):
            break  # the end of the file grew before its content was there
        if record is None:
            damaged += 1
        else:
            records.append(record)
        place = end
    return Segment(records, damaged, len(data) - place)


def _read(body: bytes) -> KafkaRecord | None:
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        return None
