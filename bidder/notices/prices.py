"""Notified prices: a plain decimal, or encrypted under two keys that only the exchange and we have.

The encrypted form is that of Google's "Decrypt Price Confirmations", which other exchanges have
taken over: 28 bytes in url-safe base64, an initialization vector of 16, the price of 8 and 4 of an
HMAC-SHA1 over price and vector. Whoever edits one has to guess 32 bits.
"""

import base64
import binascii
import hashlib
import hmac
import math
import re
from typing import Final

import msgspec

from models.errors import InvalidFieldError
from models.event_base import MAX_MONEY_MICROS
from models.units import MICROS

__all__ = ["PriceKeys", "decrypt_price", "price_cpm_micros", "read_price_keys"]

_DECIMAL: Final = re.compile(r"(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE][+-]?\d{1,3})?", re.ASCII)
VECTOR_BYTES: Final = 16
PRICE_BYTES: Final = 8
PROOF_BYTES: Final = 4
SHORTEST_KEY_BYTES: Final = 16


class PriceKeys(msgspec.Struct, frozen=True):
    """Under which an exchange encrypts prices, and proves that they are its own."""

    encryption: bytes
    integrity: bytes


def price_cpm_micros(text: str) -> int | None:
    """A plain ``${AUCTION_PRICE}``; None where it is no price (unexpanded, AUDIT, negative)."""
    if not _DECIMAL.fullmatch(text):
        return None
    micros = float(text) * MICROS
    return round(micros) if math.isfinite(micros) and micros <= MAX_MONEY_MICROS else None


def decrypt_price(text: str, keys: PriceKeys) -> int | None:
    """An encrypted ``${AUCTION_PRICE}``, CPM micros; None where it was not encrypted for us.

    Args:
        text: url-safe base64, padded by ``=`` or ``.`` or not at all.
        keys: of the exchange.
    """
    bare = text.rstrip("=.")
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != VECTOR_BYTES + PRICE_BYTES + PROOF_BYTES:
        return None
    vector, hidden = raw[:VECTOR_BYTES], raw[VECTOR_BYTES : VECTOR_BYTES + PRICE_BYTES]
    pad = hmac.digest(keys.encryption, vector, hashlib.sha1)[:PRICE_BYTES]
    price = bytes(a ^ b for a, b in zip(hidden, pad, strict=True))
    proof = hmac.digest(keys.integrity, price + vector, hashlib.sha1)[:PROOF_BYTES]
    if not hmac.compare_digest(proof, raw[-PROOF_BYTES:]):
        return None
    micros = int.from_bytes(price, "big")
    return micros if micros <= MAX_MONEY_MICROS else None


def read_price_keys(text: str) -> dict[str, PriceKeys]:
    """The setting ``price_keys``: ``EXCHANGE=ENCRYPTION:INTEGRITY`` with commas between.

    Raises:
        InvalidFieldError: of another form; a key is url-safe base64 of 16 bytes or more.
    """
    found: dict[str, PriceKeys] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        exchange, mark, both = part.partition("=")
        encryption, colon, integrity = both.partition(":")
        keys = PriceKeys(_key(encryption), _key(integrity))
        if not (exchange and mark and colon) or min(map(len, msgspec.structs.astuple(keys))) < (
            SHORTEST_KEY_BYTES
        ):
            wanted = "EXCHANGE=ENCRYPTION:INTEGRITY, both keys in url-safe base64"
            raise InvalidFieldError("price_keys", "(hidden)", wanted)
        found[exchange] = keys
    return found


def _key(text: str) -> bytes:
    bare = text.strip().rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""  # too short, as the caller says
