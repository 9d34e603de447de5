"""Win and billing notices: verified, judged, made durable in Kafka, then acknowledged.

A win is not an impression; only billing moves spend and caps (OpenRTB 2.6 section 4.2.3). A
notice is answered 204 once Kafka has it; while Kafka does not, 503 asks the exchange to send it
again, and the nonce in it makes repetition harmless.
"""

import math
from typing import Any, Literal
from urllib.parse import parse_qs

from aiokafka.errors import KafkaError

from bidder import metrics
from bidder.metrics import NOTICE_KINDS, NOTICE_RESULTS, Counters
from models.events import Billing, Win, encode
from models.notices import NoticeSigner, NoticeToken, TokenError
from models.topics import Topics
from models.units import MICROS, CampaignId, CreativeId, ExchangeId
from runtime.settings import Settings

__all__ = ["Notices", "Verdict", "judge", "price_cpm_micros"]

Verdict = Literal["accepted", "quarantined", "late", "test"]

RESULTS = {
    (kind, result): metrics.slot("bidder_notices", f"{kind}_{result}")
    for kind in NOTICE_KINDS
    for result in NOTICE_RESULTS
}
SPEND = metrics.slot("bidder_spend_micros")
KAFKA_FAILURES = metrics.slot("bidder_dependency_failures", "kafka")

ROUNDING_CPM_MICROS = 1
"""A price above the bid by less than this is a rounding of the exchange's."""


def price_cpm_micros(text: str) -> int | None:
    """A notified ``${AUCTION_PRICE}``; None where it is no price (unexpanded, AUDIT, negative)."""
    try:
        price = float(text)
    except ValueError:
        return None
    if not math.isfinite(price) or price < 0:
        return None
    return round(price * MICROS)


def judge(token: NoticeToken, price: int | None, now_ms: int) -> Verdict:
    """Whether a verified notice may move money and caps.

    Args:
        token: what was bid.
        price: the notified price, CPM micros.
        now_ms: the present, Unix ms.
    """
    if token.is_test:
        return "test"
    if price is None or price > token.bid_cpm_micros + ROUNDING_CPM_MICROS:
        return "quarantined"
    return "late" if now_ms > token.expires_ms else "accepted"


class Notices:
    """Takes notices in."""

    def __init__(self, settings: Settings, producer: Any, counters: Counters) -> None:  # noqa: ANN401
        self._signer = NoticeSigner(settings.notice_secret)
        self._topic = Topics.OUTCOMES.name(settings.owner)
        self._producer = producer
        self._counters = counters

    async def take(self, kind: str, query: str, now_ms: int) -> int:
        """Judges one notice and stores it; returns the HTTP status.

        Args:
            kind: ``win`` or ``billing``.
            query: ``t`` the token, ``p`` the price.
            now_ms: the present, Unix ms.
        """
        values = parse_qs(query)
        try:
            token = self._signer.verify(values.get("t", [""])[0])
        except TokenError:
            self._counters.add(RESULTS[kind, "forged"])
            return 400
        price = price_cpm_micros(values.get("p", [""])[0])
        verdict = judge(token, price, now_ms)
        if verdict == "accepted" and not await self._store(kind, token, price or 0, now_ms):
            self._counters.add(RESULTS[kind, "failed"])
            return 503
        self._counters.add(RESULTS[kind, verdict])
        return 204

    async def _store(self, kind: str, token: NoticeToken, price: int, now_ms: int) -> bool:
        outcome = (Billing if kind == "billing" else Win)(
            node=token.node,
            nonce=token.nonce,
            campaign=CampaignId(token.campaign),
            creative=CreativeId(token.creative),
            exchange=ExchangeId(token.exchange),
            price_cpm_micros=price,
            notice_time_ms=now_ms,
            personal=bool(token.node),
        )
        key = token.node.encode() if token.node else None
        try:
            await self._producer.send_and_wait(self._topic, value=encode(outcome), key=key)
        except KafkaError:
            self._counters.add(KAFKA_FAILURES)
            return False
        if kind == "billing":
            self._counters.add(SPEND, round(price / 1000))
        return True
