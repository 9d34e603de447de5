"""Notices through real processes: none is lost while Kafka is away, whatever is killed then."""

import asyncio
import html
import http.client
import os
import re
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from aiokafka import TopicPartition

from kinbid.engines import ApacheKafka, RedisEngine
from kinbid.publish import publish_catalog
from kinbid.spend import spend_micros
from kinbid.stack import Options, Stack
from kinbid.up import load_demo_catalog
from models.catalog_records import Exchange
from models.identifiers import Namespace
from models.outcomes import Billing, Click, NoticeOutcome, UncountedBilling
from models.topics import Topics
from models.units import MICROS, ExchangeId
from runtime import kafka as kafka_clients
from runtime.settings import Settings
from tests.fakes.outcomes import decode_notice
from tests.system.client import Client, flight
from tests.system.conftest import kafka_lib

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

BIDS = 60
PATIENCE_SECONDS = 60.0


def ask(
    client: Client, url: str, price: float = 0.0, **headers: str
) -> tuple[int, http.client.HTTPMessage]:
    """The answer to one call, redirects not followed."""
    parts = urlsplit(url.replace("${AUCTION_PRICE}", f"{price:.6f}"))
    host = urlsplit(client.stack.addresses["bidder"])
    with closing(http.client.HTTPConnection(str(host.hostname), host.port, timeout=30)) as there:
        there.request("GET", f"{parts.path}?{parts.query}", headers=headers)
        answer = there.getresponse()
        answer.read()
        return answer.status, answer.headers


def outcomes(settings: Settings) -> list[NoticeOutcome]:
    """Every notice that stands in Kafka."""
    found: list[NoticeOutcome] = []

    async def read() -> None:
        parts = [
            TopicPartition(Topics.OUTCOMES.name(settings.owner), number)
            for number in range(Topics.OUTCOMES.partitions)
        ]
        async with kafka_clients.consuming(settings) as consumer:
            consumer.assign(parts)
            await kafka_clients.replay(
                consumer, parts, lambda record: found.append(decode_notice(record.value))
            )

    asyncio.run(read())
    return found


def spent(settings: Settings) -> int:
    return sum(asyncio.run(spend_micros(settings, 0)).values())


# -- Kafka killed, workers killed ------------------------------------------------------------------


class Broken:
    """A stack whose broker and bidder workers can be killed with -9."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder, self._keep = folder, running.enter_context
        self.kafka = self._keep(ApacheKafka.start(folder / "kafka", lib=kafka_lib()))
        redis = self._keep(RedisEngine.start(folder / "redis"))
        self.spool = folder / "spool"
        base = Settings(bidder_workers=2, spool_directory=str(self.spool))
        options = Options(kafka=self.kafka.bootstrap, redis=redis.url)
        self.stack = self._keep(Stack.start_engines(options, base))
        load_demo_catalog(self.stack.settings)
        self.stack.start_parts()
        self.client = Client(self.stack)
        asyncio.run(self.client.see_a_bid())

    def kill_kafka(self) -> None:
        os.kill(self.kafka.pid, signal.SIGKILL)
        self.kafka.stop()

    def restart_kafka(self) -> None:
        """Starts the broker again where it was, with its records."""
        self.kafka = self._keep(
            ApacheKafka.start(self._folder / "kafka", lib=kafka_lib(), port=self.kafka.port)
        )

    def kill_workers(self) -> None:
        for pid in self.stack.addresses["pids"]["bidder"]:
            os.kill(pid, signal.SIGKILL)

    def spooled_files(self) -> list[Path]:
        return list(self.spool.glob("*/*"))


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Broken]:
    with ExitStack() as running:
        yield Broken(tmp_path, running)


@pytest.mark.apache
@pytest.mark.parametrize("kills_workers", [False, True])
def test_no_notice_is_lost_or_counted_twice_when_kafka_and_then_the_workers_are_killed(
    broken: Broken, *, kills_workers: bool
) -> None:
    """N4, N5, N8: 204 means durable, whatever dies next; repetitions change nothing."""
    client, settings = broken.client, broken.stack.settings
    bids = [client.bid(live=True) for _ in range(BIDS)]
    assert all(bids)
    told: list[dict[str, Any]] = [bid for bid in bids if bid is not None]
    before, during = told[: BIDS // 3], told[BIDS // 3 :]

    def bill(bid: dict[str, Any]) -> int:
        return ask(client, bid["burl"], bid["price"])[0]

    assert {bill(bid) for bid in before} == {204}
    broken.kill_kafka()
    took_seconds = []
    for bid in (*during, *before[:5]):
        began = time.monotonic()
        assert bill(bid) == 204
        took_seconds.append(time.monotonic() - began)
    assert sorted(took_seconds)[len(took_seconds) // 2] < 0.08, "OpenX wants that"
    assert broken.spooled_files(), "it waits on disk"
    if kills_workers:
        broken.kill_workers()
    broken.restart_kafka()

    wanted = {bid["id"] for bid in told}
    money = sum(round(round(bid["price"] * MICROS) / 1000) for bid in told)
    client.until(
        lambda: {one.nonce for one in outcomes(settings) if isinstance(one, Billing)},
        lambda nonces: nonces >= wanted,
        PATIENCE_SECONDS,
    )
    assert {one.nonce for one in outcomes(settings)} == wanted, "and nobody else's"
    assert spent(settings) == money
    client.until(broken.spooled_files, lambda files: not files, PATIENCE_SECONDS)
    for bid in told:
        assert bill(bid) == 204
    assert spent(settings) == money
    if not kills_workers:
        assert "Traceback" not in broken.stack.log_path("bidder").read_text()


# -- by exchange -----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["embedded"], indirect=True, scope="module")
def test_an_exchange_that_bills_by_our_pixel_is_billed_by_it_alone(client: Client) -> None:
    """N2, N3: the billing notice of such an exchange is kept and moves nothing; clicks lead on."""
    own = Exchange(id=ExchangeId("south"), bills_on="pixel", click_redirect=True)
    asyncio.run(publish_catalog(client.settings, [own]))
    device = f"viewer-{uuid.uuid4()}"
    client.offer(flight(771))
    client.produce(client.search(client.node(Namespace.COOKIE, device), "JFK-LAX"))
    bid = client.until(
        lambda: client.bid("south", cookie=device, live=True),
        lambda seen: (
            seen is not None and seen["cid"] == "air-seats" and seen["adm"].count("/notice/") == 2
        ),
    )
    assert bid is not None
    addresses = re.findall(r'(?:href|src)="([^"]+/notice/[^"]+)"', bid["adm"])
    click, pixel = map(html.unescape, addresses)
    assert ask(client, bid["nurl"], bid["price"])[0] == 204
    assert ask(client, bid["burl"], bid["price"])[0] == 204
    status, headers = ask(client, pixel, bid["price"])
    assert (status, headers["Content-Type"]) == (200, "image/gif")
    status, headers = ask(client, click)
    assert status == 302
    assert urlsplit(headers["Location"]).scheme == "https"
    assert "JFK-LAX" in headers["Location"]

    def mine() -> list[NoticeOutcome]:
        return [one for one in outcomes(client.settings) if one.nonce == bid["id"]]

    found = client.until(mine, lambda all_of_it: len(all_of_it) == 4)
    (billed,) = (one for one in found if isinstance(one, Billing))
    assert (billed.source, billed.auction.startswith("r")) == ("pixel", True)
    assert {Click, UncountedBilling} <= {type(one) for one in found}


def look(client: Client, exchange: str, user_id: str) -> str | None:
    """The campaign that bids where a request has the exchange's own user id only."""
    body = msgspec.json.encode(
        {
            "id": "r", "test": 1, "tmax": 400, "user": {"id": user_id},
            "imp": [{"id": "1", "secure": 0, "banner": {"format": [{"w": 300, "h": 250}]}}],
        }
    )  # fmt: skip
    status, answer = client.post(f"/openrtb2/{exchange}/bid", body)
    assert status in {200, 204}
    found: str | None = (
        msgspec.json.decode(answer)["seatbid"][0]["bid"][0]["cid"] if status == 200 else None
    )
    return found


@pytest.mark.parametrize("client", ["embedded"], indirect=True, scope="module")
def test_after_a_cookie_sync_an_exchanges_user_id_is_the_person_behind_our_cookie(
    client: Client,
) -> None:
    """R13, U2, U3: at that exchange only, and not where the browser says no."""
    device, theirs, refused = (f"{name}-{uuid.uuid4()}" for name in ("browser", "user", "refused"))
    client.offer(flight(772))
    client.produce(client.search(client.node(Namespace.COOKIE, device), "JFK-LAX"))
    client.until(lambda: client.campaign(cookie=device), lambda seen: seen == "air-seats")
    assert look(client, "north", theirs) == "air-brand"
    cookie = f"{client.settings.cookie_name}={device}"
    status, headers = ask(client, f"/sync/north?uid={theirs}", Cookie=cookie)
    assert status == 200
    assert headers["Set-Cookie"].startswith(cookie)
    client.until(lambda: look(client, "north", theirs), lambda seen: seen == "air-seats")
    assert look(client, "east", theirs) == "air-brand"
    for values in ("&gdpr=1", "&us_privacy=1YYN"):
        _, headers = ask(client, f"/sync/north?uid={refused}{values}", Cookie=cookie)
        assert "Set-Cookie" not in headers
    assert look(client, "north", refused) == "air-brand"
