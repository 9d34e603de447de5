"""Takes notices in: verified, judged, made durable, then answered.

Exchanges repeat what is not answered with 2xx, about every ten seconds for a minute. So what no
repetition can mend, a forged token or a price that cannot be believed, is answered 204 like what
was taken: it moves nothing, is counted, and (unless forged: anybody can send those) is kept among
the dead letters for people. Only what could not be made durable is 503.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from bidder import metrics
from bidder.billing_delays import BillingDelays
from bidder.http1 import response
from bidder.metrics import NOTICE_RESULTS, Counters
from bidder.notices.callers import Caller
from bidder.notices.clicks import landing_page
from bidder.notices.judgement import Judgement, Notice, judge, outcome_of
from bidder.notices.keeper import Keeper
from bidder.notices.prices import PriceKeys, decrypt_price, price_cpm_micros, read_price_keys
from bidder.notices.replies import NO_CONTENT, PIXEL, redirect
from bidder.notices.segments import KafkaRecord
from models.catalog import Catalog
from models.events import encode
from models.notices import NOTICE_KINDS, NoticeKind, NoticeSigner, NoticeToken, TokenError
from models.outcomes import Billing
from models.topics import Topics
from runtime.settings import Settings

__all__ = ["Notices"]

logger = logging.getLogger(__name__)

RESULTS: Final = {
    (kind, result): metrics.slot("bidder_notices", f"{kind}_{result}")
    for kind in NOTICE_KINDS
    for result in NOTICE_RESULTS
}
SPEND: Final = metrics.slot("bidder_spend_micros")
UNAVAILABLE: Final = response(503)
NOT_OURS: Final = response(400)

FINAL: Final = frozenset({"accepted", "test"})
"""Verdicts after which the same kind of notice of the same bid says nothing new."""
REMEMBERED: Final = 32_768
"""Notices that a worker knows to be repeated; some 5 MB."""

Values = Mapping[str, str]


class Notices:
    """One worker's notices.

    Args:
        settings: secrets and topics.
        catalog: how each exchange writes prices.
        keeper: makes records durable.
        counters: of this worker.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        keeper: Keeper,
        counters: Counters,
        delays: BillingDelays | None = None,
    ) -> None:
        self._signer = NoticeSigner(settings.notice_secret)
        self._topic = Topics.OUTCOMES.name(settings.owner)
        self._dead_letters = Topics.DEAD_LETTERS.name(settings.owner)
        self._currency = settings.currency
        self._price_keys = read_price_keys(settings.price_keys)
        self._catalog = catalog
        self._keeper = keeper
        self._counters = counters
        self._delays = delays or BillingDelays()
        self._taken: dict[tuple[str, ...], None] = {}
        """Kind and bid of what stands; of what was set aside the verdict, too."""

    async def answer(self, kind: NoticeKind, query: str, caller: Caller, now_ms: int) -> bytes:
        """Takes one notice; returns the whole HTTP response.

        Args:
            kind: as its path says.
            query: ``t`` the token, and what :mod:`bidder.notices.judgement` reads.
            caller: who calls.
            now_ms: the present, Unix ms.
        """
        values = _first_values(query)
        is_kept = await self._take(kind, query, values, caller, now_ms)
        if kind == "click":
            # Whatever became of the notice, somebody waits for the page.
            page = landing_page(values, self._signer)
            return NOT_OURS if page is None else redirect(page)
        if not is_kept:
            return UNAVAILABLE
        return PIXEL if kind == "impression" else NO_CONTENT

    async def _take(
        self, kind: NoticeKind, query: str, values: Values, caller: Caller, now_ms: int
    ) -> bool:
        """Whether nobody needs to send it again."""
        try:
            token = self._signer.verify(values.get("t", ""), kind)
        except TokenError:
            self._count(kind, "forged")
            return True
        name: tuple[str, ...] = (kind, token.nonce)
        if name in self._taken:
            self._count(kind, "repeated")
            return True
        viewer = self._signer.viewer(*caller.viewer()) if token.node else ""
        notice = Notice(kind, token, values, now_ms, viewer)
        read_price = partial(_read_price, self._keys_of(token.exchange))
        judged = judge(notice, read_price, self._currency)
        if judged.verdict not in FINAL:
            # Set aside but once; what comes after it with a price to believe stands all the same.
            name = (*name, judged.verdict)
            if name in self._taken:
                self._count(kind, "repeated")
                return True
        if judged.verdict == "test":
            is_kept = True
        elif judged.verdict == "accepted":
            is_kept = await self._store(notice, judged)
        else:
            is_kept = await self._set_aside(notice, query, judged)
        if is_kept:
            self._remember(name)
        self._count(kind, judged.verdict if is_kept else "failed")
        return is_kept

    async def _store(self, notice: Notice, judged: Judgement) -> bool:
        outcome = outcome_of(notice, judged)
        record = KafkaRecord(self._topic, encode(outcome), _key(notice.token))
        if not await self._keeper.keep(record):
            return False
        # While it was written the same may have come again: it counts once.
        if isinstance(outcome, Billing) and (notice.kind, outcome.nonce) not in self._taken:
            self._counters.add(SPEND, outcome.cost_micros)
            self._delays.add(outcome.exchange, outcome.notice_time_ms - outcome.bid_time_ms)
        return True

    async def _set_aside(self, notice: Notice, query: str, judged: Judgement) -> bool:
        """Keeps a notice that moves nothing, as it came."""
        token = notice.token
        logger.warning(
            "notice_set_aside",
            extra={
                "kind": notice.kind,
                "reason": judged.verdict,
                "why": judged.why,
                "exchange": token.exchange,
                "bid": token.nonce,
            },
        )
        headers = (
            ("reason", judged.verdict.encode()),
            ("why", judged.why.encode()),
            ("topic", self._topic.encode()),
        )
        value = f"{notice.kind}?{query}".encode()
        return await self._keeper.keep(KafkaRecord(self._dead_letters, value, _key(token), headers))

    def _keys_of(self, exchange_id: str) -> PriceKeys | None:
        """Under which an exchange encrypts its prices; None where they are plain."""
        exchange = self._catalog.exchanges.get(exchange_id)
        if exchange is not None and exchange.price_format == "plain":
            return None
        return self._price_keys.get(exchange_id, NO_KEYS if exchange is not None else None)

    def _remember(self, name: tuple[str, ...]) -> None:
        if len(self._taken) >= REMEMBERED:
            del self._taken[next(iter(self._taken))]
        self._taken[name] = None

    def _count(self, kind: NoticeKind, result: str) -> None:
        self._counters.add(RESULTS[kind, result])


NO_KEYS: Final = PriceKeys(b"", b"")
"""An exchange encrypts and we have no keys: none of its prices can be believed."""


def _read_price(keys: PriceKeys | None, text: str) -> int | None:
    if keys is None:
        return price_cpm_micros(text)
    return None if keys is NO_KEYS else decrypt_price(text, keys)


def _first_values(query: str) -> dict[str, str]:
    """Each name's first value: our own come first, whatever a caller appends."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, value)
    return values


def _key(token: NoticeToken) -> bytes:
    """All of one bid's notices go to one partition, whoever takes them in: each counts once there.

    Where there is no person, that is the partition of the bid's name.
    """
    return (token.node or token.nonce).encode()
