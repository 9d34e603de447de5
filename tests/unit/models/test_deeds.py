"""What the person did is a visit where it was done on the owner's pages; nothing else ever is."""

from typing import Any, get_args

import msgspec
import pytest

from models.event_base import CHANNELS, Channel
from models.events import (
    AccountErased,
    BookingStep,
    Call,
    CardContact,
    CarriedConsent,
    CartAdd,
    CartRemove,
    Consent,
    Contact,
    CouponUsed,
    CrmCard,
    CrmMerge,
    CrmSplit,
    Event,
    FlightSearch,
    FormAnswers,
    LoyaltyStatus,
    NumberLease,
    Order,
    OrderStatus,
    PageView,
    PriceWatch,
    ProductSearch,
    ProductView,
    Refund,
    Refusal,
    Registration,
    SignIn,
    TraitTold,
)
from models.interests import visited_ms
from models.person_events import ACTIONS, CONTACT_CHANNELS
from models.touches import LETTER_OF, timeline
from models.units import DAY_MS, AdvertiserId
from models.visits import visit_count
from tests.fakes.records import NODES, folded

NOW_MS = 1_790_000_000_000
TOLD: dict[str, Any] = {"event_id": "1", "ids": (NODES[0],), "event_time_ms": NOW_MS}
SHOP: dict[str, Any] = {**TOLD, "advertiser": AdvertiserId("shop")}
CARDS: dict[str, Any] = {**TOLD, "ids": NODES[:2]}

DEEDS: list[Event] = [
    PageView(**SHOP, page="/"),
    ProductView(**SHOP, item="bag"),
    FlightSearch(**SHOP, origin="JFK", destination="LAX", depart_date="2026-12-24"),
    ProductSearch(**SHOP, query="bag"),
    CartAdd(**SHOP, item="bag"),
    CartRemove(**SHOP, item="bag"),
    BookingStep(**SHOP, item="bag", step=1),
    PriceWatch(**SHOP, item="bag"),
    CouponUsed(**SHOP, coupon="8P"),
    Order(**SHOP, order_id="1", revenue_micros=1, margin_micros=1),
    SignIn(**SHOP),
    Registration(**SHOP),
    FormAnswers(**SHOP, kind="quiz", form="f", answers={"q": "a"}),
    CardContact(**SHOP, place="atm 7"),
    NumberLease(**SHOP, lease_id="l", number="+12125550110", expires_ms=NOW_MS + 1),
    Call(**SHOP, call_id="c", duration_seconds=1),
]
TOLD_BY_OTHERS: list[Event] = [
    Refund(**SHOP, order_id="1", refunded_micros=1),
    Refusal(**SHOP, order_id="1"),
    OrderStatus(**SHOP, order_id="1", stage="delivered"),
    LoyaltyStatus(**SHOP, tier="gold"),
    CrmCard(**TOLD, city="Rome"),
    Consent(**TOLD, withdrawn=("personal_ads",), source="call centre"),
    TraitTold(**TOLD, source="weather", name="rain", value="yes"),
    TraitTold(**TOLD, source="dataco", third_party=True, name="car", value="suv"),
    Call(**SHOP, call_id="c", duration_seconds=1, is_outbound=True),
    CrmMerge(**CARDS),
    CrmSplit(**CARDS),
    AccountErased(**TOLD, account=NODES[1]),
    CarriedConsent(**TOLD, withdrawn=("personal_ads",), source="call centre"),
]
MESSAGES: list[Event] = [
    Contact(**SHOP, channel=channel, action=action)
    for channel in sorted(CONTACT_CHANNELS)
    for action in ACTIONS
]


def named(value: object) -> str:
    return type(value).__name__ if isinstance(value, msgspec.Struct) else str(value)


def test_of_every_kind_of_event_it_is_decided_whether_it_is_a_deed() -> None:
    assert {type(event) for event in [*DEEDS, *TOLD_BY_OTHERS, *MESSAGES]} == set(get_args(Event))


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("deed", DEEDS, ids=named)
def test_a_deed_renews_its_channel_and_is_a_visit_on_the_owners_pages_alone(
    deed: Event, channel: Channel
) -> None:
    facet = folded([msgspec.structs.replace(deed, channel=channel)])
    is_there = channel in {"web", "app"}
    assert facet.channels == {LETTER_OF[channel]: NOW_MS // 1_000}
    assert (visit_count(facet.half_hours), visited_ms(facet)) == (is_there, is_there * NOW_MS)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("told", TOLD_BY_OTHERS, ids=named)
def test_what_others_do_or_tell_is_no_visit_and_renews_nothing_on_any_channel(
    told: Event, channel: Channel
) -> None:
    facet = folded([msgspec.structs.replace(told, channel=channel)])
    assert (facet.channels, facet.half_hours) == ({}, ())


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_never_a_visit_and_renews_its_channel_unless_it_was_sent(
    message: Contact,
) -> None:
    facet = folded([message])
    letter = LETTER_OF[message.channel]
    assert facet.half_hours == ()
    assert facet.channels == ({} if message.action == "sent" else {letter: NOW_MS // 1_000})


def test_after_200_silent_days_a_trait_that_was_bought_in_is_no_visit() -> None:
    seen = PageView(**{**SHOP, "event_time_ms": NOW_MS - 200 * DAY_MS}, page="/")
    facet = folded([seen, *TOLD_BY_OTHERS, *MESSAGES])
    assert (visited_ms(facet), visit_count(facet.half_hours)) == (seen.event_time_ms, 1)
    assert "trait" in {touch.kind for touch in timeline(facet.touches)}
