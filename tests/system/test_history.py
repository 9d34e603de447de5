"""What a person's history tells: all that joined and parted them, after a rebuild, too."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from kinbid.link_history import history_report
from models.events import Call, NumberLease, PageView, SignIn
from models.identifiers import Namespace, NodeId
from models.link_records import told_pair
from models.topics import Topics
from runtime import kafka
from tests.system.client import AIRLINE, SHOP, Client
from tests.system.test_rebuild import kinbid

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

NUMBER = "+12127365000"
MINUTE_MS = 60_000
KIOSK_LINKS = 12

Told = tuple[str, str | None, frozenset[str], frozenset[str]]


class Customers:
    """Identifiers of one test, and what is told of them, in minutes from a beginning."""

    def __init__(self, client: Client) -> None:
        self.client, self.run = client, uuid.uuid4().hex[:8]
        self.began_ms = client.now_ms() - 60 * MINUTE_MS

    def cookie(self, name: str) -> NodeId:
        return self.client.node(Namespace.COOKIE, f"{name}.{self.run}")

    def email(self, name: str) -> NodeId:
        return self.client.node(Namespace.EMAIL, f"{name}.{self.run}@history.example")

    def phone(self) -> NodeId:
        return self.client.node(Namespace.PHONE, f"+1312736{int(self.run, 16) % 9000 + 1000}")

    def at_ms(self, minute: int) -> int:
        return self.began_ms + minute * MINUTE_MS

    def sign_in(self, device: NodeId, account: NodeId, minute: int) -> SignIn:
        return SignIn(
            event_id=uuid.uuid4().hex, ids=(device, account), event_time_ms=self.at_ms(minute),
            advertiser=SHOP,
        )  # fmt: skip

    def page(self, device: NodeId, account: NodeId, minute: int) -> PageView:
        return PageView(
            event_id=uuid.uuid4().hex, ids=(device, account), event_time_ms=self.at_ms(minute),
            advertiser=SHOP, page="/",
        )  # fmt: skip

    def lease(self, session: NodeId, minute: int) -> NumberLease:
        return NumberLease(
            event_id=uuid.uuid4().hex, lease_id=uuid.uuid4().hex, ids=(session,), number=NUMBER,
            event_time_ms=self.at_ms(minute), expires_ms=self.at_ms(30), advertiser=AIRLINE,
        )  # fmt: skip

    def call(self, minute: int) -> Call:
        return Call(
            event_id=uuid.uuid4().hex, call_id=uuid.uuid4().hex, ids=(self.phone(),),
            event_time_ms=self.at_ms(minute), called_number=NUMBER, duration_seconds=60,
            advertiser=AIRLINE,
        )  # fmt: skip

    def history(self, node: NodeId) -> list[Told]:
        """What happened, without notes of refusals: their times are the machine's."""
        report = asyncio.run(history_report(self.client.settings, node))
        return [
            (one.what, one.kind, frozenset(one.joined), frozenset(one.left))
            for one in report.history
            if one.what not in {"refused", "accepted"}
        ]


@pytest.fixture
def customers(client: Client) -> Customers:
    return Customers(client)


def kept(client: Client) -> set[NodeId]:
    """Whom the topic of link histories names."""
    found: dict[bytes, bytes | None] = {}
    topic = Topics.LINK_HISTORY.name(client.settings.owner)

    def keep(record: Any) -> None:  # noqa: ANN401 - untyped library
        found[record.key] = record.value

    asyncio.run(kafka.read_topic(client.settings, topic, keep))
    return {node for key, value in found.items() if value is not None for node in told_pair(key)}


def test_a_history_tells_every_join_and_parting_after_a_rebuild_and_nothing_after_an_erasure(
    customers: Customers, tmp_path: Path
) -> None:
    client, nobody = customers.client, frozenset[str]()
    session, other, phone = customers.cookie("one"), customers.cookie("two"), customers.phone()
    laptop, anna = customers.cookie("laptop"), customers.email("anna")
    kiosk = customers.cookie("kiosk")
    guests = [customers.email(f"guest{number}") for number in range(KIOSK_LINKS + 1)]

    client.produce(customers.lease(session, 0), customers.call(10))
    made: Told = ("seen", "call_session", frozenset([session]), nobody)
    client.until(lambda: customers.history(phone), lambda seen: seen == [made])
    client.produce(customers.lease(other, 5))
    wrong = [made, ("withdrawn", "call_session", nobody, frozenset([session]))]
    client.until(lambda: customers.history(phone), lambda seen: seen == wrong)

    client.produce(customers.sign_in(laptop, anna, 50), customers.page(laptop, anna, 3))
    confirmed: list[Told] = [
        ("seen", "seen_with", frozenset([anna]), nobody), ("seen", "sign_in", nobody, nobody)
    ]  # fmt: skip
    client.until(lambda: customers.history(laptop), lambda seen: seen == confirmed)

    signed_in = [customers.sign_in(kiosk, one, minute) for minute, one in enumerate(guests)]
    client.produce(*signed_in)
    crowded: list[Told] = [
        *(("seen", "sign_in", frozenset([one]), nobody) for one in guests[:-1]),
        ("seen", "sign_in", nobody, frozenset(guests[:-1])),
    ]
    client.until(lambda: customers.history(kiosk), lambda seen: seen == crowded)

    client.stack.stop_part("streams")
    kinbid("rebuild", "--yes")
    client.stack.restart_part("streams")
    for node, told in ((phone, wrong), (laptop, confirmed), (kiosk, crowded)):
        assert customers.history(node) == told

    assert {session, phone, laptop, anna}.issubset(kept(client))
    for node in (phone, anna):
        kinbid("erase", node, "--yes", "--json", tmp_path / "done.json")
        done = json.loads((tmp_path / "done.json").read_bytes())
        assert done["records"][Topics.LINK_HISTORY.suffix] > 0
    # What comes late changes nothing, and what comes later makes somebody new.
    boris = customers.email("boris")
    client.produce(customers.page(laptop, anna, 3))

    def come_again() -> list[Told]:
        client.produce(customers.page(laptop, boris, 70))
        return customers.history(laptop)

    client.until(come_again, [("seen", "seen_with", frozenset([boris]), nobody)].__eq__)
    assert kept(client).isdisjoint({session, phone, anna})
    for node in (phone, session, anna):
        assert customers.history(node) == []
