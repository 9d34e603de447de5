"""A phone call, through real processes: it pauses ads on the screen that showed the number."""

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition

from models.catalog_records import LineState, decode_record
from models.events import Call, NumberLease
from models.identifiers import Namespace, NodeId
from models.topics import Topics
from runtime import kafka
from runtime.settings import as_environment
from tests.system.client import AIRLINE, Client, flight

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

NUMBER = "+12127365000"


def call(client: Client, caller: NodeId, **more: object) -> Call:
    fields = {"called_number": NUMBER, "duration_seconds": 0} | more
    return Call(
        event_id=uuid.uuid4().hex, call_id=uuid.uuid4().hex, ids=(caller,), advertiser=AIRLINE,
        event_time_ms=client.now_ms(), **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


def lease(client: Client, session: NodeId) -> NumberLease:
    now_ms = client.now_ms()
    return NumberLease(
        event_id=uuid.uuid4().hex, lease_id=uuid.uuid4().hex, ids=(session,), advertiser=AIRLINE,
        event_time_ms=now_ms, expires_ms=now_ms + 600_000, number=NUMBER, device_type="desktop",
    )  # fmt: skip


def shown(client: Client, cookie: str) -> Callable[[], set[str | None]]:
    """What twenty looks in a row see: enough to have met both workers."""
    return lambda: client.campaigns(20, cookie=cookie)


def person(client: Client, identifier: str) -> dict[str, Any]:
    """What ``kinbid person`` prints."""
    path = client.stack.folder / "person.json"
    subprocess.run(
        [sys.executable, "-m", "kinbid", "person", identifier, "--json", str(path)], check=True,
        timeout=60, env={**os.environ, **as_environment(client.settings)}, capture_output=True,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(path.read_text())
    return report


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


def test_a_call_lost_to_full_lines_pauses_ads_on_the_screen_that_showed_the_number(
    client: Client,
) -> None:
    cookie = f"caller-{uuid.uuid4()}"
    session = client.node(Namespace.COOKIE, cookie)
    caller = client.node(Namespace.PHONE, f"+1212736{uuid.uuid4().int % 9000 + 1000}")
    client.offer(flight(701, route="JFK-SEA"))
    client.produce(client.search(session, "JFK-SEA"), lease(client, session))
    client.until(shown(client, cookie), lambda seen: seen == {"air-seats"})
    client.produce(call(client, caller, missed=True, missed_reason="lines_full"))
    client.until(shown(client, cookie), lambda seen: "air-seats" not in seen)
    (owed,) = person(client, f"cookie:{cookie}")["call_backs"]
    assert owed["advertiser"] == "airline"
    state = client.until(lambda: line_state(client), lambda found: found is not None)
    assert state is not None
    assert sum(lost for _, _, lost in state.minutes) == 1
    client.produce(call(client, caller, is_outbound=True, duration_seconds=90))
    client.until(shown(client, cookie), lambda seen: seen == {"air-seats"})
