"""Bid responses as bytes (OpenRTB 2.6 section 4.2): parts joined, nothing encoded twice."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bidder.bids import Bid
from bidder.creatives import Creatives
from bidder.formats import Links
from models.catalog import Catalog
from models.notices import NoticeSigner, NoticeToken
from models.units import MICROS

__all__ = ["Responder"]

_json: Final = msgspec.json.Encoder().encode
PRICE_MACRO: Final = "${AUCTION_PRICE}"


class Responder:
    """Writes responses.

    Args:
        catalog: for the advertisers' domains.
        signer: signs the notices' tokens.
        public_url: where exchanges reach us, without a closing slash.
        seat, currency: of every response.
    """

    def __init__(
        self, catalog: Catalog, signer: NoticeSigner, *, public_url: str, seat: str, currency: str
    ) -> None:
        self._creatives = Creatives(catalog)
        self._signer = signer
        self._notice = f"{public_url.rstrip('/')}/notice/"
        self._head = b'],"seat":%b}],"cur":%b}' % (_json(seat), _json(currency))

    def body(self, request_id: str, bids: Sequence[tuple[Bid, NoticeToken]]) -> bytes:
        """The response to a request, with one or more bids and what their notices will say."""
        written = b",".join(self._bid(bid, token) for bid, token in bids)
        return b'{"id":%b,"seatbid":[{"bid":[%b%b' % (_json(request_id), written, self._head)

    def _bid(self, bid: Bid, token: NoticeToken) -> bytes:
        signed = self._signer.sign(token)
        billing_url = f"{self._notice}billing?t={signed}&p={PRICE_MACRO}"
        written = self._creatives.write(bid)
        # Of a video or native ad both the pixel and the billing notice may come: one nonce, so
        # they count once (N2).
        links = Links(billing_url, "", token.nonce)
        return (b'{"id":"%b","impid":%b,"price":%b,"adm":"%b","nurl":"%b","burl":"%b",%b}') % (
            token.nonce.encode(),
            _json(bid.imp_id),
            f"{bid.bid_cpm_micros / MICROS:.6f}".encode(),
            written.markup.with_links(links),
            f"{self._notice}win?t={signed}&p={PRICE_MACRO}".encode(),
            billing_url.encode(),
            written.fields,
        )
