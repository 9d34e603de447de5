"""Signed tokens of the notice URLs: what was bid, so that a notice needs no look-up.

A token is url-safe base64 of a keyed BLAKE2b tag and a msgpack record. Forged or edited notices do
not verify and move no money (OpenRTB 2.6 section 4.2.3 leaves this to the bidder). What kind of
notice it is stands in the path, and which kind may move money, in the token. Two tags are made of a
bid: one for what its exchange calls, one for what stands in the ad. Everybody who is shown the ad
has the second, and it does not pass for the first: no viewer bills, wins or loses a bid.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final, Literal, TypeAlias

import msgspec

from models.errors import InvalidFieldError, KinbidError
from models.identifiers import NodeId
from models.limits import Limit
from models.outcomes import NoticeSource

__all__ = [
    "BILLER_OF",
    "KIND_OF",
    "NOTICE_KINDS",
    "NO_NODE",
    "SHOWN_KINDS",
    "NoticeKind",
    "NoticeSigner",
    "NoticeToken",
    "TokenError",
    "short_id",
]

TAG_BYTES: Final = 12
NO_NODE: Final = NodeId("")
LONGEST_ID: Final = 48
"""Of an auction or slot in a URL; a UUID has 36."""

NoticeKind: TypeAlias = Literal["win", "billing", "loss", "impression", "click"]
NOTICE_KINDS: Final[tuple[NoticeKind, ...]] = ("win", "billing", "loss", "impression", "click")

KIND_OF: Final[dict[NoticeSource, NoticeKind]] = {
    "burl": "billing",
    "pixel": "impression",
    "nurl": "win",
}
"""Which kind of notice each source of billing sends."""

SHOWN_KINDS: Final[frozenset[NoticeKind]] = frozenset({"impression", "click"})
"""What stands in the ad itself, where viewers and publishers read it."""

Biller: TypeAlias = Literal["b", "p", "n"]
_SOURCE_OF: Final[dict[Biller, NoticeSource]] = {"b": "burl", "p": "pixel", "n": "nurl"}
BILLER_OF: Final[dict[NoticeSource, Biller]] = {"burl": "b", "pixel": "p", "nurl": "n"}
"""The letter of each source in a token, which stands in a bid three times or more."""

_TARGET: Final = b"click target"
_VIEWER: Final = b"viewer"
_SHOWN: Final = b"shown"
"""Tags of one purpose never pass for those of another (BLAKE2's personalisation)."""


class TokenError(KinbidError):
    """A notice's token that was not signed by us, or was edited."""


class NoticeToken(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a notice is about.

    Attributes:
        node: the identifier under which the impression counts; empty without a person.
        nonce: names the bid; an impression counts once per nonce.
        campaign, creative, exchange: ids.
        bid_cpm_micros: the bid; a notified price above it is not believed.
        bid_time_ms: when it was made, Unix ms.
        window_seconds: so long after the bid a notice may move money; then it is late.
        auction, imp: ids of the request and the slot, see :func:`short_id`.
        biller: the letter of which notice moves money.
        is_test: the request said ``test: 1``; never billed.
        currency: of the bid; empty is the owner's.
        price_micros: the bid as it was written in another currency; 0: it was the owner's.
        advertiser: whose caps the impression counts for; empty where it counts for nobody.
        reserved_seconds: for how long the bid holds its place under the caps.
        limits: the caps that it was made under.
    """

    node: NodeId
    nonce: str
    campaign: str
    creative: str
    exchange: str
    bid_cpm_micros: int
    bid_time_ms: int
    window_seconds: int
    auction: str = ""
    imp: str = ""
    biller: Biller = "b"
    is_test: bool = False
    currency: str = ""
    price_micros: int = 0
    advertiser: str = ""
    reserved_seconds: int = 0
    limits: tuple[Limit, ...] = ()

    @property
    def source(self) -> NoticeSource:
        """Which notice moves money."""
        return _SOURCE_OF[self.biller]

    @property
    def expires_ms(self) -> int:
        """From then on a notice is late: stored, not counted; Unix ms."""
        return self.bid_time_ms + self.window_seconds * 1000

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


def short_id(text: str) -> str:
    """An id of the exchange's as it stands in a token: a long one as a digest of 22 characters.

    Ids may have any length (OpenRTB 2.6 section 3.2.1), and URLs may not.
    """
    if len(text) <= LONGEST_ID:
        return text
    raw = text.encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hashlib.blake2b(raw, digest_size=16).digest())[:22].decode()


class NoticeSigner:
    """Signs and verifies under one secret, the same in every bidder of an owner."""

    __slots__ = ("_base", "_shown", "_targets", "_viewers")

    def __init__(self, secret: str) -> None:
        if len(secret) < 8:
            raise InvalidFieldError("notice_secret", "(hidden)", "a secret of 8 characters or more")
        key = hashlib.blake2b(secret.encode(), digest_size=32).digest()
        self._base = hashlib.blake2b(key=key, digest_size=TAG_BYTES)
        self._shown = hashlib.blake2b(key=key, digest_size=TAG_BYTES, person=_SHOWN)
        self._targets = hashlib.blake2b(key=key, digest_size=TAG_BYTES, person=_TARGET)
        self._viewers = hashlib.blake2b(key=key, digest_size=TAG_BYTES, person=_VIEWER)

    def sign(self, token: NoticeToken) -> str:
        """The token as it stands in the URLs that the exchange calls."""
        return _signed(self._base, _encode(token))

    def sign_shown(self, token: NoticeToken) -> str:
        """The token as it stands in the URLs of the ad."""
        return _signed(self._shown, _encode(token))

    def verify(self, text: str, kind: NoticeKind) -> NoticeToken:
        """Reads a token.

        Args:
            text: as it stands in the URL.
            kind: of notice, as the URL's path says.

        Raises:
            TokenError: not ours, edited, or from a URL of the other sort.
        """
        base = self._shown if kind in SHOWN_KINDS else self._base
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise TokenError("the token is not url-safe base64") from error
        tag, body = raw[:TAG_BYTES], raw[TAG_BYTES:]
        if not hmac.compare_digest(tag, _digest(base, body)):
            raise TokenError("the token was not signed by this owner")
        try:
            return _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise TokenError("the token is signed but not readable") from error

    def sign_target(self, url: str) -> str:
        """A signature of 16 characters: to this address, and no other, a click may be sent on."""
        return base64.urlsafe_b64encode(_digest(self._targets, url.encode())).decode()

    def is_target(self, url: str, signature: str) -> bool:
        """Whether :meth:`sign_target` gave that signature to that address."""
        wanted = self.sign_target(url).encode()
        return hmac.compare_digest(wanted, signature.encode("utf-8", "replace"))

    def viewer(self, address: str, agent: str) -> str:
        """A viewer's digest, so that one who fetches a thousand pixels can be told; 16 characters.

        Nobody finds the address out again who does not have the secret.
        """
        body = f"{address}\0{agent}".encode("utf-8", "replace")
        return base64.urlsafe_b64encode(_digest(self._viewers, body)).decode()


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def _signed(base: "hashlib.blake2b", body: bytes) -> str:
    # As base64.urlsafe_b64encode, which takes a third longer.
    raw = binascii.b2a_base64(_digest(base, body) + body)
    return raw.translate(_URL_SAFE, b"=\n").decode()


def _digest(base: "hashlib.blake2b", body: bytes) -> bytes:
    state = base.copy()  # a quarter faster than to take in the key each time
    state.update(body)
    return state.digest()
