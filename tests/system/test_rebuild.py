"""Redis is a read model: removed and rebuilt from Kafka, it says the same to the byte."""

import asyncio
import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import redis

from kinbid.inspect import person_report
from models.events import Call, CrmCard, CrmMerge, CrmSplit, LoyaltyStatus, NumberLease, encode
from models.identifiers import Namespace, NodeId
from models.topics import Topics
from models.units import DAY_MS
from tests.system.client import AIRLINE, SHOP, Client
from tests.system.story import check, make_story

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

OTHER_OWNER = b"another:n:{kept}"


def kinbid(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "kinbid", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def tell_a_story(client: Client) -> None:
    """Merges, orders, impressions, and two CRM persons who share a device; each has two cards."""
    owner = client.settings.owner
    events, outcomes = make_story(client, random.Random(9))
    client.produce_raw(Topics.EVENTS.name(owner), [(e.ids[0].encode(), encode(e)) for e in events])
    billed = [(o.node.encode(), encode(o)) for o in outcomes]
    client.produce_raw(Topics.OUTCOMES.name(owner), billed)
    tablet = client.node(Namespace.COOKIE, "the family's tablet")
    for name in ("anna", "boris"):
        email = client.node(Namespace.EMAIL, f"{name}@family.example")
        card = client.node(Namespace.CRM, name)
        linked = CrmCard(
            event_id=name, ids=(card, email), event_time_ms=client.now_ms(), city="Oslo",
            tier="gold",
        )  # fmt: skip
        client.produce(linked, client.sign_in(tablet, email))
        twin = client.node(Namespace.CRM, f"{name} again")
        at_ms = client.now_ms()
        client.produce(CrmMerge(event_id="m", ids=(card, twin), event_time_ms=at_ms))
        for programme, tier in ((AIRLINE, "silver"), (SHOP, "bronze")):
            member = LoyaltyStatus(
                event_id="l", ids=(card,), event_time_ms=at_ms, advertiser=programme, tier=tier
            )
            client.produce(member)
        if name == "boris":
            client.produce(CrmSplit(event_id="s", ids=(twin, card), event_time_ms=at_ms + 1))
    call_for_days(client)
    check(client, events, outcomes)


def call_for_days(client: Client) -> None:
    """One number, a visitor and a call each day, for longer than its book is kept."""
    number, start_ms = "+12127365000", client.now_ms() - 20 * DAY_MS
    callers = [client.node(Namespace.PHONE, f"+1212736{5001 + day}") for day in range(6)]
    for day, caller in enumerate(callers):
        visitor = client.node(Namespace.COOKIE, f"visitor-{day}")
        at_ms = start_ms + day * DAY_MS
        lease = NumberLease(
            event_id=f"lease-{day}", lease_id=f"lease-{day}", ids=(visitor,), advertiser=AIRLINE,
            event_time_ms=at_ms, expires_ms=at_ms + 600_000, number=number,
        )  # fmt: skip
        call = Call(
            event_id=f"call-{day}", call_id=f"call-{day}", ids=(caller,), advertiser=AIRLINE,
            event_time_ms=at_ms + 60_000, called_number=number, duration_seconds=9,
        )  # fmt: skip
        client.produce(lease, call)
        client.until(partial(members_of, client, caller), lambda found: len(found) == 2)


def tiers_of(client: Client, node: NodeId) -> dict[str, str]:
    """As ``kinbid person`` prints them."""
    report = asyncio.run(person_report(client.settings, node))
    return {
        name: one["value"] for name, one in report["attributes"].items() if name.startswith("tier")
    }


def members_of(client: Client, node: NodeId) -> list[str]:
    report = asyncio.run(person_report(client.settings, node))
    return [one["node"] for one in report["identifiers"]]


def test_a_rebuilt_redis_gives_an_equal_export(client: Client, tmp_path: Path) -> None:
    tell_a_story(client)
    tiers = {"tier": "gold", f"tier/{AIRLINE}": "silver", f"tier/{SHOP}": "bronze"}
    anna = client.node(Namespace.CRM, "anna")
    client.until(lambda: tiers_of(client, anna), lambda found: found == tiers)
    first, second, third = (tmp_path / f"{name}.jsonl" for name in "abc")
    before = client.until(
        lambda: kinbid("export", "--out", first).stdout, lambda told: "sha256" in told
    )
    body = first.read_bytes()
    assert b'"shared":["' in body, "nobody shares a device"

    refused = kinbid("rebuild", "--yes", code=1)
    assert "stop every `kinbid streams`" in refused.stderr
    kinbid("export", "--out", second)
    assert second.read_bytes() == body, "a refused rebuild changed something"

    client.stack.stop_part("streams")
    asked = kinbid("rebuild", code=2)
    assert "--yes" in asked.stderr
    with redis.Redis.from_url(client.settings.redis_url) as store:
        store.flushall()
        store.set(OTHER_OWNER, b"1")
        done = kinbid("rebuild", "--yes")
        assert store.get(OTHER_OWNER) == b"1"
    assert "records folded" in done.stdout
    assert kinbid("export", "--out", third).stdout == before
    assert third.read_bytes() == body

    # A second time, over persons that stand: the keys are removed first, so nothing counts twice.
    kinbid("rebuild", "--yes")
    assert kinbid("export", "--out", third).stdout == before
    client.stack.restart_part("streams")
