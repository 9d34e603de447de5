"""Cookie syncs: a browser that brings an exchange's user id meets our cookie.

``GET /sync/{exchange}?uid=...`` notes the match; without ``uid`` the browser is sent on to the
exchange, with our cookie's id, where its record names an address. Closed by default: where the
privacy signals that come along (OpenRTB 2.6, appendix C) give no leave, no cookie is read or set,
nothing is noted, and the browser gets its picture.
"""

import re
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, quote

from bidder import metrics
from bidder.http1 import response
from bidder.metrics import SYNC_RESULTS, Counters
from bidder.notices.callers import Caller
from bidder.notices.keeper import Keeper
from bidder.notices.replies import PIXEL, pixel, redirect
from bidder.notices.segments import KafkaRecord
from bidder.openrtb import BidRequest
from bidder.sync_signals import request_of
from models.catalog import Catalog
from models.catalog_records.exchange import COOKIE_SLOT, Exchange
from models.errors import InvalidFieldError
from models.identifiers import Namespace, NodeId, Pepper, scoped
from models.matches import Match, encode_match
from models.topics import Topics
from models.units import DAY_MS, DAY_S
from runtime.settings import Settings

__all__ = ["Syncs"]

RESULTS: Final = {result: metrics.slot("bidder_syncs", result) for result in SYNC_RESULTS}
UNAVAILABLE: Final = response(503)
COOKIE_ID: Final = re.compile(r"[A-Za-z0-9_.~-]{8,128}")
"""What we take for a cookie of ours, whoever of the owner's sites has set it."""
COOKIE_BYTES: Final = 16
COOKIE_DAYS: Final = 390
"""Browsers keep no cookie for longer than 400 days (RFC 6265bis, 5.5)."""
LONGEST_UID: Final = 512


class Syncs:
    """One worker's cookie syncs.

    Args:
        settings: the cookie's name, and for how long a match is believed.
        pepper: hashes identifiers.
        catalog: where exchanges take our id.
        keeper: makes matches durable.
        counters: of this worker.
        may_keep_ids: whether privacy allows that for a request.
    """

    def __init__(
        self,
        settings: Settings,
        pepper: Pepper,
        catalog: Catalog,
        keeper: Keeper,
        counters: Counters,
        *,
        may_keep_ids: Callable[[BidRequest], bool],
    ) -> None:
        self._may_keep_ids = may_keep_ids
        self._cookie_name = settings.cookie_name
        self._match_ms = settings.match_days * DAY_MS
        self._topic = Topics.MATCHES.name(settings.owner)
        self._pepper = pepper
        self._catalog = catalog
        self._keeper = keeper
        self._counters = counters

    async def answer(self, exchange_id: str, query: str, caller: Caller, now_ms: int) -> bytes:
        """Takes one sync; returns the whole HTTP response.

        Args:
            exchange_id: as its path says.
            query: ``uid`` the exchange's user id, and ``gdpr``, ``gdpr_consent``, ``us_privacy``,
                ``gpp``, ``gpp_sid`` as exchanges have them.
            caller: whose browser it is.
            now_ms: the present, Unix ms.
        """
        exchange = self._catalog.exchanges.get(exchange_id)
        if exchange is None:
            return response(404)
        told = parse_qs(query)
        values = {name: found[0] for name, found in told.items()}
        if not self._may_keep_ids(request_of(told, caller)):
            return self._done("refused", PIXEL)
        cookie_id = self._cookie_of(caller) or secrets.token_urlsafe(COOKIE_BYTES)
        cookie = (
            f"{self._cookie_name}={cookie_id}; Max-Age={COOKIE_DAYS * DAY_S}; Path=/; Secure; "
            "HttpOnly; SameSite=None"
        )
        uid = values.get("uid", "")
        if uid:
            return await self._match(exchange, uid, (cookie_id, cookie), now_ms)
        if exchange.sync_url:
            place = exchange.sync_url.replace(COOKIE_SLOT, quote(cookie_id, safe=""))
            return self._done("sent_on", redirect(place, cookie))
        return self._done("cookie_only", pixel(cookie))

    async def _match(
        self, exchange: Exchange, uid: str, ours: tuple[str, str], now_ms: int
    ) -> bytes:
        cookie_id, cookie = ours
        node = self._node(Namespace.EXCHANGE_USER, scoped(exchange.id, uid))
        own = self._node(Namespace.COOKIE, cookie_id)
        if node is None or own is None or len(uid) > LONGEST_UID:
            return self._done("cookie_only", pixel(cookie))  # a placeholder: nobody's id
        match = Match(node=node, cookie=own, matched_ms=now_ms, expires_ms=now_ms + self._match_ms)
        record = KafkaRecord(self._topic, encode_match(match), node.encode())
        if not await self._keeper.keep(record):
            return self._done("failed", UNAVAILABLE)
        return self._done("matched", pixel(cookie))

    def _node(self, namespace: Namespace, value: str) -> NodeId | None:
        try:
            return self._pepper.node(namespace, value)
        except InvalidFieldError:
            return None

    def _cookie_of(self, caller: Caller) -> str | None:
        for part in caller.headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie_name and COOKIE_ID.fullmatch(value):
                return value
        return None

    def _done(self, result: str, answer: bytes) -> bytes:
        self._counters.add(RESULTS[result])
        return answer
