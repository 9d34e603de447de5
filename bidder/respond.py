"""Bid responses as bytes (OpenRTB 2.6 section 4.2): parts joined, nothing encoded twice."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from bidder.auction import Terms
from bidder.bids import Bid
from bidder.creatives import Creatives
from bidder.dsa import dsa_written
from bidder.errors import NoBidReason
from bidder.notice_urls import NoticeUrls
from models.catalog import Catalog
from models.catalog_records import Advertiser, Exchange
from models.notices import NoticeSigner, NoticeToken
from models.units import MICROS

__all__ = ["Responder", "no_bid_body"]

_json: Final = msgspec.json.Encoder().encode
KEPT_ENDS: Final = 256


class Responder:
    """Writes responses.

    Args:
        catalog: for the advertisers' domains.
        signer: signs the notices' tokens.
        public_url: where exchanges reach us, without a closing slash.
    """

    def __init__(self, catalog: Catalog, signer: NoticeSigner, *, public_url: str) -> None:
        self._catalog = catalog
        self._creatives = Creatives(catalog)
        self._signer = signer
        self._public_url = public_url
        self._urls: dict[str, NoticeUrls] = {}

    def body(
        self,
        request_id: str,
        bids: Sequence[tuple[Bid, NoticeToken]],
        terms: Terms,
        exchange: Exchange,
    ) -> bytes:
        """The response to a request.

        All bids are of one seat and in one currency, which is always named. Each may win without
        the others, so ``group`` stays away (2.6 section 4.2.2).

        Args:
            request_id: the request's.
            bids: one or more, with what their notices will say.
            terms: of the request.
            exchange: who reads it.
        """
        urls = self._urls_of(exchange)
        written = b",".join([self._bid(bid, token, terms, urls) for bid, token in bids])
        return b'{"id":%b,"seatbid":[{"bid":[%b%b' % (
            _json(request_id),
            written,
            _end(terms.seat, terms.currency),
        )

    def _bid(self, bid: Bid, token: NoticeToken, terms: Terms, urls: NoticeUrls) -> bytes:
        signed = self._signer.sign(token).encode()
        written = self._creatives.write(bid, urls.ads)
        markup = written.markup
        adm = markup.parts[0]
        if markup.holes:
            shown = self._signer.sign_shown(token)
            adm = markup.with_links(urls.links(shown, token.nonce))
        extras = b""
        if bid.deal_id is not None or terms.dsa is not None:
            extras = _extras(bid, self._catalog.advertisers[bid.campaign.advertiser], terms)
        units, micros = divmod(bid.price_micros, MICROS)
        return b'{"id":"%b","impid":%b,"price":%d.%06d,"adm":"%b",%b,"cid":%b,%b,"exp":%d%b}' % (
            token.nonce.encode(),
            _json(bid.imp_id),
            units,
            micros,
            adm,
            urls.fields(signed),
            written.cid,
            written.fields,
            bid.wait_seconds,
            extras,
        )

    def _urls_of(self, exchange: Exchange) -> NoticeUrls:
        """Made once for each state of an exchange's record."""
        known = self._urls.get(exchange.id)
        if known is None or known.exchange is not exchange:
            known = NoticeUrls(exchange, self._public_url, self._signer)
            self._urls[exchange.id] = known
        return known


@lru_cache(maxsize=KEPT_ENDS)
def _end(seat: str, currency: str) -> bytes:
    """What stands behind the last bid: it follows from an exchange and a currency."""
    return b'],"seat":%b}],"cur":%b}' % (_json(seat), _json(currency))


def _extras(bid: Bid, advertiser: Advertiser, terms: Terms) -> bytes:
    """What only some bids say, each with a comma before it."""
    extras = b""
    if bid.deal_id is not None:
        extras += b',"dealid":%b' % _json(bid.deal_id)
    if terms.dsa is not None:
        is_personal = bid.segment is not None
        dsa = dsa_written(terms.dsa, advertiser, bid.creative, is_personal=is_personal)
        if dsa is not None:
            extras += b',"ext":{"dsa":%b}' % dsa
    return extras


def no_bid_body(request_id: str, reason: NoBidReason) -> bytes:
    """A no-bid that says why, for exchanges that want to hear it (2.6 section 4.2.1)."""
    return b'{"id":%b,"nbr":%d}' % (_json(request_id), reason.nbr)
