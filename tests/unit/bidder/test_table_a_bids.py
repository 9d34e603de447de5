"""Rows of the feature table in which a person changes a bid: events into streams, an answer out.

The steps of streams and of the bidder work on one store; between them stands nothing but its keys.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bidder.metrics import Counters
from bidder.path import BidPath
from kinbid.person_summary import segments_of
from models.events import (
    CardContact,
    CartAdd,
    CrmCard,
    Event,
    FlightSearch,
    Order,
    OrderStatus,
    PageView,
    ProductView,
    Registration,
    SignIn,
    TraitTold,
)
from models.export import canonical_person, export_of
from models.forest import settle
from models.identifiers import Namespace, NodeId
from models.profile import header_of
from models.touches import timeline
from models.units import DAY_MS, HOUR_MS, MICROS, SegmentId
from tests.fakes.answers import creative_of
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
    creative,
    node,
    product,
    segment,
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
        self.catalog = catalog()
        self._path = BidPath(SETTINGS, self.catalog, counters)

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
    assert creative.startswith("seats-customer.300x250.")
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
    assert (before["cid"], creative_of(before)) == (SEATS, "seats-prospect")
    assert (after["cid"], creative_of(after)) == (SEATS, "seats-customer")
    assert after["price"] != before["price"]
    swipe = timeline(market.here.facet(LAPTOP).touches)[-1]
    assert (swipe.channel, swipe.kind, swipe.key) == ("card", "card_contact", "airline/gate 7")


def seen(item: str, *, days_ago: int) -> ProductView:
    return ProductView(**at(LAPTOP, ago_ms=days_ago * DAY_MS), advertiser=SHOP, item=item)


def ordered(*items: str, ago_ms: int, number: str = "o") -> Order:
    return Order(
        **at(LAPTOP, ago_ms=ago_ms), advertiser=SHOP, order_id=number, items=items,
        revenue_micros=12 * MICROS, margin_micros=4 * MICROS,
    )  # fmt: skip


def test_row_30_a_segment_added_at_run_time_holds_those_whose_orders_came_before_it(
    market: Market,
) -> None:
    """At the bid. The rule is one of orders, and a live count of who is in a segment is missing."""
    regulars = SegmentId("shop/regular")
    market.here.tell(
        *(ordered("sku-9", ago_ms=n * 30 * DAY_MS, number=str(n)) for n in (1, 2, 3)),
        seen("sku-1", days_ago=1),
    )
    before = market.bid("laptop")
    assert (before["cid"], creative_of(before)) == (ITEMS, "items")
    market.catalog.apply(segment(regulars, min_orders=3, max_orders=None))
    market.catalog.apply(creative("items-regular", ITEMS, creative_set="regular"))
    campaign = market.catalog.campaigns[ITEMS]
    market.catalog.apply(msgspec.structs.replace(campaign, segments=(regulars, *campaign.segments)))
    after = market.bid("laptop")
    assert (after["cid"], creative_of(after)) == (ITEMS, "items-regular")
    assert segments_of(market.catalog, header_of(market.here.facet(LAPTOP), ()), NOW_MS) == [
        "airline/prospect", "shop/customer", "shop/regular"
    ]  # fmt: skip


def test_row_31_an_order_a_millisecond_before_the_request_ends_the_ad_for_the_cart(
    market: Market,
) -> None:
    market.here.tell(CartAdd(**at(LAPTOP), advertiser=SHOP, item="sku-1"))
    assert market.bid("laptop")["cid"] == ITEMS
    market.here.tell(ordered("sku-1", ago_ms=1))
    assert market.bid("laptop")["cid"] == BRAND


def test_row_31_a_cart_raises_the_bid(market: Market) -> None:
    market.here.tell(seen("sku-1", days_ago=0))
    looked = market.bid("laptop")
    market.here.tell(CartAdd(**at(LAPTOP, ago_ms=0), advertiser=SHOP, item="sku-1"))
    assert market.bid("laptop")["price"] > looked["price"]


def test_row_36_the_creative_shows_the_top_interest_the_next_day(market: Market) -> None:
    """The product that was looked at on most days, not the one looked at last, and most often."""
    market.catalog.apply(product(id="sofa", title="Sofa"))
    market.catalog.apply(product(id="lamp", title="Lamp"))
    market.here.tell(
        *(seen("sofa", days_ago=days) for days in (4, 3, 2)),
        *(ProductView(**at(LAPTOP, ago_ms=DAY_MS + n), advertiser=SHOP, item="lamp")
          for n in range(9)),
    )  # fmt: skip
    assert "Sofa" in market.bid("laptop")["adm"]
    market.catalog.apply(product(id="sofa", title="Sofa", stock=0))
    assert "Lamp" in market.bid("laptop")["adm"]


def test_row_37_from_the_order_on_no_ad_shows_what_is_owned(market: Market) -> None:
    """At the next bid after streams took it; which accessory goes with it, nothing knows yet."""
    market.catalog.apply(product(id="strap", title="Strap"))
    market.here.tell(
        *(seen("sku-1", days_ago=days) for days in (3, 2, 1)), seen("strap", days_ago=1)
    )
    assert "Kind of Blue" in market.bid("laptop")["adm"]
    market.here.tell(
        ordered("sku-1", ago_ms=2),
        OrderStatus(**at(LAPTOP, ago_ms=1), advertiser=SHOP, order_id="o", stage="paid"),
    )
    assert "Strap" in market.bid("laptop")["adm"]


def test_row_64_a_bid_rests_on_own_data_alone_whether_third_parties_are_heard_or_not(
    market: Market,
) -> None:
    """No bid reads a trait yet, so there is nothing that `kinbid explain` could say of it; for whom
    third parties count, `kinbid person` tells.
    """
    market.here.tell(seen("sku-1", days_ago=1))
    own = market.bid("laptop")
    market.here.tell(
        *(
            TraitTold(**at(LAPTOP), source="dataco", third_party=True, name=name, value="x",
                      trust=100)
            for name in ("income", "city", "tier")
        )
    )  # fmt: skip
    shop = market.catalog.advertisers[SHOP]
    for is_heard in (True, False):
        market.catalog.apply(msgspec.structs.replace(shop, third_party_data=is_heard))
        bid = market.bid("laptop")
        assert {name: bid[name] for name in SHOWN} == {name: own[name] for name in SHOWN}


SHOWN = ("cid", "crid", "price", "adm")
