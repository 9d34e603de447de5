"""The whole way, through real processes: events in, personal bids out, caps that hold."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from kinbid.monitor import read_metrics
from models.events import CrmMerge, CrmSplit, Order
from models.identifiers import Namespace
from models.topics import Topics
from runtime import clock, kafka
from runtime.settings import as_environment
from tests.system.client import AIRLINE, DEPART_DATE, Client, flight

ENGINES = [
    "embedded",
    pytest.param("apache", marks=pytest.mark.apache),
    pytest.param("clusters", marks=pytest.mark.apache),
]
pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("client", ENGINES, indirect=True, scope="module"),
]


def fresh(name: str) -> str:
    return f"{name}-{uuid.uuid4()}"


def kinbid(client: Client, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kinbid", *args], capture_output=True, text=True, check=False,
        timeout=60, env={**os.environ, **as_environment(client.settings)},
    )  # fmt: skip


def test_row_14_a_search_on_the_phone_sells_on_the_desktop_within_one_cap(
    client: Client,
) -> None:
    phone, desk, tablet, mail = (
        str(uuid.uuid4()),
        fresh("desk"),
        fresh("tab"),
        f"{fresh('m')}@a.example",
    )
    email = client.node(Namespace.EMAIL, mail)
    on_phone = client.node(Namespace.IFA, phone)
    client.offer(flight(101))
    client.produce(
        client.sign_in(on_phone, email),
        client.search(on_phone, "JFK-LAX"),
        client.sign_in(client.node(Namespace.COOKIE, desk), email),
        client.sign_in(client.node(Namespace.COOKIE, tablet), email),
    )
    seen = client.until(
        lambda: client.bid("south", cookie=desk), lambda b: b is not None and "JFK-LAX" in b["adm"]
    )
    assert seen is not None
    assert seen["cid"] == "air-seats"
    assert f"JFK-LAX/{DEPART_DATE}" in seen["adm"]
    assert "199.00" in seen["adm"]
    assert "90 seats left" in seen["adm"]
    # Each worker hears of the flight by itself: enough looks in a row to have met both.
    for device in ({"cookie": desk}, {"cookie": tablet}, {"ifa": phone}):
        client.until(
            lambda device=device: client.campaigns(20, **device),  # type: ignore[misc]
            lambda seen: seen == {"air-seats"},
        )
    devices = [{"ifa": phone}, {"cookie": desk}, {"cookie": tablet}]
    for turn in range(5):
        exchange = ("north", "south", "east")[turn % 3]
        bid = client.bid(exchange, live=True, **devices[turn % 3])
        assert bid is not None, turn
        assert bid["cid"] == "air-seats", turn
        client.bill(bid)
    for turn in range(6):
        exchange = ("north", "south", "east")[turn % 3]
        assert client.campaign(exchange, live=True, **devices[turn % 3]) != "air-seats"
    assert client.until(lambda: _billed(client, f"ifa:{phone}"), lambda billed: billed >= 5) == 5


def _caps(client: Client, identifier: str) -> dict[str, Any]:
    path = client.stack.folder / "person.json"
    done = kinbid(client, "person", identifier, "--json", str(path))
    assert done.returncode == 0, done.stderr
    caps = json.loads(path.read_text())["caps"]
    found: dict[str, Any] = next(cap for cap in caps if cap["campaign"] == "air-seats")
    return found


def _billed(client: Client, identifier: str) -> int:
    return int(_caps(client, identifier)["billed"])


def test_what_another_channel_shows_uses_up_the_same_caps(client: Client, tmp_path: Path) -> None:
    """Table A 65: impressions that are imported count for the person, and once."""
    cookie = fresh("c")
    client.offer(flight(109, route="EWR-MIA"))
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "EWR-MIA"))
    client.until(lambda: client.campaigns(20, cookie=cookie), lambda seen: seen == {"air-seats"})
    now = dt.datetime.fromtimestamp(clock.now_ms() / 1000, tz=dt.UTC).isoformat()
    lines = [
        {"id": f"i-{n}", "who": f"cookie:{cookie}", "source": "direct", "advertiser": "airline",
         "time": now, "campaign": "air-seats"}
        for n in range(5)
    ]  # fmt: skip
    file = tmp_path / "impressions.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    for _ in range(2):
        done = kinbid(client, "import", str(file))
        assert done.returncode == 0, done.stderr
        assert "sent 5 impressions" in done.stdout
    client.until(lambda: client.campaigns(5, cookie=cookie), lambda seen: "air-seats" not in seen)
    assert _billed(client, f"cookie:{cookie}") == 5


def test_a_first_order_changes_price_cap_and_creative_at_the_next_request(client: Client) -> None:
    cookie = fresh("c")
    device = client.node(Namespace.COOKIE, cookie)
    client.offer(flight(102, route="JFK-SFO"), flight(103, route="EWR-BOS"))
    client.produce(
        client.search(device, "JFK-SFO", seconds_ago=2), client.search(device, "EWR-BOS")
    )
    before = client.until(
        lambda: client.bid(cookie=cookie), lambda b: b is not None and "EWR" in b["adm"]
    )
    assert before is not None
    assert before["crid"].startswith("air-seats-prospect-1.")
    order = Order(
        event_id=fresh("o"), ids=(device,), event_time_ms=client.now_ms(), advertiser=AIRLINE,
        order_id=fresh("o"), revenue_micros=199_000_000, margin_micros=60_000_000,
        items=(f"EWR-BOS/{DEPART_DATE}",),
    )  # fmt: skip
    client.produce(order)
    after = client.until(
        lambda: client.bid(cookie=cookie), lambda b: b is not None and "customer" in b["crid"]
    )
    assert after is not None
    assert "JFK-SFO" in after["adm"], "what was bought is not advertised again"
    assert _caps(client, f"cookie:{cookie}")["segment"] == "airline/customer"
    assert _caps(client, f"cookie:{cookie}")["limits"][0]["impressions"] == 8


def test_a_flight_that_sells_out_is_not_advertised(client: Client) -> None:
    cookie = fresh("c")
    client.offer(flight(104, route="LGA-ORD"))
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "LGA-ORD"))
    client.until(lambda: client.campaign(cookie=cookie), lambda cid: cid == "air-seats")
    client.offer(flight(104, route="LGA-ORD", seats_left=0))
    # Each worker hears of it by itself: enough looks in a row to have met both.
    client.until(lambda: client.campaigns(20, cookie=cookie), lambda seen: "air-seats" not in seen)


def test_without_a_person_there_is_no_personal_ad(client: Client) -> None:
    assert client.campaign() in {None, "air-brand"}
    assert client.campaign(cookie=fresh("never-seen")) in {None, "air-brand"}
    zeros = "00000000-0000-0000-0000-000000000000"
    assert client.campaign(ifa=zeros) in {None, "air-brand"}


def test_a_target_cpa_changes_in_every_worker_while_it_runs(client: Client) -> None:
    cookie = fresh("c")
    client.offer(flight(105, route="EWR-MIA"))
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "EWR-MIA"))
    before = client.until(
        lambda: client.bid(cookie=cookie), lambda b: b is not None and "MIA" in b["adm"]
    )
    assert before is not None
    listed = kinbid(client, "segments")
    assert "airline/prospect" in listed.stdout
    done = kinbid(client, "segments", "set", "airline/prospect", "--target-cpa", "0")
    assert done.returncode == 0, done.stderr
    # At a target of nothing the campaign is worth nothing: no worker bids for it any more.
    client.until(lambda: client.campaigns(20, cookie=cookie), lambda seen: "air-seats" not in seen)
    kinbid(client, "segments", "set", "airline/prospect", "--target-cpa", "12.50")
    client.until(lambda: client.campaigns(20, cookie=cookie), lambda seen: seen == {"air-seats"})
    wrong = kinbid(client, "segments", "set", "airline/prospct", "--target-cpa", "9")
    assert wrong.returncode == 2
    assert "did you mean 'airline/prospect'?" in wrong.stderr


def test_an_undecodable_event_goes_to_the_dead_letters_with_its_reason(client: Client) -> None:
    cookie = fresh("c")
    device = client.node(Namespace.COOKIE, cookie)
    topic = Topics.EVENTS.name(client.settings.owner)
    marked = fresh("not json").encode()
    client.produce_raw(topic, [(device.encode(), marked)])
    client.offer(flight(106, route="JFK-SEA"))
    client.produce(client.search(device, "JFK-SEA"))
    client.until(lambda: client.campaign(cookie=cookie), lambda cid: cid == "air-seats")
    headers = asyncio.run(_dead_letter(client, marked))
    assert b"not an event" in headers["reason"]
    assert headers["topic"] == topic.encode()


async def _dead_letter(client: Client, value: bytes) -> dict[str, bytes]:
    part = TopicPartition(Topics.DEAD_LETTERS.name(client.settings.owner), 0)
    consumer = await kafka.consumer(client.settings)
    try:
        consumer.assign([part])
        await consumer.seek_to_beginning()
        while True:
            for record in (await consumer.getmany(timeout_ms=1000)).get(part, []):
                if record.value == value:
                    return dict(record.headers)
    finally:
        await consumer.stop()


def test_every_process_has_metrics_and_health(client: Client) -> None:
    urls = client.stack.addresses["metrics"]
    assert len(urls["bidder"]) == 2
    for url in [*urls["bidder"], *urls["streams"]]:
        for path in ("healthz", "readyz"):
            with urllib.request.urlopen(f"{url}/{path}") as answer:
                assert answer.read() == b"ok\n", (url, path)
    assert read_metrics(urls["bidder"])["bidder_bid_requests_total"] > 0
    client.produce(client.search(client.node(Namespace.COOKIE, fresh("c")), "JFK-LAX"))
    client.until(
        lambda: read_metrics(urls["streams"])["streams_events_total{topic=events}"],
        lambda folded: folded > 0,
    )


def test_malformed_requests_and_unknown_places_are_told_apart(client: Client) -> None:
    assert client.post("/openrtb2/north/bid", b"{") == (400, b"")
    assert client.post("/openrtb2/north/bid", b'{"id":"1"}') == (400, b"")
    assert client.post("/openrtb2/west/bid", b"{}")[0] == 404
    assert client.post("/elsewhere", b"{}")[0] == 404


def test_explain_prints_every_factor_and_every_loser(client: Client, tmp_path: Path) -> None:
    cookie = fresh("c")
    client.offer(flight(107, route="EWR-DEN"))
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "EWR-DEN"))
    live = client.until(
        lambda: client.bid(cookie=cookie), lambda b: b is not None and "DEN" in b["adm"]
    )
    assert live is not None
    request = {
        "id": "x", "at": 1, "user": {"buyeruid": cookie},
        "imp": [{"id": "1", "secure": 0, "banner": {"w": 300, "h": 250}}],
    }  # fmt: skip
    body = tmp_path / "request.json"
    body.write_text(json.dumps(request))
    done = kinbid(client, "explain", str(body), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "out.json").read_text())
    (bid,) = told["bids"]
    assert bid["campaign"] == "air-seats"
    assert set(bid["factors"]) == {
        "target_cpa_micros", "p_conversion", "value_multiplier", "exposure_factor",
        "trip_horizon_factor", "seat_pressure", "line_factor", "presence_ratio", "control",
    }  # fmt: skip
    assert {loser["campaign"] for loser in told["lost"]} == {"shop-items", "air-brand"}
    assert all(loser["reason"] for loser in told["lost"])
    assert "seat_pressure" in done.stdout


def test_cards_that_the_crm_merges_are_one_person_until_it_splits_them(
    client: Client, tmp_path: Path
) -> None:
    old, new = fresh("old"), fresh("new")
    cards = client.node(Namespace.CRM, new), client.node(Namespace.CRM, old)

    def identifiers() -> tuple[dict[str, str | None], str]:
        path = tmp_path / "person.json"
        done = kinbid(client, "person", f"crm:{old}", "--json", str(path))
        assert done.returncode == 0, done.stderr
        report = json.loads(path.read_text())
        return {one["node"]: one["survivor"] for one in report["identifiers"]}, done.stdout

    client.produce(CrmMerge(event_id=fresh("m"), ids=cards, event_time_ms=1_000))
    _, shown = client.until(
        identifiers, lambda told: told[0] == {cards[0]: None, cards[1]: cards[0]}
    )
    assert shown.count("crm (merged)") == 1
    client.produce(
        CrmSplit(event_id=fresh("s"), ids=cards, event_time_ms=2_000),
        CrmMerge(event_id=fresh("m"), ids=cards[::-1], event_time_ms=1_500),
    )
    client.until(identifiers, lambda told: told[0] == {cards[1]: None})
