"""Rows of the feature table in which identity changes a bid: events into streams, an answer out.

The steps of streams and of the bidder work on one store; between them stands nothing but its keys.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest

from bidder.metrics import Counters
from bidder.path import BidPath
from models.events import (
    CardContact,
    CrmCard,
    Event,
    FlightSearch,
    Order,
    PageView,
    ProductView,
    Registration,
    SignIn,
)
from models.export import canonical_person, export_of
from models.forest import settle
from models.identifiers import Namespace, NodeId
from models.touches import timeline
from models.units import DAY_MS, HOUR_MS, MICROS
from tests.fakes.installation import Installation
from tests.unit.bidder.support import (
    AIR,
    BRAND,
    DEPART_DATE,
    ITEMS,
    KEYS,
    NORTH,
    NOW_MS,
    SEATS,
    SETTINGS,
    SHOP,
    bid_request,
    catalog,
    node,
)

LAPTOP, TABLET = (node(Namespace.COOKIE, name) for name in ("laptop", "tablet"))
MOBILE = node(Namespace.IFA, "8f5a3b6c-1d2e-4f60-8123-456789abcdef")
EMAIL = node(Namespace.EMAIL, "anna@mail.example")
NUMBER = node(Namespace.PHONE, "+12127365000")
CARD = node(Namespace.LOYALTY, "40128881")
CRM = node(Namespace.CRM, "42")

SEARCHED: dict[str, Any] = {"origin": "JFK", "destination": "LAX", "depart_date": DEPART_DATE}


def at(*ids: NodeId, ago_ms: int = HOUR_MS) -> dict[str, Any]:
    return {"event_id": "e", "ids": ids, "event_time_ms": NOW_MS - ago_ms}


def bought(*ids: NodeId, **more: object) -> Order:
    """Somewhere else, half a year ago."""
    return Order(
        **at(*ids, ago_ms=180 * DAY_MS), advertiser=AIR, order_id="o",
        items=("LAX-SFO/2026-06-01",), revenue_micros=200 * MICROS, margin_micros=0,
        **more,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


class Market:
    """An installation with a bidder that sells one flight and one record."""

    def __init__(self, counters: Counters) -> None:
        self.here = Installation(keys=KEYS)
        self._path = BidPath(SETTINGS, catalog(), counters)

    def bid(self, cookie: str) -> dict[str, Any]:
        """The bid for one slot that a browser asks for; a test, so that it moves no cap."""
        request = bid_request(user={"buyeruid": cookie}, test=1)
        answer = self.here.store.run(self._path.answer(request, NORTH, NOW_MS))
        assert answer.body is not None
        (seatbid,) = json.loads(answer.body)["seatbid"]
        (bid,) = seatbid["bid"]
        found: dict[str, Any] = bid
        return found


@pytest.fixture
def market(counters: Counters) -> Market:
    return Market(counters)


LIFE: Sequence[Event] = (
    FlightSearch(**at(TABLET), advertiser=AIR, **SEARCHED),
    SignIn(**at(TABLET, EMAIL), advertiser=AIR),
    Registration(**at(LAPTOP, EMAIL), advertiser=AIR, city="Oslo"),
    CrmCard(**at(CRM, EMAIL, NUMBER), tier="gold"),
    bought(MOBILE, NUMBER, channel="app"),
)
"""One person's: who searched, who registered and who ordered is known by no single event."""


def test_row_12_log_in_identify_and_crm_card_make_one_profile_and_bid_in_any_order(
    counters: Counters,
) -> None:
    ends = set()
    for life in itertools.permutations(LIFE):
        market = Market(counters)
        assert market.bid("laptop")["cid"] == BRAND
        market.here.tell(*life)
        assert market.here.are_one(LAPTOP, TABLET, MOBILE, EMAIL, NUMBER, CRM)
        bid = market.bid("laptop")
        person = canonical_person(market.here.store.run(settle(KEYS, LAPTOP)))
        assert person is not None
        ends.add((export_of([person]).digest, bid["crid"], bid["price"], bid["adm"]))
    ((_, creative, _, markup),) = ends
    assert creative == "seats-customer"
    assert "JFK-LAX 199.00 150" in markup


def test_row_13_what_the_phone_saw_is_in_the_creative_on_the_desktop(market: Market) -> None:
    market.here.tell(
        ProductView(**at(MOBILE), advertiser=SHOP, item="sku-1"),
        SignIn(**at(MOBILE, EMAIL), advertiser=SHOP),
        PageView(**at(LAPTOP), advertiser=SHOP, page="/"),
    )
    assert market.bid("laptop")["cid"] == BRAND
    market.here.tell(SignIn(**at(LAPTOP, EMAIL), advertiser=SHOP))
    bid = market.bid("laptop")
    assert bid["cid"] == ITEMS
    assert "Kind of Blue 12.00" in bid["adm"]
    assert "https://shop.example/sku-1" in bid["adm"]


def test_row_44_a_swiped_card_joins_its_person_and_changes_the_next_bid(market: Market) -> None:
    """What was bought with the card counts at the laptop from the swipe on that names the phone."""
    market.here.tell(
        bought(CARD, channel="terminal"),
        FlightSearch(**at(LAPTOP), advertiser=AIR, **SEARCHED),
        SignIn(**at(LAPTOP, NUMBER), advertiser=AIR),
    )
    before = market.bid("laptop")
    market.here.tell(CardContact(**at(CARD, NUMBER, ago_ms=1_000), advertiser=AIR, place="gate 7"))
    after = market.bid("laptop")
    assert (before["cid"], before["crid"]) == (SEATS, "seats-prospect")
    assert (after["cid"], after["crid"]) == (SEATS, "seats-customer")
    assert after["price"] != before["price"]
    swipe = timeline(market.here.facet(LAPTOP).touches)[-1]
    assert (swipe.channel, swipe.kind, swipe.key) == ("card", "card_contact", "airline/gate 7")
