"""A withdrawn consent stops personal ads at the next bid, whatever else the request names."""

import asyncio
import json
import uuid
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition

from kinbid.export import export_persons
from kinbid.inspect import explain_request, person_report
from models.events import Consent, CrmCard
from models.identifiers import Namespace, NodeId
from models.person_events import Purpose
from models.topics import Topics
from runtime import kafka
from tests.system.client import Client, flight
from tests.system.test_rebuild import kinbid

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROUTE = "JFK-SEA"
NAMES = ("anna", "boris")
PERSONAL, CONTEXTUAL = "air-seats", "air-brand"
IFA = "3f8c1b52-9d4e-4a61-8b7c-52e1d0a97f34"


def tell(client: Client, *nodes: NodeId, **said: tuple[Purpose, ...]) -> None:
    consent = Consent(
        event_id=uuid.uuid4().hex, ids=nodes, event_time_ms=client.now_ms(), source="banner"
    )
    client.produce(msgspec.structs.replace(consent, **said))


def withdraw(client: Client, *nodes: NodeId) -> None:
    tell(client, *nodes, withdrawn=("personal_ads",))


def bids(client: Client, wanted: str, **identity: str) -> None:
    client.until(
        lambda: client.campaign(live=False, **identity), lambda campaign: campaign == wanted
    )


def explained(client: Client, **identity: str) -> dict[str, Any]:
    body = {
        "id": "r", "at": 1, "tmax": 400, "user": {"buyeruid": identity["cookie"]},
        "device": {"ifa": identity["ifa"]} if "ifa" in identity else {},
        "imp": [{"id": "1", "secure": 0, "banner": {"format": [{"w": 300, "h": 250}]}}],
    }  # fmt: skip
    request = json.dumps(body).encode()
    return asyncio.run(explain_request(client.settings, request, "north"))


def share_a_tablet(client: Client, home: str) -> tuple[NodeId, NodeId, NodeId]:
    """Two customers sign in on it; the second one, who looked for a flight, is there now.

    Returns the tablet, and the accounts of the first and the second.
    """
    tablet = client.node(Namespace.COOKIE, f"{home}-tablet")
    anna, boris = (client.node(Namespace.EMAIL, f"{name}@{home}.example") for name in NAMES)
    for name, email in zip(NAMES, (anna, boris), strict=True):
        card = CrmCard(
            event_id=name, ids=(client.node(Namespace.CRM, f"{home}-{name}"), email),
            event_time_ms=client.now_ms(),
        )  # fmt: skip
        client.produce(card, client.sign_in(tablet, email))
    client.produce(client.search(boris, ROUTE))
    return tablet, anna, boris


def is_personal_ok(client: Client, node: NodeId) -> bool:
    return bool(asyncio.run(person_report(client.settings, node))["personal_ads"])


def test_a_shared_device_that_has_withdrawn_gets_no_personal_ad(client: Client) -> None:
    client.offer(flight(140, route=ROUTE))
    tablet, _, _ = share_a_tablet(client, "house")
    bids(client, PERSONAL, cookie="house-tablet")
    withdraw(client, tablet)
    bids(client, CONTEXTUAL, cookie="house-tablet")
    assert not is_personal_ok(client, tablet)
    assert explained(client, cookie="house-tablet")["consent_withdrawn"] == tablet


def records_told(client: Client) -> int:
    """How many events stand in Kafka."""
    topic = Topics.EVENTS

    async def count() -> int:
        parts = [
            TopicPartition(topic.name(client.settings.owner), number)
            for number in range(topic.partitions)
        ]
        async with kafka.consuming(client.settings) as consumer:
            consumer.assign(parts)
            return sum((await kafka.true_ends(consumer, parts)).values())

    return asyncio.run(count())


def test_a_withdrawal_told_at_a_shared_tablet_stops_ads_on_the_phone_of_whom_it_names(
    client: Client,
) -> None:
    client.offer(flight(142, route=ROUTE))
    tablet, anna, boris = share_a_tablet(client, "flat")
    phone = client.node(Namespace.COOKIE, "anna-s-own-phone")
    client.produce(client.sign_in(phone, anna), client.search(phone, ROUTE))
    bids(client, PERSONAL, cookie="anna-s-own-phone")
    withdraw(client, tablet, anna)
    bids(client, CONTEXTUAL, cookie="anna-s-own-phone")
    bids(client, CONTEXTUAL, cookie="flat-tablet")
    assert [is_personal_ok(client, one) for one in (tablet, anna, boris)] == [False, False, True]

    # A replay knows it, and carries nothing once more.
    client.stack.stop_part("streams")
    before = asyncio.run(export_persons(client.settings)).body, records_told(client)
    kinbid("rebuild", "--yes")
    assert (asyncio.run(export_persons(client.settings)).body, records_told(client)) == before
    client.stack.restart_part("streams")
    bids(client, CONTEXTUAL, cookie="anna-s-own-phone")

    # Allowed there again, it is allowed again.
    tell(client, tablet, anna, granted=("personal_ads",))
    bids(client, PERSONAL, cookie="anna-s-own-phone")
    assert is_personal_ok(client, anna)


def test_one_identifier_that_has_withdrawn_is_enough(client: Client) -> None:
    client.offer(flight(141, route=ROUTE))
    cookie, ifa = client.node(Namespace.COOKIE, "consent-two"), client.node(Namespace.IFA, IFA)
    client.produce(client.search(cookie, ROUTE))
    bids(client, PERSONAL, cookie="consent-two", ifa=IFA)
    withdraw(client, ifa)
    bids(client, CONTEXTUAL, cookie="consent-two", ifa=IFA)
    bids(client, PERSONAL, cookie="consent-two")
    assert explained(client, cookie="consent-two", ifa=IFA)["consent_withdrawn"] == ifa
