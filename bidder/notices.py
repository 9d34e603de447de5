"""Win and billing notices: verified, judged, made durable in Kafka, then acknowledged.

A win is not an impression; only billing moves spend and caps (OpenRTB 2.6 section 4.2.3). A
notice is answered 204 once Kafka has it; while Kafka does not, 503 asks the exchange to send it
again, and the nonce in it makes repetition harmless. What is late or has no believable price
moves nothing, and is kept among the dead letters for people to judge.
"""

import asyncio
import logging
import math
import re
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec
from aiokafka.errors import KafkaError

from bidder import metrics
from bidder.billing_delays import BillingDelays
from bidder.metrics import NOTICE_KINDS, NOTICE_RESULTS, Counters
from models.events import Billing, Win, encode
from models.notices import NoticeSigner, NoticeToken, TokenError
from models.topics import Topics
from models.units import MICROS, AdvertiserId, CampaignId, CreativeId, ExchangeId
from runtime.settings import Settings

__all__ = ["Notices", "Verdict", "judge", "price_cpm_micros"]

logger = logging.getLogger(__name__)

Verdict = Literal["accepted", "quarantined", "late", "test"]

RESULTS = {
    (kind, result): metrics.slot("bidder_notices", f"{kind}_{result}")
    for kind in NOTICE_KINDS
    for result in NOTICE_RESULTS
}
SPEND = metrics.slot("bidder_spend_micros")
KAFKA_FAILURES = metrics.slot("bidder_dependency_failures", "kafka")

_DECIMAL = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

DURABLE_SECONDS = 1.0
"""Exchanges give a notice little time; without an answer by then they are asked to repeat it."""

ROUNDING_CPM_MICROS = 1
"""A price above the bid by less than this is a rounding of the exchange's."""


def price_cpm_micros(text: str) -> int | None:
    """A notified ``${AUCTION_PRICE}``; None where it is no price (unexpanded, AUDIT, negative)."""
    if not _DECIMAL.fullmatch(text):
        return None
    micros = float(text) * MICROS
    return round(micros) if math.isfinite(micros) else None


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

    def __init__(
        self,
        settings: Settings,
        producer: Any,  # noqa: ANN401
        counters: Counters,
        delays: BillingDelays | None = None,
    ) -> None:
        self._signer = NoticeSigner(settings.notice_secret)
        self._topic = Topics.OUTCOMES.name(settings.owner)
        self._dead_letters = Topics.DEAD_LETTERS.name(settings.owner)
        self._producer = producer
        self._counters = counters
        self._delays = delays or BillingDelays()

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
        if verdict == "accepted":
            is_kept = await self._store(kind, token, price or 0, now_ms)
        else:
            is_kept = verdict == "test" or await self._set_aside(kind, query, token, verdict)
        self._counters.add(RESULTS[kind, verdict if is_kept else "failed"])
        return 204 if is_kept else 503

    async def _store(self, kind: str, token: NoticeToken, price: int, now_ms: int) -> bool:
        outcome: Win | Billing = Win(
            node=token.node,
            nonce=token.nonce,
            campaign=CampaignId(token.campaign),
            creative=CreativeId(token.creative),
            exchange=ExchangeId(token.exchange),
            clearing_cpm_micros=price,
            notice_time_ms=now_ms,
            personal=bool(token.node),
            bid_time_ms=token.bid_time_ms,
        )
        if kind == "billing":
            outcome = Billing(
                **msgspec.structs.asdict(outcome),
                advertiser=AdvertiserId(token.advertiser),
                reserved_seconds=token.reserved_seconds,
                limits=token.limits,
            )
        if not await self._send(self._topic, encode(outcome), token, []):
            return False
        if kind == "billing":
            self._counters.add(SPEND, round(price / 1000))
            self._delays.add(token.exchange, now_ms - token.bid_time_ms)
        return True

    async def _set_aside(self, kind: str, query: str, token: NoticeToken, verdict: Verdict) -> bool:
        """Keeps a notice that moves nothing, as it came."""
        headers = [("reason", verdict.encode()), ("topic", self._topic.encode())]
        logger.warning(
            "notice_set_aside", extra={"kind": kind, "reason": verdict, "exchange": token.exchange}
        )
        value = f"{kind}?{query}".encode()
        return await self._send(self._dead_letters, value, token, headers)

    async def _send(
        self, topic: str, value: bytes, token: NoticeToken, headers: list[tuple[str, bytes]]
    ) -> bool:
        key = token.node.encode() if token.node else None
        sent = self._producer.send_and_wait(topic, value=value, key=key, headers=headers)
        try:
            # What Kafka takes after that comes twice, and the nonce in it counts once.
            await asyncio.wait_for(sent, DURABLE_SECONDS)
        except (KafkaError, TimeoutError):
            self._counters.add(KAFKA_FAILURES)
            return False
        return True
