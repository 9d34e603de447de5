"""Facets as they stand in Redis: compressed, behind their watermark.

A facet is a few hundred bytes of short texts and times, too little for a compressor to learn from.
So it begins with a dictionary (RFC 8878, section 5) of what every facet looks like, which
``benchmarks/facet_dictionary.py`` trains. It never changes: facets of yesterday are read with it;
another one would come beside it, under another name.
"""

from importlib.resources import files
from typing import Final

import msgspec
from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
)

__all__ = ["pack", "unpack"]

LEVEL: Final = 1
"""Level 3 leaves 0.54 of a facet instead of 0.59 and takes 1.4 of the time to pack it; level -1
leaves 0.64 and takes less than half of the time to unpack it."""


class _Packed(msgspec.Struct, array_like=True, gc=False):
    watermark: int
    body: bytes = b""


_dictionary: Final = ZstdCompressionDict(files("models").joinpath("facets-1.zdict").read_bytes())
_parameters: Final = ZstdCompressionParameters.from_level(
    LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_dict_id=False
)
_compress: Final = ZstdCompressor(dict_data=_dictionary, compression_params=_parameters).compress
_decompress: Final = ZstdDecompressor(
    dict_data=_dictionary, format=FORMAT_ZSTD1_MAGICLESS
).decompress
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Packed).decode


def pack(watermark: int, encoded: bytes) -> bytes:
    """What is stored: a msgpack array of the watermark, readable by itself, and the rest."""
    return _encode(_Packed(watermark, _compress(encoded)))


def unpack(packed: bytes) -> tuple[int, bytes]:
    """The watermark and what was encoded; empty where nothing but a watermark was stored."""
    stored = _decode(packed)
    return stored.watermark, _decompress(stored.body) if stored.body else b""
