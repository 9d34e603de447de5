"""A withdrawn consent stops personal ads at the next bid, whatever else the request names."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from kinbid.inspect import explain_request, person_report
from models.events import Consent, CrmCard
from models.identifiers import Namespace, NodeId
from tests.system.client import Client, flight

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROUTE = "JFK-SEA"
PERSONAL, CONTEXTUAL = "air-seats", "air-brand"
IFA = "3f8c1b52-9d4e-4a61-8b7c-52e1d0a97f34"


def withdraw(client: Client, node: NodeId) -> None:
    client.produce(
        Consent(
            event_id=uuid.uuid4().hex, ids=(node,), event_time_ms=client.now_ms(),
            withdrawn=("personal_ads",), source="banner",
        )
    )  # fmt: skip


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


def share_a_tablet(client: Client, tablet: NodeId) -> None:
    """Two customers sign in on it; the second one, who looked for a flight, is there now."""
    anna, boris = (
        client.node(Namespace.EMAIL, f"{name}@consent.example") for name in ("anna", "boris")
    )
    for name, email in (("anna", anna), ("boris", boris)):
        card = CrmCard(
            event_id=name, ids=(client.node(Namespace.CRM, f"consent-{name}"), email),
            event_time_ms=client.now_ms(),
        )  # fmt: skip
        client.produce(card, client.sign_in(tablet, email))
    client.produce(client.search(boris, ROUTE))


def test_a_shared_device_that_has_withdrawn_gets_no_personal_ad(client: Client) -> None:
    client.offer(flight(140, route=ROUTE))
    tablet = client.node(Namespace.COOKIE, "consent-tablet")
    share_a_tablet(client, tablet)
    bids(client, PERSONAL, cookie="consent-tablet")
    withdraw(client, tablet)
    bids(client, CONTEXTUAL, cookie="consent-tablet")
    assert not asyncio.run(person_report(client.settings, tablet))["personal_ads"]
    assert explained(client, cookie="consent-tablet")["consent_withdrawn"] == tablet


def test_one_identifier_that_has_withdrawn_is_enough(client: Client) -> None:
    client.offer(flight(141, route=ROUTE))
    cookie, ifa = client.node(Namespace.COOKIE, "consent-two"), client.node(Namespace.IFA, IFA)
    client.produce(client.search(cookie, ROUTE))
    bids(client, PERSONAL, cookie="consent-two", ifa=IFA)
    withdraw(client, ifa)
    bids(client, CONTEXTUAL, cookie="consent-two", ifa=IFA)
    bids(client, PERSONAL, cookie="consent-two")
    assert explained(client, cookie="consent-two", ifa=IFA)["consent_withdrawn"] == ifa
