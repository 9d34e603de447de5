"""Rows of the feature table that speak of a person's profile, each as a claim on a facet.

Tested is that a profile knows it, and no more. A bid reads a person's header alone
(:mod:`models.header`): orders, searches, products and carts, sign-ins on shared devices, consent to
personal ads, calls. The rest is kept, can be asked for, and is used by no bid: the share refused,
the customer's rhythm, taste, past trips and memberships, stages of deals, answers, messages,
traits, the last visit, rolling spend, birthdays, swiped cards, coupons. So no test anywhere shows
what a bid does with rows 2, 5, 8, 20, 28, 33 to 35 and 44. What it does with rows 30, 31, 36, 37
and 64 is in ``tests/unit/bidder/test_table_a_bids.py``.

Not shown at all, since nothing in the product does it yet: row 29, a trigger that fires exactly
once for each person; of row 39, the funnel by segment and for ads; of row 56, sums by product
group.
"""

import datetime as dt
import random
from collections import Counter
from typing import Any, get_args

import msgspec
import pytest

from models.birthdays import days_from_birthday, is_in_birthday_window
from models.buying import (
    cabin_taste,
    lapse_ratio,
    mean_order_micros,
    median_gap_days,
    past_trips,
    refusal_rate,
    seat_taste,
    spend_micros,
)
from models.catalog_records import Advertiser
from models.event_base import CHANNELS
from models.events import (
    BookingStep,
    Call,
    CardContact,
    CartAdd,
    CartRemove,
    Consent,
    Contact,
    CouponUsed,
    CrmCard,
    Event,
    FlightSearch,
    FormAnswers,
    LoyaltyStatus,
    NumberLease,
    Order,
    OrderStatus,
    PageView,
    PriceWatch,
    ProductView,
    Refund,
    Refusal,
    Registration,
    SignIn,
    TraitTold,
    decode_event,
    encode,
)
from models.facets import Facet, attributes, export_facet, merge
from models.identifiers import NodeId
from models.interests import (
    booking_steps,
    cart_items,
    contacts,
    deal_stage,
    interests,
    trip_searches,
    visited_ms,
)
from models.profile import header_of
from models.purchases import owned_items, totals
from models.touches import kind_of, timeline
from models.units import DAY_MS, MICROS, AdvertiserId
from tests.fakes.headers import products_in
from tests.fakes.records import ACCOUNTS, NODES, folded

AIR, SHOP = AdvertiserId("air"), AdvertiserId("shop")
NOW_MS = 1_790_000_000_000
NODE = NODES[0]


def at(time_ms: int = NOW_MS, advertiser: AdvertiserId = SHOP, node: NodeId = NODE) -> Any:  # noqa: ANN401 - arguments of any event
    return {"event_id": "1", "ids": (node,), "event_time_ms": time_ms, "advertiser": advertiser}


def order(order_id: str, time_ms: int = NOW_MS, units: int = 100, **more: Any) -> Order:  # noqa: ANN401
    common = {**at(time_ms), "advertiser": more.pop("advertiser", SHOP)}
    margin_micros = more.pop("margin_micros", 0)
    return Order(
        **common, order_id=order_id, revenue_micros=units * MICROS, margin_micros=margin_micros,
        **more,
    )  # fmt: skip


def refusal(order_id: str, time_ms: int = NOW_MS) -> Refusal:
    return Refusal(**at(time_ms), order_id=order_id, reason="too late")


def test_row_02_purchase_history_tells_how_often_how_much_what_when_and_the_share_refused() -> None:
    told: list[Event] = [
        order("1", NOW_MS - 2 * DAY_MS, 100, items=("bag",), groups=("bags",)),
        order("2", NOW_MS - DAY_MS, 200), order("3"), refusal("3"), order("4"), refusal("4"),
    ]  # fmt: skip
    purchases = folded(told).purchases[SHOP]
    found = totals(purchases)
    assert (found.order_count, found.net_micros) == (2, 300 * MICROS)
    assert found.last_order_ms == NOW_MS - DAY_MS
    assert (owned_items(purchases), list(purchases.groups)) == ({"bag"}, ["bags"])
    assert refusal_rate(purchases) == 0.5
    assert refusal_rate(folded(told[:2]).purchases[SHOP]) == 0
    assert purchases.refusals["3"].reason == "too late"


def test_row_03_the_first_order_makes_a_prospect_a_customer() -> None:
    seen = ProductView(**at(), item="bag")
    assert header_of(folded([seen]), ()).dealings[SHOP].buyer is None
    buyer = header_of(folded([seen, order("1")]), ()).dealings[SHOP].buyer
    assert buyer is not None
    assert buyer.order_count == 1


def test_row_04_the_average_cheque_is_known() -> None:
    assert mean_order_micros(folded([order("1"), order("2", units=50)]).purchases[SHOP]) == (
        75 * MICROS
    )


@pytest.mark.parametrize(("silent_days", "ratio"), [(81, 0.9), (135, 1.5)])
def test_row_05_who_is_past_their_own_rhythm_is_known(silent_days: int, ratio: float) -> None:
    """Somebody who buys every three months."""
    last_ms = NOW_MS - silent_days * DAY_MS
    orders = [order(str(n), last_ms - n * 90 * DAY_MS) for n in range(4)]
    purchases = folded(orders).purchases[SHOP]
    assert median_gap_days(purchases) == 90
    assert lapse_ratio(purchases, NOW_MS) == pytest.approx(ratio)
    assert lapse_ratio(folded(orders[:1]).purchases[SHOP], NOW_MS) is None


def test_row_08_past_trips_taste_of_seat_and_cabin_and_miles_are_known() -> None:
    flown: list[Event] = [
        order("1", NOW_MS - 90 * DAY_MS, advertiser=AIR, seat="window", cabin="economy",
              items=("JFK-LAX/2026-07-01",)),
        order("2", NOW_MS - 80 * DAY_MS, advertiser=AIR, seat="window", cabin="business",
              items=("LAX-JFK/2026-07-08",)),
        order("3", NOW_MS - 2 * DAY_MS, advertiser=AIR, seat="aisle", cabin="business",
              items=("JFK-ORD/2027-01-01",)),
        LoyaltyStatus(**at(advertiser=AIR), tier="gold", miles=12_000),
    ]  # fmt: skip
    person = folded(flown)
    trips = person.purchases[AIR]
    assert (seat_taste(trips), cabin_taste(trips)) == ("window", "business")
    assert past_trips(trips, NOW_MS) == ["JFK-LAX/2026-07-01", "LAX-JFK/2026-07-08"]
    membership = attributes(person, third_party=False).membership(AIR)
    assert (membership["tier"].value, membership["miles"].value) == ("gold", "12000")


def test_row_09_an_abandoned_booking_is_known_by_its_step() -> None:
    trip = "JFK-LAX/2026-12-24"
    steps: list[Event] = [BookingStep(**at(NOW_MS + n, AIR), item=trip, step=n) for n in (1, 2, 3)]
    (reached,) = booking_steps(folded(steps[::-1]))
    assert (reached.item, reached.step, reached.is_open) == (trip, 3, True)
    bought = order("1", NOW_MS + 5_000, advertiser=AIR, items=(trip,))
    (reached,) = booking_steps(folded([bought, *steps]))
    assert not reached.is_open


def test_row_09_a_search_tells_cabin_party_and_criteria_of_the_last_time() -> None:
    def search(time_ms: int, **criteria: Any) -> FlightSearch:  # noqa: ANN401
        return FlightSearch(
            **at(time_ms, AIR), origin="JFK", destination="LAX", depart_date="2026-12-24",
            **criteria,
        )  # fmt: skip

    family = search(NOW_MS, cabin="business", adults=2, children=1, sort="price",
                    filters=("direct", "bag"))  # fmt: skip
    (found,) = trip_searches(folded([family, search(NOW_MS - DAY_MS)]))
    assert (found.trip, found.seen_ms) == ("JFK-LAX/2026-12-24", NOW_MS)
    assert (found.cabin, found.adults, found.children) == ("business", 2, 1)
    assert (found.sort, found.filters) == ("price", "direct,bag")


def test_row_20_the_stage_of_a_deal_is_known_however_late_its_steps_come() -> None:
    def status(hours: int, stage: Any) -> OrderStatus:  # noqa: ANN401
        return OrderStatus(**at(NOW_MS + hours * 3_600_000), order_id="7", stage=stage)

    steps = [status(1, "paid"), status(0, "confirmed"), status(9, "delivered")]
    assert deal_stage(Facet(), SHOP) is None
    for history in (steps, steps[::-1]):
        found = deal_stage(folded(history), SHOP)
        assert found is not None
        assert (found.order, found.stage) == ("7", "delivered")
    same_second = deal_stage(folded([status(1, "shipped"), status(1, "paid")]), SHOP)
    assert same_second is not None
    assert same_second.stage == "shipped"


def crm_and_shop_feed() -> list[Event]:
    """What a CRM and a shop tell, by every kind of event that they have; their ids are numbers."""
    card: dict[str, Any] = {"ids": (NODE,), "event_time_ms": NOW_MS}
    feed: list[Event] = [
        order("1", NOW_MS, 100, items=("bag",)), refusal("1", NOW_MS + 5_000),
        order("2", NOW_MS + 9_000, 40), Refund(**at(), order_id="2", refunded_micros=MICROS),
        CrmCard(event_id="1", **card, city="Rome", deal_stage="new", sizes={"shoe": "38"}),
        CrmCard(event_id="1", ids=(NODE,), event_time_ms=NOW_MS + 1_000, deal_stage="won"),
        OrderStatus(**at(), order_id="2", stage="paid"),
        OrderStatus(**at(NOW_MS + 2_000), order_id="2", stage="shipped"),
        CouponUsed(**at(), coupon="8P"), Registration(**at(), city="Oslo"),
        LoyaltyStatus(**at(), tier="gold", miles=5), CardContact(**at(), place="shop 4"),
        Consent(event_id="1", **card, withdrawn=("sms",), source="crm"),
        TraitTold(event_id="1", **card, source="ml", name="score", value="7"),
        FormAnswers(**at(), kind="quiz", form="sofa", answers={"size": "corner"}),
        Contact(**at(), action="sent"), Contact(**at(NOW_MS + 60_000), action="opened"),
        Call(**at(), call_id="c", duration_seconds=60),
        NumberLease(**at(), lease_id="l", number="+12125550110", expires_ms=NOW_MS + 60_000),
        SignIn(event_id="1", ids=(NODE, ACCOUNTS[0]), event_time_ms=NOW_MS, advertiser=SHOP),
    ]  # fmt: skip
    return [msgspec.structs.replace(one, event_id=str(n)) for n, one in enumerate(feed)]


def known(facet: Facet) -> bytes:
    """All of a profile; the watermark counts records, and is no part of it."""
    return export_facet(msgspec.structs.replace(facet, watermark=0))


def test_row_23_a_duplicated_and_reordered_feed_of_crm_and_shop_gives_the_same_profile() -> None:
    feed = crm_and_shop_feed()
    browsing = {kind_of(one) for one in get_args(Event)} - {kind_of(type(one)) for one in feed}
    assert {kind.name for kind in browsing if kind is not None} == {
        "page_view", "product_view", "flight_search", "product_search", "cart", "booking_step",
        "price_watch",
    }  # fmt: skip
    once = folded(feed)
    for seed in range(5):
        again = folded(random.Random(seed).sample([*feed, *feed], 2 * len(feed)))
        assert known(again) == known(once)
    assert [(one.action, one.count) for one in contacts(once)] == [("sent", 1), ("opened", 1)]
    assert attributes(once, third_party=False).values["deal_stage"].value == "won"


def test_row_25_the_answers_of_a_form_become_traits_and_the_latest_answer_stands() -> None:
    def answered(time_ms: int, sofa: str) -> FormAnswers:
        return FormAnswers(**at(time_ms), kind="lead_form", form="sofa", answers={"size": sofa})

    person = folded([answered(NOW_MS, "corner"), answered(NOW_MS - DAY_MS, "two seats")])
    assert person.answers == {"shop/sofa/size": (NOW_MS // 1000, "corner")}


def mail(number: int, minutes: int, action: Any, **more: Any) -> Contact:  # noqa: ANN401
    common = {**at(NOW_MS + minutes * 60_000), "event_id": str(number), **more}
    return Contact(**common, action=action, topic="cart")


def test_row_28_mails_sent_opened_and_clicked_are_counted_with_their_latest_time() -> None:
    told = [mail(1, 0, "sent"), mail(2, 9, "opened"), mail(3, 5, "opened"), mail(4, 10, "clicked")]
    person = folded([*told, mail(2, 9, "opened")])
    found = {(one.channel, one.action): (one.count, one.latest_ms) for one in contacts(person)}
    assert found == {
        ("email", "sent"): (1, NOW_MS), ("email", "opened"): (2, NOW_MS + 9 * 60_000),
        ("email", "clicked"): (1, NOW_MS + 10 * 60_000),
    }  # fmt: skip
    (latest, *others) = reversed(contacts(person, NOW_MS + 6 * 60_000))
    assert (latest.action, [(one.action, one.count) for one in others]) == (
        "clicked", [("opened", 1)]
    )  # fmt: skip


@pytest.mark.parametrize("name", ["birthday", "gender", "city", "size.shoe", "tier", "miles",
                                  "deal_stage"])  # fmt: skip
def test_row_30_every_parameter_of_a_card_can_be_asked_for_by_name(name: str) -> None:
    """Segments ask for orders alone yet, and ``kinbid segments`` counts nobody."""
    card = CrmCard(
        event_id="1", ids=(NODE,), event_time_ms=NOW_MS, city="Rome", tier="gold", miles=7,
        birthday="1980-02-29", gender="female", sizes={"shoe": "38"}, deal_stage="won",
    )  # fmt: skip
    found = attributes(folded([card]), third_party=False).values[name]
    assert found.value
    assert (found.source, found.told_ms, found.trust) == ("crm", NOW_MS, 90)


def test_row_31_a_cart_is_open_until_its_item_is_ordered_or_taken_out() -> None:
    added = CartAdd(**at(), item="bag")
    (item,) = cart_items(folded([added]))
    assert (item.item, item.is_open) == ("bag", True)
    ended: tuple[Event, ...] = (
        order("1", NOW_MS + 1, items=("bag",)), CartRemove(**at(NOW_MS + 1), item="bag"),
    )  # fmt: skip
    for end in ended:
        for history in ([added, end], [end, added]):
            assert not cart_items(folded(history))[0].is_open
            assert not any(one.in_cart for one in products_in(header_of(folded(history), ())))
    assert cart_items(folded([*ended, CartAdd(**at(NOW_MS + 5_000), item="bag")]))[0].is_open


@pytest.mark.parametrize(("days", "is_lapsed"), [(179, False), (181, True)])
def test_row_32_the_last_visit_is_known_apart_from_orders_and_mails(
    days: int, is_lapsed: bool
) -> None:
    visit = PageView(**at(NOW_MS - days * DAY_MS), page="/")
    opened = Contact(**at(), action="opened")
    sold = order("1", channel="shop")
    person = folded([opened, visit, sold])
    assert (NOW_MS - visited_ms(person) > 180 * DAY_MS) is is_lapsed
    assert totals(person.purchases[SHOP]).order_count == 1


def test_row_33_rolling_spend_crosses_a_threshold_at_once_and_falls_below_it_again() -> None:
    first, second = order("1", NOW_MS, 7_999), order("2", NOW_MS + DAY_MS, 2)
    after_ms = NOW_MS + DAY_MS
    assert spend_micros(folded([first]).purchases[SHOP], after_ms) == 7_999 * MICROS
    purchases = folded([second, first]).purchases[SHOP]
    assert spend_micros(purchases, after_ms) == 8_001 * MICROS
    assert spend_micros(purchases, NOW_MS + 365 * DAY_MS - 1) == 8_001 * MICROS
    assert spend_micros(purchases, NOW_MS + 365 * DAY_MS) == 2 * MICROS


def test_row_34_gender_comes_from_the_most_trusted_source() -> None:
    said = Registration(**at(NOW_MS + DAY_MS), gender="male")
    card = CrmCard(event_id="1", ids=(NODE,), event_time_ms=NOW_MS, gender="female")
    told: list[Event] = [said, card]
    for history in (told, told[::-1]):
        found = attributes(folded(history), third_party=False).values["gender"]
        assert (found.value, found.source) == ("female", "crm")


@pytest.mark.parametrize(
    ("today", "days", "is_due"),
    [
        ("2026-02-24", -4, False), ("2026-02-25", -3, True), ("2026-02-28", 0, True),
        ("2026-03-07", 7, True), ("2026-03-08", 8, False), ("2028-02-29", 0, True),
        ("2028-02-28", -1, True), ("2026-12-31", -59, False),
    ],
)  # fmt: skip
def test_row_35_a_birthday_on_29_february_has_its_window_every_year(
    today: str, days: int, is_due: bool
) -> None:
    date = dt.date.fromisoformat(today)
    assert days_from_birthday("1980-02-29", date) == days
    assert is_in_birthday_window("1980-02-29", date) is is_due


def test_row_36_what_was_looked_at_on_most_days_is_the_top_interest() -> None:
    looked: list[Event] = [
        *(ProductView(**at(NOW_MS + n * DAY_MS), item="sofa") for n in range(3)),
        *(ProductView(**at(NOW_MS + 4 * DAY_MS + n), item="lamp") for n in range(9)),
    ]
    for history in (looked, looked[::-1]):
        assert [one.item for one in interests(folded(history))] == ["lamp", "sofa"]
        shown = products_in(header_of(folded(history), ()))
        assert [one.key for one in shown] == ["sofa", "lamp"]


def test_row_37_the_banks_confirmation_is_known_and_what_is_owned_is_left_out() -> None:
    """Which accessory goes with what was bought, nothing knows yet."""
    paid = OrderStatus(**at(NOW_MS + 700), order_id="1", stage="paid")
    person = folded([paid, order("1", items=("camera",))])
    stage = deal_stage(person, SHOP)
    assert stage is not None
    assert (stage.stage, stage.reached_ms) == ("paid", NOW_MS)
    assert owned_items(person.purchases[SHOP]) == {"camera"}


def test_row_39_what_a_person_was_sent_opened_clicked_and_ordered_reconciles_with_the_log() -> None:
    """For persons, told twice and under several identifiers; by segment is not shown."""
    rng = random.Random(39)
    log: list[Event] = []
    for number in range(36):
        action = ("sent", "opened", "clicked")[number % 3]
        log.append(mail(number, number, action, ids=(rng.choice(NODES[:3]),)))
    log += [msgspec.structs.replace(order(str(n)), ids=(NODES[n % 3],)) for n in range(6)]
    facets: list[Facet] = []
    for node in NODES[:3]:
        own = [one for one in log if one.ids == (node,)]
        facets.append(folded(rng.sample([*own, *own], 2 * len(own))))
        sent = Counter(one.action for one in own if isinstance(one, Contact))
        assert {one.action: one.count for one in contacts(facets[-1])} == sent
        assert totals(facets[-1].purchases[SHOP]).order_count == 2
    everybody = merge(facets)
    assert {one.action: one.count for one in contacts(everybody)} == {
        "sent": 12, "opened": 12, "clicked": 12
    }  # fmt: skip
    assert totals(everybody.purchases[SHOP]).order_count == 6


def one_of_each_channel() -> list[Event]:
    seen: dict[str, Event] = {
        "web": PageView(**at(NOW_MS), page="/"),
        "app": ProductView(**at(NOW_MS + 1_000), channel="app", item="bag"),
        "call": Call(**at(NOW_MS + 2_000), call_id="c", duration_seconds=60),
        "email": Contact(**at(NOW_MS + 3_000), action="opened"),
        "shop": order("1", NOW_MS + 4_000, channel="shop"),
        "crm": CrmCard(event_id="1", ids=(NODE,), event_time_ms=NOW_MS + 5_000, city="Rome"),
        "chat": Contact(**at(NOW_MS + 6_000), channel="chat", action="received"),
        "sms": Contact(**at(NOW_MS + 7_000), channel="sms", action="sent"),
        "push": Contact(**at(NOW_MS + 8_000), channel="push", action="clicked"),
        "terminal": CardContact(**at(NOW_MS + 9_000), channel="terminal", place="shop 4"),
        "card": CardContact(**at(NOW_MS + 10_000), place="atm 7"),
        "social": Contact(**at(NOW_MS + 11_000), channel="social", action="received"),
    }
    assert tuple(seen) == CHANNELS
    return list(seen.values())


def test_row_43_every_channel_stands_in_one_ordered_timeline() -> None:
    history = one_of_each_channel()
    for event in history:
        assert decode_event(encode(event)) == event
    web, other = folded(history[::2]), folded(history[::-1][::2])
    found = timeline(merge([other, web]).touches)
    assert [touch.channel for touch in found] == list(CHANNELS)
    assert [touch.time_ms for touch in found] == [NOW_MS + 1_000 * n for n in range(12)]
    assert found[1].key == "shop/bag"
    assert timeline(folded(history).touches, newest=2) == found[-2:]


def test_row_56_refusals_by_reason_sum_up_to_all_that_was_refused() -> None:
    """For one person; a report by product group is not there, nor sums by group in a profile."""
    reasons = {"1": "dear", "2": "late", "3": "dear", "4": ""}
    told: list[Event] = [order(number, NOW_MS, 10) for number in [*reasons, "5"]]
    told += [
        Refusal(**at(NOW_MS + 1_000), order_id=number, reason=reason)
        for number, reason in reasons.items()
    ]
    purchases = folded([*told, *told]).purchases[SHOP]
    by_reason = Counter(one.reason for one in purchases.refusals.values())
    assert by_reason == {"dear": 2, "late": 1, "": 1}
    found = totals(purchases)
    assert by_reason.total() == found.refused_count
    assert (found.order_count, found.net_micros) == (1, 10 * MICROS)


def test_row_63_the_margin_is_known_beside_the_revenue() -> None:
    found = totals(folded([order("1", margin_micros=3 * MICROS)]).purchases[SHOP])
    assert (found.net_micros, found.margin_micros) == (100 * MICROS, 3 * MICROS)


def test_row_64_third_party_data_can_be_left_out_and_the_answer_says_on_what_it_rests() -> None:
    bought_in = [
        TraitTold(
            event_id="1", ids=(NODE,), event_time_ms=NOW_MS + 9_000, source="dataco",
            third_party=True, name=name, value=value, trust=100,
        )
        for name, value in (("car", "suv"), ("city", "Oslo"))
    ]  # fmt: skip
    card = CrmCard(event_id="1", ids=(NODE,), event_time_ms=NOW_MS, city="Rome")
    person = folded([*bought_in, card])
    bold = Advertiser(id=AIR, name="Air", domain="air.example")
    careful = msgspec.structs.replace(bold, third_party_data=False)
    with_it, without = (
        attributes(person, third_party=one.third_party_data) for one in (bold, careful)
    )
    assert (with_it.sources, with_it.rests_on_third_parties) == (("crm", "dataco"), True)
    assert (without.sources, without.rests_on_third_parties) == (("crm",), False)
    assert set(with_it.values) - set(without.values) == {"car"}
    city = with_it.values["city"]
    assert (city.value, city.source, city.trust) == ("Rome", "crm", 90)


def test_row_66_registration_price_watch_survey_and_order_status_are_known() -> None:
    history: list[Event] = [
        Registration(**at(NOW_MS), city="Oslo"), PriceWatch(**at(NOW_MS + 1_000), item="bag"),
        FormAnswers(**at(NOW_MS + 2_000), kind="survey", form="nps", answers={"score": "9"}),
        OrderStatus(**at(NOW_MS + 3_000), order_id="1", stage="shipped"),
    ]  # fmt: skip
    person = folded(history)
    assert [(touch.kind, touch.key) for touch in timeline(person.touches)] == [
        ("registration", "shop/"), ("price_watch", "shop/bag"), ("form_answers", "shop/nps"),
        ("order_status", "shop/1;shipped"),
    ]  # fmt: skip
    assert person.answers == {"shop/nps/score": (NOW_MS // 1000 + 2, "9")}


def test_row_67_a_coupon_is_kept_for_attribution() -> None:
    (touch,) = timeline(folded([CouponUsed(**at(), coupon="8P")]).touches)
    assert (touch.kind, touch.key) == ("coupon_used", "shop/8P")
