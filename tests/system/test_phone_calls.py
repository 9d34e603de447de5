"""A phone call, through real processes: it pauses ads on the screen that showed the number."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from bidder.catalog_feed import load_catalog
from kinbid.calls import calls_report
from kinbid.publish import publish_catalog
from models.catalog_records import LineState, decode_record
from models.events import Call, NumberLease
from models.identifiers import Namespace, NodeId
from models.topics import Topics
from models.units import CampaignId
from runtime import kafka
from runtime.settings import as_environment
from tests.system.client import AIRLINE, SHOP, Client, flight

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

NUMBER = "+12127365000"


def call(client: Client, caller: NodeId, **more: object) -> Call:
    fields = {
        "called_number": NUMBER, "duration_seconds": 0, "event_time_ms": client.now_ms(),
        "call_id": uuid.uuid4().hex,
    } | more  # fmt: skip
    return Call(
        event_id=uuid.uuid4().hex, ids=(caller,), advertiser=AIRLINE,
        **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


def lease(client: Client, session: NodeId, **more: object) -> NumberLease:
    now_ms = client.now_ms()
    fields = {"event_time_ms": now_ms, "expires_ms": now_ms + 600_000, "number": NUMBER} | more
    return NumberLease(
        event_id=uuid.uuid4().hex, lease_id=uuid.uuid4().hex, ids=(session,), advertiser=AIRLINE,
        device_type="desktop", **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


def new_number() -> str:
    return f"+1212736{uuid.uuid4().int % 9000 + 1000}"


def a_caller(client: Client) -> NodeId:
    return client.node(Namespace.PHONE, f"+1312736{uuid.uuid4().int % 9000 + 1000}")


def shown(client: Client, cookie: str) -> Callable[[], set[str | None]]:
    """What twenty looks in a row see: enough to have met both workers."""
    return lambda: client.campaigns(20, cookie=cookie)


def kinbid(client: Client, *arguments: str) -> tuple[dict[str, Any], str]:
    """The result of a command, and what it prints."""
    path = client.stack.folder / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "kinbid", *arguments, "--json", str(path)], check=True, timeout=60,
        env={**os.environ, **as_environment(client.settings)}, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(path.read_text()), done.stdout


def line_state(client: Client) -> LineState | None:
    found: list[LineState] = []

    def keep(record: object) -> None:
        if getattr(record, "key", b"") == b"line_state/airline":
            state = decode_record(record.value)  # type: ignore[attr-defined]  # untyped library
            assert isinstance(state, LineState)
            found.append(state)

    async def read() -> None:
        consumer = await kafka.consumer(client.settings)
        try:
            part = TopicPartition(Topics.OFFERS.name(client.settings.owner), 0)
            consumer.assign([part])
            await kafka.replay(consumer, [part], keep)
        finally:
            await consumer.stop()

    asyncio.run(read())
    return found[-1] if found else None


def lost_calls(client: Client) -> int:
    """How many calls of the last ten minutes found no free line."""
    state, since = line_state(client), client.now_ms() // 60_000 - 10
    return sum(lost for minute, _, lost in state.minutes if minute >= since) if state else 0


def prices(client: Client, campaign: str, **identity: str) -> list[float]:
    """The campaign's bids on twenty looks in a row."""
    bids = [client.bid("north", live=False, **identity) for _ in range(20)]
    return [bid["price"] for bid in bids if bid is not None and bid["cid"] == campaign]


def test_a_call_lost_to_full_lines_pauses_ads_on_the_screen_that_showed_the_number(
    client: Client,
) -> None:
    cookie = f"caller-{uuid.uuid4()}"
    session = client.node(Namespace.COOKIE, cookie)
    caller, lost_before = a_caller(client), lost_calls(client)
    client.offer(flight(701, route="JFK-SEA"))
    client.produce(client.search(session, "JFK-SEA"), lease(client, session))
    client.until(shown(client, cookie), lambda seen: seen == {"air-seats"})
    client.produce(call(client, caller, missed=True, missed_reason="lines_full"))
    client.until(shown(client, cookie), lambda seen: "air-seats" not in seen)
    (owed,) = kinbid(client, "person", f"cookie:{cookie}")[0]["call_backs"]
    assert owed["advertiser"] == "airline"
    client.until(lambda: lost_calls(client), lambda lost: lost == lost_before + 1)
    client.produce(call(client, caller, is_outbound=True, duration_seconds=90))
    client.until(shown(client, cookie), lambda seen: seen == {"air-seats"})


def test_full_lines_lower_the_bids_of_a_campaign_that_is_to_make_people_call(
    client: Client,
) -> None:
    catalog = asyncio.run(load_catalog(client.settings))
    seats = catalog.campaigns[CampaignId("air-seats")]
    driven = msgspec.structs.replace(seats, call_driven=True)
    cookie = f"looker-{uuid.uuid4()}"
    client.offer(flight(702, route="JFK-MIA"))
    client.produce(client.search(client.node(Namespace.COOKIE, cookie), "JFK-MIA"))

    def seen() -> tuple[list[float], list[float]]:
        """Prices of the campaign that is there for calls, and of one that is not."""
        return prices(client, "air-seats", cookie=cookie), prices(client, "air-brand")

    before, brand_before = client.until(seen, lambda both: min(map(len, both)) == 20)
    lost_before = lost_calls(client)
    asyncio.run(publish_catalog(client.settings, [driven]))
    try:
        client.produce(
            *(
                call(client, a_caller(client), missed=True, missed_reason="lines_full")
                for _ in range(30)
            )
        )
        client.until(lambda: lost_calls(client), lambda lost: lost == lost_before + 30)
        _, brand = client.until(
            seen, lambda both: len(both[0]) == 20 and max(both[0]) < 0.7 * min(before)
        )
    finally:
        asyncio.run(publish_catalog(client.settings, [seats]))
    assert len(brand) == 20
    assert min(brand) > 0.95 * min(brand_before)
    # The lines are as full as before; a campaign that is not there for calls is bid in full again.
    client.until(seen, lambda both: min(both[0], default=0) > 0.95 * min(before))


def test_what_a_call_that_counts_has_cost_is_told_of_one_advertiser_and_of_a_time(
    client: Client,
) -> None:
    """An ad of the airline's is billed and whoever saw it calls; another called two days ago."""
    cookie, number, day_ms = f"looker-{uuid.uuid4()}", new_number(), 86_400_000
    session = client.node(Namespace.COOKIE, cookie)
    client.offer(flight(703, route="JFK-BNA"))
    client.produce(client.search(session, "JFK-BNA"), lease(client, session, number=number))
    client.until(shown(client, cookie), lambda seen: seen == {"air-seats"})

    def cost(advertiser: str, days: float) -> tuple[float, int, str | None]:
        """What was spent, how many calls count, and what one has cost: nobody has ordered."""
        found = asyncio.run(
            calls_report(
                client.settings, older_than_hours=0, split="campaign", sale_micros=None,
                advertiser=advertiser, since_days=days,
            )
        )  # fmt: skip
        told = found["cost"] or {"spend": "0.00", "orders": 0, "per_conversion": None}
        assert told["orders"] == 0
        count = sum(group["conversions"] for group in found["groups"])
        return float(told["spend"]), count, told["per_conversion"]

    spent_before, count_before, _ = cost(AIRLINE, 1)
    _, count_before_in_days, _ = cost(AIRLINE, 3)
    shop_before = cost(SHOP, 3)
    bid = client.bid("north", live=True, cookie=cookie)
    assert bid is not None
    client.bill(bid)
    heard = {"called_number": number, "duration_seconds": 60}
    old = client.now_ms() - 2 * day_ms
    client.produce(
        call(client, a_caller(client), **heard),
        call(client, a_caller(client), event_time_ms=old, duration_seconds=60, called_number=""),
    )
    spent, count, one = client.until(
        lambda: cost(AIRLINE, 1), lambda now: now[0] > spent_before and now[1] > count_before
    )
    assert count == count_before + 1
    assert spent == pytest.approx(spent_before + bid["price"] / 1000, abs=2e-6)
    assert float(one or 0) == pytest.approx(spent / count, abs=2e-6)
    client.until(lambda: cost(AIRLINE, 3)[1], lambda now: now == count_before_in_days + 2)
    assert cost(AIRLINE, 0) == (0.0, 0, None)
    assert cost(SHOP, 3) == shop_before
    _, text = kinbid(client, "calls", "--advertiser", AIRLINE, "--since", "1")
    assert f"so an order or such a call has cost {one}" in text


def test_open_call_backs_are_listed_oldest_first_and_calls_counted_by_campaign(
    client: Client,
) -> None:
    hour_ms, now_ms = 3_600_000, client.now_ms()
    campaign, number = f"spring-{uuid.uuid4()}", new_number()
    visitor = client.node(Namespace.COOKIE, f"visitor-{uuid.uuid4()}")
    late, later, heard = (a_caller(client) for _ in range(3))
    start_ms = now_ms - 2 * hour_ms
    client.produce(
        call(
            client, later, call_id="lost-later", event_time_ms=now_ms - 3 * hour_ms, missed=True,
            missed_reason="lines_full",
        ),
        call(
            client, late, call_id="promised", event_time_ms=now_ms - 30 * hour_ms, tag="call_back",
            department="sales",
        ),
        lease(
            client, visitor, number=number, campaign=campaign, event_time_ms=start_ms,
            expires_ms=start_ms + hour_ms,
        ),
        call(
            client, heard, called_number=number, event_time_ms=start_ms + 60_000, missed=True,
            missed_reason="lines_full",
        ),
        call(
            client, heard, called_number=number, event_time_ms=start_ms + 120_000, tag="repeat",
            score=50,
        ),
    )  # fmt: skip

    def report(*arguments: str) -> tuple[dict[str, Any], str]:
        return kinbid(client, "calls", "--sale-value", "10.00", *arguments)

    def group(told: dict[str, Any]) -> dict[str, Any]:
        return next((one for one in told["groups"] if one["campaign"] == campaign), {})

    told, shown = client.until(report, lambda found: group(found[0]).get("calls") == 2)
    assert group(told) == {"campaign": campaign, "calls": 2, "conversions": 1, "value": "5.00"}
    mine = [one for one in told["call_backs"] if one["caller"] in {late, later, heard}]
    assert [(one["call"], one["tag"], one["department"]) for one in mine] == [
        ("promised", "call_back", "sales"),
        ("lost-later", "call_back", ""),
    ]
    assert {one["namespace"] for one in mine} == {"phone"}
    assert min(one["hours"] for one in mine) >= 3
    assert "promised" in shown
    old, shown = report("--older-than", "24")
    assert [one["call"] for one in old["call_backs"]] == ["promised"]
    assert "lost-later" not in shown
    client.produce(call(client, late, is_outbound=True, duration_seconds=30))
    client.until(lambda: report("--older-than", "24")[0]["call_backs"], lambda left: not left)
