"""A signed token, a Kafka that fails when told to, and a keeper in memory."""

import asyncio
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from bidder.metrics import Counters
from bidder.notices import Caller, Keeper, Notices
from bidder.notices.segments import KafkaRecord
from bidder.path import BidPath
from bidder.server import Server
from bidder.syncs import Syncs
from models.catalog import Catalog
from models.catalog_records import Exchange
from models.notices import BILLER_OF, SHOWN_KINDS, NoticeSigner, NoticeToken, TokenError
from models.outcomes import NoticeSource
from models.units import MICROS
from runtime.link import Link
from runtime.settings import Settings
from tests.unit.bidder.support import KEYS, NODE, NORTH, NOW_MS, PEPPER, SETTINGS

BID_CPM_MICROS: Final = 2 * MICROS
WINDOW_SECONDS: Final = 60
SIGNER: Final = NoticeSigner(SETTINGS.notice_secret)


class FakeProducer:
    """Keeps what is sent, fails, or hangs."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.sent: list[tuple[str, bytes, bytes | None, dict[str, bytes]]] = []
        self.asked = 0
        self.failure = failure
        self.hangs = False

    async def send_and_wait(
        self, topic: str, *, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.Event().wait()
        self.sent.append((topic, value, key, dict(headers)))


class FakeKeeper(Keeper):
    """Keeps records in memory, or refuses them."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.kept: list[KafkaRecord] = []
        self.is_full = is_full

    async def keep(self, record: KafkaRecord) -> bool:
        await asyncio.sleep(0)
        if not self.is_full:
            self.kept.append(record)
        return not self.is_full


def token(source: NoticeSource = "burl", **changes: object) -> NoticeToken:
    made = NoticeToken(
        node=NODE, nonce="w1-0", campaign="c", creative="cr", exchange="north",
        bid_cpm_micros=BID_CPM_MICROS, bid_time_ms=NOW_MS, window_seconds=WINDOW_SECONDS,
        auction="auction-1", imp="slot-1", biller=BILLER_OF[source],
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def query(price: str | None = "1.5", signed: NoticeToken | None = None, **values: str) -> str:
    text = SIGNER.sign(signed or token())
    return urlencode({"t": text} | ({} if price is None else {"p": price}) | values)


def notices(
    counters: Counters,
    keeper: Keeper | None = None,
    settings: Settings = SETTINGS,
    exchange: Exchange = NORTH,
) -> Notices:
    what = Catalog()
    what.apply(exchange)
    return Notices(settings, what, keeper or FakeKeeper(), counters)


def in_ad(text: str) -> str:
    """A query with the token as the ad has it, if it is one of ours."""
    values = dict(parse_qsl(text, keep_blank_values=True))
    try:
        signed = SIGNER.verify(values.get("t", ""), "billing")
    except TokenError:
        return text
    return urlencode(values | {"t": SIGNER.sign_shown(signed)})


def ask(
    taker: Notices, text: str, kind: str = "billing", ms: int = NOW_MS, caller: Caller | None = None
) -> bytes:
    """The answer to one notice, whose token stands in the ad where its kind does."""
    text = in_ad(text) if kind in SHOWN_KINDS else text
    return asyncio.run(taker.answer(kind, text, caller or Caller(), ms))  # type: ignore[arg-type]  # a kind's name


def server(
    path: BidPath, link: Link, counters: Counters, producer: FakeProducer | None = None
) -> Server:
    """A server whose notices and syncs go to a fake Kafka."""
    keeper = Keeper(SETTINGS, producer or FakeProducer(), counters)
    taker = Notices(SETTINGS, path.catalog, keeper, counters)
    syncs = Syncs(
        SETTINGS, PEPPER, path.catalog, keeper, counters,
        may_keep_ids=lambda request: path.privacy.use_of(request).ids,
    )  # fmt: skip
    return Server(path, taker, link, KEYS, counters, syncs=syncs)
