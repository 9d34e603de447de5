"""Bid responses as bytes (OpenRTB 2.6 section 4.2): parts joined, nothing encoded twice."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bidder.bids import Bid
from bidder.creatives import Creatives
from bidder.notice_urls import NoticeUrls
from models.catalog import Catalog
from models.notices import NoticeSigner, NoticeToken
from models.units import MICROS, ExchangeId

__all__ = ["Responder"]

_json: Final = msgspec.json.Encoder().encode


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
        self._catalog = catalog
        self._creatives = Creatives(catalog)
        self._signer = signer
        self._public_url = public_url
        self._urls: dict[str, NoticeUrls] = {}
        self._head = b'],"seat":%b}],"cur":%b}' % (_json(seat), _json(currency))

    def body(self, request_id: str, bids: Sequence[tuple[Bid, NoticeToken]]) -> bytes:
        """The response to a request, with one or more bids and what their notices will say."""
        written = b",".join(self._bid(bid, token) for bid, token in bids)
        return b'{"id":%b,"seatbid":[{"bid":[%b%b' % (_json(request_id), written, self._head)

    def _bid(self, bid: Bid, token: NoticeToken) -> bytes:
        signed = self._signer.sign(token).encode()
        urls = self._urls_of(token.exchange)
        advertiser = self._catalog.advertisers[bid.campaign.advertiser]
        loss = b"" if urls.loss is None else b',"lurl":"%b"' % urls.loss.url(signed)
        return (
            b'{"id":"%b","impid":%b,"price":%b,"adm":"%b","nurl":"%b","burl":"%b"%b,'
            b'"adomain":[%b],"cid":%b,"crid":%b,"cat":%b,"w":%d,"h":%d,"mtype":1}'
        ) % (
            token.nonce.encode(),
            _json(bid.imp_id),
            f"{bid.bid_cpm_micros / MICROS:.6f}".encode(),
            signed.join(self._creatives.fill(bid, urls)),
            urls.win.url(signed),
            urls.billing.url(signed),
            loss,
            _json(advertiser.domain),
            _json(bid.campaign.id),
            _json(bid.creative.id),
            _json(advertiser.iab_categories),
            bid.width,
            bid.height,
        )

    def _urls_of(self, exchange_id: str) -> NoticeUrls:
        """Made once for each state of an exchange's record."""
        exchange = self._catalog.exchanges[ExchangeId(exchange_id)]
        known = self._urls.get(exchange_id)
        if known is None or known.exchange is not exchange:
            known = NoticeUrls(exchange, self._public_url, self._signer)
            self._urls[exchange_id] = known
        return known
