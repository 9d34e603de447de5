"""Receipts from running bidders, through a real broker, to whoever asks for them later."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kinbid.engines import EmbeddedKafka, RedisEngine
from kinbid.explain_receipt import explain_receipt
from kinbid.find_receipt import NoReceiptError, find_receipts
from kinbid.watching import end_of, publish_watch, read_watches, watch_of, watch_of_person
from models.errors import UnknownNameError
from models.identifiers import Namespace
from models.nonces import Nonces
from models.receipts import Receipt, encode_receipt, receipt_partition
from models.topics import Topics
from models.units import DAY_MS
from models.watches import Watch
from runtime import clock, kafka
from runtime.pepper import pepper_of
from runtime.settings import Settings
from tests.integration.bidder.test_worker import (
    COOKIE,
    CUSTOMER,
    PERSONAL,
    Bidder,
    bid_request,
    environment,
    eventually,
    publish,
    remember,
    settings_of,
    start_bidder,
)

pytestmark = pytest.mark.integration

A_MINUTE_MS = 60_000
ALL = {"receipt_sample_percent": 100.0, "receipt_full_percent": 100.0}
NONE = {"receipt_sample_percent": 0.0, "receipt_full_percent": 0.0}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("engines")
    with EmbeddedKafka.start(folder / "kafka") as broker, RedisEngine.start(folder / "r") as store:
        settings = settings_of(broker, store)
        asyncio.run(publish(settings))
        remember(settings)
        yield settings


@pytest.fixture
def all_kept(engines: Settings, tmp_path: Path) -> Iterator[tuple[Bidder, Settings]]:
    """A bidder that keeps the full receipt of everything."""
    settings = msgspec.structs.replace(engines, **ALL)
    running = start_bidder(settings, tmp_path)
    with running.child:
        yield running, settings


@pytest.fixture
def none_kept(engines: Settings, tmp_path: Path) -> Iterator[tuple[Bidder, Settings]]:
    """A bidder that keeps what is watched, and nothing else."""
    settings = msgspec.structs.replace(engines, **NONE)
    running = start_bidder(settings, tmp_path)
    with running.child:
        yield running, settings


def found(settings: Settings, name: str, at_ms: int | None = None) -> list[Receipt]:
    """The receipts of a name; none where nothing was kept."""
    try:
        return asyncio.run(find_receipts(settings, name, at_ms=at_ms))
    except NoReceiptError:
        return []


def explained(settings: Settings, name: str) -> dict[str, Any]:
    eventually(lambda: found(settings, name), f"no receipt of {name}")
    return asyncio.run(explain_receipt(settings, name, None))


def test_a_bid_leads_to_its_receipt_by_its_own_id_and_by_the_auctions(
    all_kept: tuple[Bidder, Settings],
) -> None:
    bidder, settings = all_kept
    body = bid_request(id="an-auction/1", user={"buyeruid": COOKIE})
    status, answer, _ = bidder.bid(body)
    assert status == 200
    (bid,) = json.loads(answer)["seatbid"][0]["bid"]
    report = explained(settings, bid["id"])
    assert report["recomputed"]["is_equal"] is True
    assert report["recomputed"]["is_same_code"] is True
    assert report["body"] == answer.decode()
    assert report["bids"][0]["campaign"] == bid["cid"]
    assert report["catalog"]["catalog.v1"] > 0
    assert explained(settings, "an-auction/1")["receipt"] == bid["id"]
    (receipt,) = found(settings, "an-auction/1", at_ms=clock.now_ms())
    assert receipt.id == bid["id"]
    assert found(settings, "an-auction/1", at_ms=clock.now_ms() - 3_600_000) == []


def test_a_no_bid_is_found_by_the_auctions_id_and_equal_too(
    all_kept: tuple[Bidder, Settings],
) -> None:
    bidder, settings = all_kept
    assert bidder.bid(bid_request(id="no-auction", wseat=["another"]))[0] == 204
    report = explained(settings, "no-auction")
    assert (report["outcome"], report["reason"]) == ("no_bid", "seat_blocked")
    assert report["recomputed"]["is_equal"] is True


def test_of_one_auction_id_each_exchange_has_its_own(all_kept: tuple[Bidder, Settings]) -> None:
    bidder, settings = all_kept
    bidder.bid(bid_request(id="same-id"))
    eventually(lambda: found(settings, "same-id"), "no receipt")
    assert asyncio.run(find_receipts(settings, "same-id", exchange="north"))
    with pytest.raises(NoReceiptError, match="no receipt of same-id from south: "):
        asyncio.run(find_receipts(settings, "same-id", exchange="south"))


@pytest.mark.parametrize("late_ms", [0, 30_000, 600_000])
def test_a_receipt_that_was_shipped_late_is_found_too(engines: Settings, late_ms: int) -> None:
    """Its name tells when it was made, and others were shipped since then."""
    decided_ms = clock.now_ms() - late_ms
    name = Nonces("w00002").next(decided_ms)
    receipt = Receipt(id=name, why="sample", time_ms=decided_ms, exchange="north", auction="late",
                      code="test", outcome="bid")  # fmt: skip
    other = msgspec.structs.replace(receipt, id="another", time_ms=clock.now_ms())

    async def ship() -> None:
        topic = Topics.RECEIPTS.name(engines.owner)
        async with kafka.producing(engines) as producer:
            for one in (other, receipt):
                await producer.send_and_wait(
                    topic, key=one.id.encode(), value=encode_receipt(one),
                    partition=receipt_partition("w00002"), timestamp_ms=one.time_ms,
                )  # fmt: skip

    asyncio.run(ship())
    assert [one.id for one in found(engines, name)] == [name]


def test_whoever_asks_for_a_bid_of_long_ago_is_told_when_it_was(engines: Settings) -> None:
    name = Nonces("w00001").next(clock.now_ms() - 20 * DAY_MS)
    with pytest.raises(NoReceiptError, match=r"a bid of that name was made at .* for 7 days"):
        asyncio.run(find_receipts(engines, name))


def test_the_command_tells_the_factors_the_losers_and_that_all_is_equal(
    all_kept: tuple[Bidder, Settings], tmp_path: Path
) -> None:
    bidder, settings = all_kept
    # Of somebody whose caps no other test of this module uses up.
    (bid,) = bidder.bids(bid_request(id="told", user={"buyeruid": CUSTOMER}))
    explained(settings, bid["id"])

    def explain(**changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kinbid", "explain", "--receipt", bid["id"]]
        env = environment(settings, tmp_path) | {"COLUMNS": "200"} | changes
        return subprocess.run(
            command, check=False, env=env, capture_output=True, text=True, timeout=60
        )

    told = explain()
    assert told.returncode == 0, told.stderr
    assert "recomputed: equal, byte for byte" in told.stdout
    assert "p_conversion" in told.stdout
    assert "needs a person" in told.stdout or "is worth more" in told.stdout
    assert CUSTOMER not in told.stdout
    other = explain(KINBID_NOTICE_SECRET="another secret for tests")
    assert other.returncode == 1
    assert "NOT equal" in other.stdout


def test_a_watch_is_followed_within_a_second_and_ends_by_itself(
    none_kept: tuple[Bidder, Settings],
) -> None:
    bidder, settings = none_kept

    def kept() -> float:
        bidder.bid(bid_request(user={"buyeruid": COOKIE}))
        return bidder.metric("bidder_receipts_total", "full")

    assert kept() == 0
    soon_ms = clock.now_ms() + 4_000
    asyncio.run(
        publish_watch(settings, asyncio.run(watch_of(settings, "exchange", "north", soon_ms)))
    )
    assert [one.key for one in asyncio.run(read_watches(settings))] == ["exchange/north"]
    eventually(kept, "the watch is not followed")
    eventually(lambda: clock.now_ms() > soon_ms + 1_000, "time stands still")
    before = kept()
    assert kept() == before
    assert asyncio.run(read_watches(settings)) == []
    identifier = f"cookie:{COOKIE}"
    until_ms = clock.now_ms() + A_MINUTE_MS
    watch = asyncio.run(watch_of_person(settings, identifier, until_ms))
    asyncio.run(publish_watch(settings, watch))
    eventually(lambda: kept() > before, "the person is not watched")
    nobody = bidder.metric("bidder_receipts_total", "full")
    bidder.bid(bid_request(user={"buyeruid": "somebody-elses-browser"}))
    assert bidder.metric("bidder_receipts_total", "full") == nobody
    with pytest.raises(UnknownNameError):
        asyncio.run(end_of(settings, "person", "cookie:somebody-elses-browser"))
    asyncio.run(publish_watch(settings, asyncio.run(end_of(settings, "person", identifier))))
    assert asyncio.run(read_watches(settings)) == []


def test_a_watch_is_ended_by_any_name_of_the_person_and_of_what_is_not_sold_any_more(
    engines: Settings,
) -> None:
    until_ms = clock.now_ms() + A_MINUTE_MS
    pepper = pepper_of(engines)
    nodes = [pepper.node(Namespace.COOKIE, f"a-long-cookie-{n}") for n in range(2)]
    person = Watch(
        target="person", names=tuple(one for one in nodes if one is not None), until_ms=until_ms
    )
    gone = Watch(target="campaign", names=("withdrawn-since",), until_ms=until_ms)

    async def scenario() -> list[Watch]:
        for one in (person, gone):
            await publish_watch(engines, one)
        await publish_watch(engines, await end_of(engines, "person", "cookie:a-long-cookie-1"))
        await publish_watch(engines, await end_of(engines, "campaign", "withdrawn-since"))
        return await read_watches(engines)

    assert len(person.names) == 2
    assert {one.key for one in asyncio.run(scenario())}.isdisjoint({person.key, gone.key})


def test_without_a_broker_bids_go_on_and_receipts_are_dropped_and_counted(tmp_path: Path) -> None:
    with (
        RedisEngine.start(tmp_path / "redis") as store,
        EmbeddedKafka.start(tmp_path / "kafka") as broker,
    ):
        settings = msgspec.structs.replace(settings_of(broker, store), **ALL)
        asyncio.run(publish(settings))
        remember(settings)
        running = start_bidder(settings, tmp_path)
        with running.child:
            running.bid(PERSONAL)
            eventually(lambda: found(settings, "a"), "none is shipped")
            broker.stop()

            def dropped() -> float:
                assert running.bid(PERSONAL)[0] == 200
                return running.metric("bidder_receipts_dropped_total", "kafka")

            eventually(dropped, "nothing is dropped")
