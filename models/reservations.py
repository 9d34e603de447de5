"""Reservations: bids that hold a place under a person's caps until their outcome is known."""

from collections.abc import Sequence
from typing import Final

import msgspec

from models.units import SECOND_MS

__all__ = ["EXPIRY_DIGITS", "Reservation", "decode_reservations", "encode_reservations"]

EXPIRY_DIGITS: Final = 13


class Reservation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A bid whose outcome is not known yet.

    Attributes:
        campaign: whose cap it holds a place under.
        nonce: the bid's name.
        expires_ms: from then on it holds none, Unix ms.
        made_ms: when the bid was made, Unix ms: an erasure takes what was made up to its time.
        advertiser: the campaign's, under whose caps it holds a place, too.
    """

    campaign: str
    nonce: str
    expires_ms: int
    made_ms: int
    advertiser: str = ""

    @property
    def held_seconds(self) -> int:
        """For how long it holds its place."""
        return (self.expires_ms - self.made_ms) // SECOND_MS


_encode_list: Final = msgspec.msgpack.Encoder().encode
_decode_list: Final = msgspec.msgpack.Decoder(list[Reservation]).decode


def encode_reservations(reservations: Sequence[Reservation]) -> bytes:
    """One worker's reservations for one person: 13 digits of the last expiry, then msgpack.

    The digits let a reader, Lua included, see without decoding that all of it has expired.
    """
    last_ms = 0
    for entry in reservations:
        last_ms = max(last_ms, entry.expires_ms)
    return b"%013d%b" % (last_ms, _encode_list(reservations))


def decode_reservations(value: bytes, now_ms: int) -> list[Reservation]:
    """The reservations that are still open at ``now_ms``."""
    if int(value[:EXPIRY_DIGITS]) <= now_ms:
        return []
    entries = _decode_list(memoryview(value)[EXPIRY_DIGITS:])
    for entry in entries:
        if entry.expires_ms <= now_ms:
            return [one for one in entries if one.expires_ms > now_ms]
    return entries
