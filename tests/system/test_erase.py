"""A person is erased: from Redis, from compacted topics, and on a replay, too."""

import asyncio
import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from aiokafka import TopicPartition

from kinbid.export import export_persons
from kinbid.inspect import person_report
from kinbid.progress import until_committed
from models.events import (
    Billing,
    Call,
    Consent,
    CrmCard,
    Event,
    NumberLease,
    Order,
    PageView,
    encode,
)
from models.identifiers import Namespace, NodeId
from models.keys import Keys
from models.person_events import Purpose
from models.topics import Topic, Topics
from models.units import CampaignId, CreativeId, ExchangeId
from runtime import kafka
from tests.system.client import AIRLINE, Client, flight
from tests.system.test_rebuild import kinbid

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PHONE, TABLET = "anna's phone", "the family's tablet"
CONTEXTUAL = "air-brand"
"""The demo's campaign that asks for nobody."""


def person(client: Client, identifier: str) -> dict[str, Any]:
    return asyncio.run(person_report(client.settings, identifier))


def email_of(client: Client, name: str) -> NodeId:
    return client.node(Namespace.EMAIL, f"{name}@family.example")


def past_of_anna(client: Client) -> list[Event]:
    """What she did under her phone, her address and her card."""
    phone, email = client.node(Namespace.COOKIE, PHONE), email_of(client, "anna")
    return [
        CrmCard(
            event_id="card", ids=(client.node(Namespace.CRM, "anna"), email),
            event_time_ms=client.now_ms(), city="Oslo",
        ),
        Order(
            event_id="order", ids=(email,), event_time_ms=client.now_ms(), advertiser=AIRLINE,
            order_id="A1", revenue_micros=99_000_000, margin_micros=9_000_000,
        ),
        PageView(
            event_id="page", ids=(phone, email), event_time_ms=client.now_ms(),
            advertiser=AIRLINE, page="/secret",
        ),
        client.search(phone, "BOS-MIA"),
    ]  # fmt: skip


def live_together(client: Client) -> list[Event]:
    """Anna and Boris sign in on one tablet, and she sees an advertisement on her phone.

    Returns what names her.
    """
    tablet, phone = client.node(Namespace.COOKIE, TABLET), client.node(Namespace.COOKIE, PHONE)
    card = CrmCard(
        event_id="boris", ids=(client.node(Namespace.CRM, "boris"), email_of(client, "boris")),
        event_time_ms=client.now_ms(), city="Oslo",
    )  # fmt: skip
    both = [client.sign_in(tablet, email_of(client, name)) for name in ("anna", "boris")]
    hers = [both[0], client.sign_in(phone, email_of(client, "anna")), *past_of_anna(client)]
    client.produce(card, both[1], *hers)
    billing = Billing(
        node=phone, nonce="shown-to-anna", campaign=CampaignId("c"), creative=CreativeId("r"),
        exchange=ExchangeId("north"), clearing_cpm_micros=2_000_000,
        notice_time_ms=client.now_ms(), personal=True,
    )  # fmt: skip
    topic = Topics.OUTCOMES.name(client.settings.owner)
    client.produce_raw(topic, [(phone.encode(), encode(billing))])
    return hers


def latest(client: Client, topic: Topic) -> dict[bytes, bytes | None]:
    """What compaction would leave of a topic."""
    found: dict[bytes, bytes | None] = {}

    async def read() -> None:
        consumer = await kafka.consumer(client.settings)
        try:
            part = TopicPartition(topic.name(client.settings.owner), 0)
            consumer.assign([part])
            await kafka.replay(consumer, [part], lambda r: found.__setitem__(r.key, r.value))
        finally:
            await consumer.stop()

    asyncio.run(read())
    return found


def exported(client: Client) -> bytes:
    return asyncio.run(export_persons(client.settings)).body


def erase_anna(client: Client, folder: Path) -> list[NodeId]:
    """Erases her by one of her identifiers; returns all of them."""
    client.until(
        lambda: person(client, "crm:anna"),
        lambda found: found["impressions"] == 1 and len(found["identifiers"]) == 3,
    )
    client.until(
        lambda: person(client, f"cookie:{TABLET}"), lambda found: found["identifiers"][0]["shared"]
    )
    asked = kinbid("erase", "email:anna@family.example", code=2)
    assert "--yes" in asked.stderr
    assert person(client, "crm:anna")["impressions"] == 1, "it was only asked about"

    told = kinbid("erase", "email:anna@family.example", "--yes", "--json", folder / "done.json")
    assert "certificate of erasure" in told.stdout
    done = json.loads((folder / "done.json").read_bytes())
    check_compaction_is_certified(done)
    assert {one["namespace"] for one in done["identifiers"]} == {"cookie", "email", "crm"}
    assert sum(one["orders"] for one in done["identifiers"]) == 1
    assert sum(one["impressions"] for one in done["identifiers"]) == 1
    return [NodeId(one["node"]) for one in done["identifiers"]]


def check_compaction_is_certified(done: dict[str, Any]) -> None:
    """The broker may hold what was taken out for a day more, and is said to."""
    due = dt.datetime.fromisoformat(done["verified_at"]) + dt.timedelta(days=1)
    (line,) = [line for line in done["stays"] if due.isoformat(" ", "seconds") in line]
    taken_out = {name for name in done["records"] if name != Topics.ERASURES.suffix}
    assert set(line.partition(":")[0].split(", ")) == taken_out


def traces_of(client: Client, nodes: list[NodeId]) -> dict[str, tuple[int, set[str]]]:
    """Keys under or in which the nodes stand: seconds to live, and kinds of fields."""
    found = {}
    with redis.Redis.from_url(client.settings.redis_url) as store:
        for key in store.scan_iter(count=1000):
            if store.type(key) != b"hash":
                continue
            told = store.hgetall(key)
            text = b" ".join([key, *told, *told.values()])
            if any(node.encode() in text for node in nodes):
                found[key.decode()] = (store.ttl(key), {name[:2].decode() for name in told})
    return found


def check_what_stays_is_as_certified(client: Client, nodes: list[NodeId]) -> None:
    for key, (seconds, kinds) in traces_of(client, nodes).items():
        kind = key.split(":")[1]
        if kind in {"q", "z"}:
            assert 0 <= seconds <= 60, key
        else:
            assert kind in {"p", "b"}, key
            assert "r:" not in kinds, key


def is_only_itself(export: bytes, node: NodeId) -> bool:
    """Whether an export names an identifier nowhere but, perhaps, as a person of its own."""
    lines = [json.loads(line) for line in export.splitlines() if node.encode() in line]
    return [line["members"] for line in lines] in ([], [[node]])


def check_nothing_is_known(client: Client, nodes: list[NodeId]) -> None:
    for identifier in ("crm:anna", "email:anna@family.example", f"cookie:{PHONE}"):
        found = person(client, identifier)
        assert len(found["identifiers"]) == 1
        assert not found["timeline"]
        assert not found["orders"]
        assert found["impressions"] == 0
    for topic in (Topics.EVIDENCE, Topics.QUARANTINE, Topics.VERDICTS):
        left = [key for key, value in latest(client, topic).items() if value is not None]
        assert not [key for key in left for node in nodes if node.encode() in key]
    records = latest(client, Topics.ERASURES)
    assert records.keys() >= {node.encode() for node in nodes}
    assert all(json.loads(value or b"{}")["open_request"] == "" for value in records.values())


def test_row_42_an_erased_person_is_gone_gets_no_bid_and_stays_so(
    client: Client, tmp_path: Path
) -> None:
    client.offer(flight(130, route="BOS-MIA"))
    hers = live_together(client)
    client.until(lambda: client.campaign(cookie=PHONE), lambda campaign: campaign == "air-seats")
    assert client.campaign(cookie=PHONE, live=True) == "air-seats"
    phone = client.node(Namespace.COOKIE, PHONE)
    hers_all = [phone, email_of(client, "anna"), client.node(Namespace.CRM, "anna")]
    client.until(
        lambda: [kinds for _, kinds in traces_of(client, hers_all).values()],
        lambda found: any("r:" in kinds for kinds in found),
    )
    nodes = erase_anna(client, tmp_path)
    check_what_stays_is_as_certified(client, nodes)

    assert client.campaigns(20, cookie=PHONE) == {CONTEXTUAL}
    # The tablet is Boris's alone now, and knows nothing of her.
    tablet = client.node(Namespace.COOKIE, TABLET)
    client.until(
        lambda: person(client, "crm:boris"),
        lambda found: tablet in {one["node"] for one in found["identifiers"]},
    )
    client.until(
        lambda: exported(client),
        lambda export: all(is_only_itself(export, node) for node in nodes),
    )
    check_nothing_is_known(client, nodes)

    # Late and repeated records change nothing, whichever identifier they come under.
    client.produce(*hers, client.search(tablet, "JFK-LAX"))
    client.until(lambda: person(client, "crm:boris")["searches"], bool)
    before = exported(client)
    assert all(is_only_itself(before, node) for node in nodes)
    check_nothing_is_known(client, nodes)

    # A replay of everything that Kafka keeps brings nobody back.
    client.stack.stop_part("streams")
    client.produce(*(one for one in hers if one.ids[0] in nodes))
    refused = kinbid("erase", "crm:boris", "--yes", "--wait", "0", code=1)
    assert "records left to read" in refused.stderr
    kinbid("rebuild", "--yes")
    assert exported(client) == before
    client.stack.restart_part("streams")

    # Whoever comes again after that is somebody new.
    page = PageView(
        event_id="again", ids=(phone,), event_time_ms=client.now_ms() + 60_000,
        advertiser=AIRLINE, page="/hello",
    )  # fmt: skip
    client.produce(page)
    found = client.until(
        lambda: person(client, f"cookie:{PHONE}"), lambda found: bool(found["timeline"])
    )
    assert [one["key"] for one in found["timeline"]] == [f"{AIRLINE}//hello"]
    assert len(found["identifiers"]) == 1


def test_who_had_withdrawn_consent_is_still_nobody_after_the_erasure(
    client: Client, tmp_path: Path
) -> None:
    cookie, phone = "cookie:vera", client.node(Namespace.PHONE, "+12127361017")
    node = client.node(Namespace.COOKIE, "vera")
    client.offer(flight(131, route="BOS-MIA"))

    def tell(**said: tuple[Purpose, ...]) -> None:
        word = Consent(
            event_id=uuid.uuid4().hex, ids=(node,), event_time_ms=client.now_ms(), source="cmp"
        )
        client.produce(msgspec.structs.replace(word, **said))

    def search() -> None:
        client.produce(client.search(node, "BOS-MIA"))
        client.until(lambda: person(client, cookie)["searches"], bool)

    client.produce(client.sign_in(node, phone))
    search()
    client.until(lambda: client.campaign(cookie="vera"), lambda campaign: campaign == "air-seats")
    tell(withdrawn=("personal_ads", "email"), granted=("sms",))
    client.until(lambda: person(client, cookie)["personal_ads"], lambda is_ok: not is_ok)

    told = kinbid("erase", cookie, "--yes", "--json", tmp_path / "done.json").stdout
    assert "kept: consent to personal_ads, email stays withdrawn" in told
    done = json.loads((tmp_path / "done.json").read_bytes())
    assert done["withdrawn"] == ["personal_ads", "email"]
    client.until(
        lambda: [person(client, one)["personal_ads"] for one in (cookie, phone)],
        lambda are_ok: not any(are_ok),
    )
    assert "consent to personal ads is withdrawn" in kinbid("person", cookie).stdout
    record = json.loads(latest(client, Topics.ERASURES)[node.encode()] or b"")
    assert (record["open_request"], record["withdrawn"]) == ("", [])

    client.stack.stop_part("streams")
    before = exported(client)
    kinbid("rebuild", "--yes")
    assert exported(client) == before
    client.stack.restart_part("streams")

    client.until(client.now_ms, lambda now_ms: now_ms > record["erased_ms"] + 1)
    search()
    assert client.campaigns(20, cookie="vera") == {CONTEXTUAL}
    tell(granted=("personal_ads",))
    client.until(lambda: client.campaign(cookie="vera"), lambda campaign: campaign == "air-seats")


def test_what_nobody_knows_is_erased_only_where_that_is_wanted(client: Client) -> None:
    mistyped = "cookie:never-seen"
    node = client.node(Namespace.COOKIE, "never-seen")
    assert "nothing is known of cookie:never-seen" in kinbid("erase", mistyped, code=2).stderr
    refused = kinbid("erase", mistyped, "--yes", code=1)
    assert "nothing is known of cookie:never-seen" in refused.stderr
    assert node.encode() not in latest(client, Topics.ERASURES)
    assert "was erased" not in kinbid("person", mistyped).stdout

    assert node in kinbid("receipts", "on", "--person", mistyped).stdout
    done = kinbid("erase", mistyped, "--yes", "--unseen")
    assert "nothing was known of it" in done.stdout
    assert node not in kinbid("receipts").stdout
    told = kinbid("person", mistyped).stdout
    assert f"cookie {node} was erased: nothing up to " in told
    again = kinbid("erase", mistyped, "--yes")
    assert "erased before: nothing up to " in again.stdout


def test_the_books_of_call_numbers_forget_the_erased(client: Client, tmp_path: Path) -> None:
    """A lease, a call and the link between them stand there until then."""
    session, caller = client.node(Namespace.COOKIE, "caller"), "phone:+12127361009"
    number, now_ms = "+12127365009", client.now_ms()
    lease = NumberLease(
        event_id="lease", ids=(session,), event_time_ms=now_ms - 60_000, advertiser=AIRLINE,
        lease_id="l", number=number, expires_ms=now_ms + 600_000,
    )  # fmt: skip
    call = Call(
        event_id="call", ids=(client.node(Namespace.PHONE, "+12127361009"),),
        event_time_ms=now_ms, advertiser=AIRLINE, call_id="called", called_number=number,
        duration_seconds=60,
    )  # fmt: skip
    client.produce(lease, call)
    client.until(lambda: person(client, caller), lambda found: len(found["identifiers"]) == 2)
    told = kinbid("erase", caller, "--yes", "--json", tmp_path / "done.json")
    assert "entries removed from the books of call numbers: 3" in told.stdout
    assert json.loads((tmp_path / "done.json").read_bytes())["number_entries"] == 3
    with redis.Redis.from_url(client.settings.redis_url) as store:
        assert store.hgetall(Keys(client.settings.owner).number(number)) == {}


async def matches_left(client: Client) -> int:
    """How many of the matches that stand in Kafka now streams does not read in time."""
    topic = Topics.MATCHES
    parts = [TopicPartition(topic.name(client.settings.owner), n) for n in range(topic.partitions)]
    async with kafka.consuming(client.settings) as consumer:
        consumer.assign(parts)
        ends = await kafka.true_ends(consumer, parts)
    return await until_committed(client.settings, {p: end for p, end in ends.items() if end}, 10.0)


def test_cookie_matches_forget_the_erased(client: Client, tmp_path: Path) -> None:
    """R13: neither Redis nor a match that is told again leads to them."""
    keys = Keys(client.settings.owner)
    kept = client.match("north", "kept", "browser of kept")
    before_ms = client.now_ms()
    gone = client.match("north", "gone", "browser of gone", before_ms)
    page = PageView(
        event_id="p", ids=(client.node(Namespace.COOKIE, "browser of gone"),),
        event_time_ms=client.now_ms(), advertiser=AIRLINE, page="/",
    )  # fmt: skip
    client.produce(page)
    with redis.Redis.from_url(client.settings.redis_url) as store:
        client.until(lambda: store.exists(keys.match(kept), keys.match(gone)), lambda n: n == 2)
        told = kinbid("erase", "cookie:browser of gone", "--yes", "--json", tmp_path / "done.json")
        assert "cookie matches removed: 1" in told.stdout
        assert json.loads((tmp_path / "done.json").read_bytes())["matches"] == 1
        assert not store.exists(keys.match(gone))
        client.match("north", "gone", "browser of gone", before_ms)
        assert asyncio.run(matches_left(client)) == 0
        assert not store.exists(keys.match(gone))
        assert store.exists(keys.match(kept))
