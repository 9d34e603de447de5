"""Signed tokens of the notice URLs: what was bid, so that a notice needs no look-up.

A token is url-safe base64 of a keyed BLAKE2b-128 tag and a msgpack record. Forged or edited
notices do not verify and move no money (OpenRTB 2.6 section 4.2.3 leaves this to the bidder).
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

import msgspec

from models.errors import InvalidFieldError, KinbidError
from models.identifiers import NodeId

__all__ = ["NoticeSigner", "NoticeToken", "TokenError"]

TAG_BYTES: Final = 12
NO_NODE: Final = NodeId("")


class TokenError(KinbidError):
    """A notice's token that was not signed by us, was edited, or has expired."""


class NoticeToken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a notice is about.

    Attributes:
        node: the identifier under which the impression counts; empty without a person.
        nonce: names the bid; an impression counts once per nonce.
        campaign, creative, exchange: ids.
        bid_cpm_micros: the bid; a notified price above it is not believed.
        expires_ms: after this instant a notice is late: stored, not counted.
        is_test: the request said ``test: 1``; never billed.
        price_micros: the bid as it was written in another currency; 0: it was the owner's.
    """

    node: NodeId
    nonce: str
    campaign: str
    creative: str
    exchange: str
    bid_cpm_micros: int
    expires_ms: int
    is_test: bool = False
    price_micros: int = 0

    def in_own_money(self, notified_micros: int) -> int:
        """A notified price in the owner's currency: at the rate at which the bid was made.

        So spend needs no rate of its own, and what was bid is just what can be spent.
        """
        if not self.price_micros:
            return notified_micros
        half = self.price_micros // 2
        return (notified_micros * self.bid_cpm_micros + half) // self.price_micros


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(NoticeToken).decode


class NoticeSigner:
    """Signs and verifies tokens under one secret, the same in every bidder of an owner."""

    __slots__ = ("_base",)

    def __init__(self, secret: str) -> None:
        if len(secret) < 8:
            raise InvalidFieldError("notice_secret", "(hidden)", "a secret of 8 characters or more")
        key = hashlib.blake2b(secret.encode(), digest_size=32).digest()
        self._base = hashlib.blake2b(key=key, digest_size=TAG_BYTES)

    def _tag(self, body: bytes) -> bytes:
        state = self._base.copy()
        state.update(body)
        return state.digest()

    def sign(self, token: NoticeToken) -> str:
        """The token as it stands in a URL."""
        body = _encode(token)
        return base64.urlsafe_b64encode(self._tag(body) + body).rstrip(b"=").decode()

    def verify(self, text: str) -> NoticeToken:
        """Reads a token.

        Raises:
            TokenError: not ours, or edited.
        """
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise TokenError("the token is not url-safe base64") from error
        tag, body = raw[:TAG_BYTES], raw[TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body)):
            raise TokenError("the token was not signed by this owner")
        try:
            return _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise TokenError("the token is signed but not readable") from error
