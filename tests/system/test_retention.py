"""A log that has lost its beginning: nobody is rebuilt from what is left without being told."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from models.events import Consent, CrmCard, CrmMerge
from models.identifiers import Namespace, NodeId
from models.topics import Topics
from runtime import kafka
from runtime.settings import as_environment
from tests.system.client import Client
from tests.system.test_rebuild import behind, kinbid, members_of

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    # The embedded broker deletes no records.
    pytest.mark.parametrize(
        "client", [pytest.param("apache", marks=pytest.mark.apache)], indirect=True, scope="module"
    ),
]


def tell_of_ada(client: Client) -> list[NodeId]:
    """A customer with two cards and a phone on which she withdrew consent: five records."""
    card, twin = (client.node(Namespace.CRM, name) for name in ("ada", "ada again"))
    email, phone = client.node(Namespace.EMAIL, "ada@x.example"), client.node(Namespace.COOKIE, "a")
    client.produce(
        CrmCard(event_id="1", ids=(card, email), event_time_ms=client.now_ms(), city="Oslo"),
        CrmMerge(event_id="2", ids=(card, twin), event_time_ms=client.now_ms()),
        client.sign_in(phone, email),
        Consent(
            event_id="3", ids=(phone,), event_time_ms=client.now_ms(), withdrawn=("personal_ads",),
            source="cmp",
        ),
        client.search(phone, "JFK-LAX"),
    )  # fmt: skip
    ada = sorted([card, twin, email, phone])
    client.until(lambda: sorted(members_of(client, phone)), lambda found: found == ada)
    client.until(lambda: behind(client), lambda left: not left)
    return ada


async def delete_all_events(client: Client) -> None:
    """As a finite retention does in the end."""
    topic = Topics.EVENTS.name(client.settings.owner)
    parts = [TopicPartition(topic, number) for number in range(Topics.EVENTS.partitions)]
    async with kafka.consuming(client.settings) as consumer:
        ends = await consumer.end_offsets(parts)
    admin = AIOKafkaAdminClient(bootstrap_servers=client.settings.kafka_bootstrap)
    await admin.start()
    try:
        await admin.delete_records({p: RecordsToDelete(before_offset=n) for p, n in ends.items()})
    finally:
        await admin.close()


def rotated(client: Client, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What ``kinbid rotate`` to another owner under one more secret says."""
    settings = msgspec.structs.replace(
        client.settings,
        owner="copy",
        identity_pepper=f"{client.settings.identity_pepper},a newer secret",
    )
    return subprocess.run(
        [sys.executable, "-m", "kinbid", "rotate", client.settings.owner, "--yes", *arguments],
        env={**os.environ, **as_environment(settings)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_what_retention_has_taken_is_told_before_anybody_is_forgotten(
    client: Client, tmp_path: Path
) -> None:
    ada = tell_of_ada(client)
    kinbid("export", "--out", tmp_path / "a.jsonl")
    before = (tmp_path / "a.jsonl").read_bytes()
    client.stack.stop_part("streams")
    asyncio.run(delete_all_events(client))
    lost = f"{Topics.EVENTS.name(client.settings.owner)} lacks its oldest 5 records"

    asked = kinbid("rebuild", code=2).stderr
    assert lost in asked
    assert "--yes --lossy" in asked
    refused = kinbid("rebuild", "--yes", code=1).stderr
    assert lost in refused
    assert "nothing was changed" in refused
    kinbid("export", "--out", tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_bytes() == before
    copy = rotated(client)
    assert (copy.returncode, lost in copy.stderr) == (1, True)

    # All the same: who is one person stands in the evidence; what they did is gone.
    kinbid("rebuild", "--yes", "--lossy")
    kinbid("export", "--out", tmp_path / "c.jsonl")
    (person,) = map(json.loads, (tmp_path / "c.jsonl").read_bytes().splitlines())
    assert sorted(person["members"]) == ada
    copy = rotated(client, "--lossy")
    assert "kinbid rebuild --yes --lossy" in copy.stdout, copy.stderr

    # Partitions of which nothing is left are not taken for those of a Redis that forgot.
    client.stack.restart_part("streams")
    phone = client.node(Namespace.COOKIE, "a")
    client.produce(client.search(phone, "JFK-LAX"))
    client.until(lambda: behind(client), lambda left: not left)
    assert sorted(members_of(client, phone)) == ada
