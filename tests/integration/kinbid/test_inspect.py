"""What ``kinbid person`` says, on a real Redis and a real Kafka-compatible broker."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

import kinbid
from bidder.identify import MAX_NODES
from kinbid.catalog_file import read_catalog_file
from kinbid.engines import EmbeddedKafka, RedisEngine
from kinbid.inspect import explain_request, person_report
from kinbid.publish import publish_catalog
from models.events import Billing, Call, CrmCard, FlightSearch, Order, SignIn
from models.identifiers import Namespace, NodeId, Pepper
from models.keys import Keys
from models.units import (
    DAY_MS,
    HOUR_MS,
    MICROS,
    AdvertiserId,
    CampaignId,
    CreativeId,
    ExchangeId,
)
from runtime import clock, kafka
from runtime.settings import Settings
from tests.contract.stores import RealStore
from tests.fakes.consent_strings import Told, tc_string
from tests.fakes.installation import Installation

pytestmark = pytest.mark.integration

AIRLINE: Final = AdvertiserId("airline")
BY_COOKIE: Final = "cookie:a-known-browser"
BY_OTHERS: Final = ("phone:+1 212 736 5000", "email:Anna@mail.example", "crm:42")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker that holds the demo's catalogue, and a Redis that holds one person."""
    folder = tmp_path_factory.mktemp("engines")
    with EmbeddedKafka.start(folder / "kafka") as broker, RedisEngine.start(folder / "r") as store:
        made = Settings(
            kafka_bootstrap=broker.bootstrap,
            kafka_idempotence=broker.supports_idempotence,
            redis_url=store.url,
            identity_pepper="a pepper for tests",
        )
        asyncio.run(publish(made))
        live(made)
        yield made


async def publish(settings: Settings) -> None:
    await kafka.ensure_topics(settings)
    demo = Path(kinbid.__file__).with_name("demo.toml")
    await publish_catalog(settings, read_catalog_file(demo))


def live(settings: Settings) -> None:
    """Searches and sees two ads in a browser, buys by phone and asks to be called back."""
    pepper, now_ms = Pepper(settings.identity_pepper), clock.now_ms()

    def node(namespace: Namespace, value: str) -> NodeId:
        made = pepper.node(namespace, value)
        assert made is not None
        return made

    def at(ago_ms: int, *ids: NodeId) -> dict[str, Any]:
        return {"event_id": "e", "ids": ids, "event_time_ms": now_ms - ago_ms}

    cookie, email = (
        node(Namespace.COOKIE, "a-known-browser"),
        node(Namespace.EMAIL, "anna@mail.example"),
    )
    phone, card = node(Namespace.PHONE, "+12127365000"), node(Namespace.CRM, "42")
    with closing(RealStore(settings.redis_url)) as store:
        here = Installation(store, keys=Keys(settings.owner))
        here.tell(
            FlightSearch(
                **at(DAY_MS, cookie), advertiser=AIRLINE, origin="JFK", destination="LAX",
                depart_date="2031-05-20",
            ),
            SignIn(**at(DAY_MS, cookie, email), advertiser=AIRLINE),
            Order(
                **at(3 * HOUR_MS, phone), advertiser=AIRLINE, order_id="o", channel="shop",
                revenue_micros=200 * MICROS, margin_micros=0,
            ),
            Call(
                **at(HOUR_MS, phone), advertiser=AIRLINE, call_id="c", duration_seconds=60,
                tag="call_back",
            ),
            CrmCard(**at(HOUR_MS, card, email, phone), city="Oslo"),
        )  # fmt: skip
        for nonce in "ab":
            here.bill(
                Billing(
                    node=cookie, nonce=nonce, campaign=CampaignId("air-seats"),
                    creative=CreativeId("c"), exchange=ExchangeId("north"), personal=True,
                    clearing_cpm_micros=2 * MICROS, notice_time_ms=now_ms - HOUR_MS,
                )
            )  # fmt: skip


def test_row_19_a_look_up_by_phone_finds_what_a_look_up_by_cookie_finds(settings: Settings) -> None:
    report = asyncio.run(person_report(settings, BY_COOKIE))
    assert {one["namespace"] for one in report["identifiers"]} == {
        "cookie",
        "email",
        "phone",
        "crm",
    }
    assert report["orders"]["airline"]["order_count"] == 1
    assert [one["call"] for one in report["call_backs"]] == ["c"]
    calls = [told for facet in report["facets"].values() for told in facet["phone"].calls]
    assert [told.call_id for told in calls] == ["c"]
    (cap,) = [one for one in report["caps"] if one["campaign"] == "air-seats"]
    assert (cap["segment"], cap["billed"]) == ("airline/customer", 2)
    assert (cap["limits"][0]["impressions"], cap["limits"][0]["used"]) == (8, 2)
    assert report["impressions"] == 2
    for identifier in BY_OTHERS:
        assert asyncio.run(person_report(settings, identifier)) == report


def test_it_is_explained_what_privacy_allows_and_every_reason_why_not_more(
    settings: Settings,
) -> None:
    """R10: the decision and its reasons, for any request."""
    told = tc_string(Told(consents=[1, 2, 7], vendors=[712], disclosed=[712]))
    request = {
        "id": "r", "regs": {"gdpr": 1, "us_privacy": "1YYN"},
        "user": {"buyeruid": "a-known-browser", "consent": told},
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
    }  # fmt: skip
    body = json.dumps(request).encode()
    ours = msgspec.structs.replace(settings, tcf_vendor_id=712, tcf_features="1,2")
    report = asyncio.run(explain_request(ours, body, "north"))
    assert report["privacy"] == "us_privacy, tcf_profiles"
    assert report["allowed_use"] == {
        "personal": False, "ids": False, "precise_geo": False,
        "refusals": ["us_privacy", "tcf_profiles"],
    }  # fmt: skip
    assert (report["identifiers"], report["person_known"]) == ([], False)
    request["regs"] = {"gdpr": 0}
    report = asyncio.run(explain_request(ours, json.dumps(request).encode(), "north"))
    assert (report["privacy"], report["person_known"]) == ("personal data may be used", True)


@pytest.mark.parametrize(("count", "is_known"), [(MAX_NODES - 1, True), (MAX_NODES, False)])
def test_it_is_explained_why_a_request_with_too_many_identifiers_is_nobodys(
    settings: Settings, count: int, is_known: bool
) -> None:
    uids = [{"id": f"id-{number}", "atype": 1} for number in range(count)]
    user = {"buyeruid": "a-known-browser", "eids": [{"source": "ids.example", "uids": uids}]}
    request = {
        "id": "r", "user": user, "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]
    }  # fmt: skip
    report = asyncio.run(explain_request(settings, json.dumps(request).encode(), "north"))
    assert report["person_known"] == is_known
    assert (report["privacy"] == "too_many_identifiers") != is_known
