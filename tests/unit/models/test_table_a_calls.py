"""The abilities of call tracking that others name, by the row of the table of features.

Each test goes the whole way of its row: events in, person, bid or report out.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bidder.bids import Fate, Loss
from models.call_report import attributed, conversions_by, cost_per_conversion_micros
from models.call_tags import (
    conversions_of,
    open_callbacks,
    overdue_callbacks,
    tags_of,
)
from models.calls import CallHistory, ToldCall
from models.catalog_records import CallTag
from models.events import (
    Billing,
    Call,
    Contact,
    Event,
    FlightSearch,
    NumberLease,
    Order,
    OrderStatus,
    PageView,
    SignIn,
)
from models.evidence import Limits, pair_of
from models.facets import Facet
from models.identifiers import Namespace, NodeId, Pepper
from models.interests import contacts, deal_stage
from models.keys import Keys
from models.profile import Person, header_of
from models.purchases import totals
from models.touches import timeline
from models.units import HOUR_MS, MICROS, CampaignId, CreativeId, ExchangeId
from models.visits import visit_count
from streams.stages.calls import measure_lines
from tests.fakes.headers import showing
from tests.fakes.installation import Installation
from tests.fakes.memory_store import MemoryStore, run
from tests.fakes.phone_calls import (
    AIR,
    DEPARTMENTS,
    MINUTE_MS,
    START_MS,
    TAGS,
    a_call,
    a_lease,
    a_told_call,
    at_ms,
    cookie,
    phone,
)
from tests.unit.bidder.support import (
    BRAND,
    NODE,
    NOW_MS,
    SEATS,
    catalog,
    decision_of,
    searched,
    the_bid,
)

KEYS = Keys("o")
CRM_1, CRM_2 = NodeId("c" + "x" * 22), NodeId("c" + "y" * 22)


def signed_in(*ids: NodeId) -> SignIn:
    return SignIn(event_id="s", ids=ids, event_time_ms=START_MS, advertiser=AIR)


def an_order(order_id: str, minute: float, buyer: str = "a", **more: object) -> Order:
    """Paid in the shop, under the buyer's phone number."""
    fields = {"revenue_micros": 100 * MICROS, "margin_micros": 0, "channel": "shop"} | more
    return Order(
        event_id=order_id, ids=(phone(buyer),), event_time_ms=at_ms(minute), advertiser=AIR,
        order_id=order_id,
        **fields,  # type: ignore[arg-type]  # the test's own fields
    )  # fmt: skip


def a_billing(nonce: str, minute: float, session: str = "a", cpm: int = 3) -> Billing:
    return Billing(
        node=cookie(session), nonce=nonce, campaign=CampaignId("air-seats"),
        creative=CreativeId("c"), exchange=ExchangeId("north"), personal=True,
        clearing_cpm_micros=cpm * MICROS, notice_time_ms=at_ms(minute),
    )  # fmt: skip


def common(minute: float, node: NodeId) -> dict[str, Any]:
    return {
        "event_id": "e", "ids": (node,), "event_time_ms": at_ms(minute), "advertiser": AIR,
    }  # fmt: skip


def history_of(*events: Call | NumberLease) -> CallHistory:
    """The call history of the one person who did all this."""
    here = Installation()
    here.tell(*events)
    return here.facet(events[0].ids[0]).phone


def conversions(calls: Sequence[ToldCall], tags: dict[str, CallTag] = TAGS) -> int:
    return len(conversions_of(calls, tags, DEPARTMENTS))


def worth(sale_micros: int, calls: Sequence[ToldCall]) -> int:
    """What these calls of one person are worth."""
    return sum(one.value_micros(sale_micros) for one in conversions_of(calls, TAGS, DEPARTMENTS))


def bids_on_seats(
    calls: Sequence[ToldCall], shift_ms: int = 0, campaign: CampaignId = SEATS
) -> Loss | None:
    """What becomes of an ad, a personal one, for somebody with these calls; None: it is bid."""
    moved = tuple(
        msgspec.structs.replace(call, time_ms=call.time_ms - START_MS + NOW_MS - shift_ms)
        for call in calls
    )
    who = Person(NODE, NODE, showing(searches=(searched(),), calls=moved))
    fates: list[Fate] = []
    decision_of(None, who, catalog(*TAGS.values()), fates=fates)
    lost = [fate.lost.reason for fate in fates if fate.campaign == campaign]
    return lost[0] if lost else None


def test_row_21_a_missed_call_back_is_reported_after_n_hours_and_ads_pause_meanwhile() -> None:
    here = Installation()
    here.tell(a_call("lost", 0, missed=True, missed_reason="lines_full"))
    calls = here.facet(phone("a")).phone.calls
    persons = [("root", calls)]

    def overdue(age_ms: int) -> list[str]:
        found = overdue_callbacks(persons, TAGS, DEPARTMENTS, hours=2, now_ms=START_MS + age_ms)
        return [owed.call_id for _, owed in found]

    assert overdue(2 * HOUR_MS) == []
    assert overdue(2 * HOUR_MS + 1) == ["lost"]
    assert bids_on_seats(calls, shift_ms=3 * HOUR_MS) is Loss.CALL_PAUSE
    here.tell(a_call("we called", 200, is_outbound=True))
    persons = [("root", here.facet(phone("a")).phone.calls)]
    assert overdue(9 * HOUR_MS) == []


def test_row_45_impressions_visits_calls_and_orders_of_persons_sum_up_to_the_logs() -> None:
    """Two visitors who then call and buy under their phone; every record comes twice."""
    here = Installation()
    billed = [a_billing(f"{n}", 10 * n, session="ab"[n % 2], cpm=n) for n in range(5)]
    log: list[Event] = []
    for who, start in (("a", 0), ("b", 200)):
        log += [
            PageView(**common(start, cookie(who)), page="/"),
            a_lease(f"lease {who}", start + 1, start + 30, who),
            a_call(f"call {who}", start + 5, who),
            an_order(f"order {who}", start + 90, who),
        ]
    log.append(an_order("order c", 500, "b", revenue_micros=7 * MICROS))
    for _ in range(2):
        here.bill(*billed)
        here.tell(*log)

    persons = [here.facet(cookie(who)) for who in "ab"]
    bought = [totals(person.purchases[AIR]) for person in persons]
    ledgers = [here.ledger(cookie(who)) for who in "ab"]
    assert sum(one.spend_micros for one in ledgers) == (0 + 1 + 2 + 3 + 4) * MICROS // 1000
    assert sum(one.billed_count for one in ledgers) == 5
    assert sum(visit_count(one.half_hours) for one in persons) == 2
    assert sum(len(one.phone.calls) for one in persons) == 2
    assert sum(one.order_count for one in bought) == 3
    assert sum(one.net_micros for one in bought) == 207 * MICROS
    assert [touch.kind for touch in timeline(persons[0].touches)] == [
        "page_view", "number_lease", "call", "order",
    ]  # fmt: skip


def test_row_46_a_call_back_is_due_until_we_called_and_an_sms_about_it_is_known() -> None:
    """Asked for by phone, known in the browser: whoever picks the next channel finds both.

    Nothing picks it yet: one channel for each trigger, a bid only if it is chosen, is not shown.
    """
    here = Installation()
    here.tell(a_lease("l", 0, 30, "a"), a_call("asked", 10, caller="a", tag="call_back"))
    calls = header_of(here.facet(cookie("a")), ()).calls
    (due,) = open_callbacks(calls, TAGS, DEPARTMENTS)
    assert (due.call_id, due.since_ms) == ("asked", at_ms(10))
    assert bids_on_seats(calls, shift_ms=10 * MINUTE_MS) is Loss.CALL_PAUSE
    here.tell(Contact(**common(11, phone("a")), channel="sms", action="sent", topic="call_back"))
    (sent,) = contacts(here.facet(cookie("a")))
    assert (sent.channel, sent.action, sent.latest_ms) == ("sms", "sent", at_ms(11))
    assert open_callbacks(here.facet(cookie("a")).phone.calls, TAGS, DEPARTMENTS) == [due]
    here.tell(a_call("we called", 200, is_outbound=True))
    assert open_callbacks(here.facet(cookie("a")).phone.calls, TAGS, DEPARTMENTS) == []


def test_row_47_a_call_joins_the_session_that_saw_the_number() -> None:
    here = Installation()
    here.tell(a_lease("l", 0, 30, "a"), a_call("c", 10, caller="a"))
    assert here.are_one(phone("a"), cookie("a"))


def test_row_47_leases_that_overlap_join_nobody() -> None:
    here = Installation()
    here.tell(a_lease("l", 0, 30, "a"), a_lease("m", 5, 30, "b"), a_call("c", 10, caller="a"))
    assert not here.are_one(phone("a"), cookie("a"))
    assert not here.are_one(phone("a"), cookie("b"))


def test_row_47_a_late_call_joins_the_lease_that_ended_not_long_ago() -> None:
    here = Installation()
    here.tell(a_call("c", 40, caller="a"), a_lease("l", 0, 30, "a"))
    assert here.are_one(phone("a"), cookie("a"))
    here.tell(a_call("much later", 300, caller="b"))
    assert not here.are_one(phone("b"), cookie("a"))


def test_row_47_a_reused_number_joins_its_newest_lease() -> None:
    here = Installation()
    linked = here.tell(
        a_lease("l", 0, 10, "a"), a_lease("m", 12, 40, "b"), a_call("c", 20, caller="a")
    )
    assert here.are_one(phone("a"), cookie("b"))
    assert not here.are_one(phone("a"), cookie("a"))
    assert [one.soft.confidence for one in linked] == [0.7]


def test_row_47_an_ip_address_alone_never_links() -> None:
    """There is no identifier that an address could become, so no event can name one."""
    assert not {space for space in Namespace if "IP" in space.name.split("_")}
    here = Installation()
    here.tell(a_call("c", caller="a"), a_lease("l", 300, 330, "a"))
    assert not here.are_one(phone("a"), cookie("a"))


def test_row_48_a_phone_number_is_one_identifier_however_it_is_written() -> None:
    pepper = Pepper("a pepper for tests", phone_region="RU")
    spellings = ["8 912 345-67-89", "+7 912 345-67-89", "+7(912)3456789", "+79123456789"]
    nodes = {pepper.node(Namespace.PHONE, text) for text in spellings}
    assert len(nodes) == 1
    (node,) = nodes
    assert node is not None
    here = Installation()
    here.tell(msgspec.structs.replace(a_call("c"), ids=(node,)), signed_in(cookie("a"), node))
    assert [call.call_id for call in here.facet(cookie("a")).phone.calls] == ["c"]


def test_row_49_calls_are_split_by_campaign_keyword_and_hour_and_lower_the_cost() -> None:
    told = history_of(
        a_lease("paid", 0, 30, campaign="spring", keyword="cheap flights"), a_call("c", 10),
        a_lease("free", 100, 130), a_call("d", 110), a_call("e", 400, called_number=""),
    )  # fmt: skip
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "campaign") == {
        "spring": 1, "free": 1, "unjoined": 1,
    }  # fmt: skip
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "keyword")["cheap flights"] == 1
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "hour") == {
        "00": 1,
        "01": 1,
        "06": 1,
    }
    spend = 30 * MICROS
    without = cost_per_conversion_micros(spend, 2, 0)
    counted = cost_per_conversion_micros(spend, 2, 3)
    assert (without, counted) == (15 * MICROS, 6 * MICROS)
    assert cost_per_conversion_micros(spend, 0, 0) is None


def test_row_50_call_conversions_are_split_by_the_sessions_device() -> None:
    told = history_of(
        a_lease("l", 0, 30, device_type="phone"), a_call("c", 10), a_call("d", 12),
        a_lease("m", 200, 230, device_type="desktop"), a_call("e", 210),
    )  # fmt: skip
    assert conversions_by(attributed(told, TAGS, DEPARTMENTS), "device_type") == {
        "phone": 2,
        "desktop": 1,
    }


def test_row_51_every_touch_up_to_the_payment_in_the_shop_is_on_one_persons_path() -> None:
    """The path is known; which share of the sale each touch has is not worked out yet."""
    path: list[Event] = [
        FlightSearch(
            **common(0, cookie("a")), origin="JFK", destination="LAX", depart_date="2026-12-24"
        ),
        a_lease("l", 1, 30, "a"),
        a_call("c", 5, caller="a"),
        Contact(**common(60, phone("a")), channel="sms", action="clicked"),
        an_order("o", 90),
        OrderStatus(**common(91, phone("a")), channel="shop", order_id="o", stage="paid"),
    ]
    for told in (path, path[::-1]):
        here = Installation()
        here.tell(*told)
        person = here.facet(cookie("a"))
        assert [(touch.channel, touch.kind) for touch in timeline(person.touches)] == [
            ("web", "flight_search"), ("web", "number_lease"), ("call", "call"),
            ("sms", "contact"), ("shop", "order"), ("shop", "order_status"),
        ]  # fmt: skip
        deal = deal_stage(person, AIR)
        assert deal is not None
        assert (deal.order, deal.stage, deal.reached_ms) == ("o", "paid", at_ms(91))


@pytest.mark.parametrize(("score", "value"), [(0, 0), (50, 5 * MICROS), (100, 10 * MICROS)])
def test_row_52_the_operators_score_weighs_the_calls_value(score: int, value: int) -> None:
    told = history_of(a_call("c"), a_call("c", score=score, told_ms=at_ms(60)))
    assert worth(10 * MICROS, told.calls) == value


def test_row_53_a_burst_of_busy_lines_lowers_bids_until_calls_get_through() -> None:
    """From the telephony's calls to the price of the ad that is to make people call."""
    store, what = MemoryStore(), catalog()
    what.apply(msgspec.structs.replace(what.campaigns[SEATS], call_driven=True))
    looker = Person(NODE, NODE, showing(searches=(searched(),)))

    def price(who: Person = looker) -> int:
        return the_bid(decision_of(None, who, what)).bid_cpm_micros

    def after(minutes_ago: int, name: str, **more: object) -> int:
        """The price after a dozen calls more."""
        minute = (NOW_MS - START_MS) / MINUTE_MS - minutes_ago
        calls = [a_call(f"{name}{n}", minute, "abcd"[n % 4], **more) for n in range(12)]
        state = run(store, measure_lines(KEYS, AIR, calls, now_ms=NOW_MS))
        if state is not None:
            what.apply(state)
        return price()

    calm, stranger = after(5, "calm"), price(Person())
    busy = after(2, "busy", missed=True, missed_reason="lines_full")
    better = after(1, "better")
    assert busy < 0.8 * calm
    assert busy < better < calm
    assert price(Person()) == stranger  # that ad asks nobody to call


def test_row_54_call_back_pauses_ads_and_full_lines_set_it_by_themselves() -> None:
    for call in (
        a_told_call("tagged", tag="call_back"), a_told_call("lost", missed_reason="lines_full"),
        a_told_call("lost again", missed_reason="lines_full", tag="repeat"),
    ):  # fmt: skip
        assert len(open_callbacks([call], TAGS, DEPARTMENTS)) == 1
        for campaign in (SEATS, BRAND):
            assert bids_on_seats([call], campaign=campaign) is Loss.CALL_PAUSE
        assert bids_on_seats([call], shift_ms=24 * HOUR_MS) is None
        assert conversions([call]) == 0
    assert bids_on_seats([a_told_call("busy", missed_reason="no_answer")]) is None


def test_row_54_not_a_customer_is_no_conversion_and_no_value_and_pauses_nothing() -> None:
    call = a_told_call(tag="not_a_customer", score=90)
    assert conversions([call]) == 0
    assert worth(MICROS, [call]) == 0
    assert bids_on_seats([call]) is None


def test_row_54_a_repeat_is_counted_once_and_links_the_two_phones() -> None:
    here = Installation()
    linked = here.tell(
        a_call("first", 0, caller="a"),
        a_call("again", 60, caller="b", tag="repeat", repeat_of=phone("a")),
    )
    assert [one.soft.kind for one in linked] == ["repeat_call"]
    assert here.are_one(phone("a"), phone("b"))
    calls = here.facet(phone("b")).phone.calls
    assert len(calls) == 2
    assert conversions(calls) == 1
    assert bids_on_seats(calls) is None


def test_row_54_a_repeat_counts_where_no_call_before_it_did() -> None:
    """Once for each person, whichever of their calls was heard and led to sales."""
    lost = a_told_call("first", 0, missed_reason="lines_full")
    served = a_told_call("first", 0, department="service")
    again = a_told_call("again", 30, tag="repeat", score=40)
    and_again = a_told_call("and again", 60, tag="repeat")
    for first in (lost, served):
        assert conversions([first, again, and_again]) == 1
        assert worth(10 * MICROS, [and_again, again, first]) == 4 * MICROS
    heard = a_told_call("first", 0, score=90)
    assert worth(10 * MICROS, [heard, again]) == 9 * MICROS
    elsewhere = a_told_call("first", 0, advertiser="shop")
    assert conversions([elsewhere, again]) == 2


@pytest.mark.parametrize(
    "owed",
    [
        a_call("owed", tag="call_back"),
        a_call("owed", missed=True, missed_reason="lines_full"),
        a_call("owed", missed=True, missed_reason="no_answer", tag="call_back"),
    ],
    ids=["promised", "lines full", "tagged by hand"],
)
def test_row_21_a_call_back_is_due_however_many_calls_nobody_takes(owed: Call) -> None:
    in_vain = [
        a_call(f"try{n}", 1 + n, is_outbound=True, tag="not_reached", missed=True)
        for n in range(20)
    ]
    in_vain += [
        a_call(f"call{n}", 30 + n, missed=True, missed_reason="no_answer") for n in range(20)
    ]
    told = history_of(owed, *in_vain)
    assert [one.call_id for one in open_callbacks(told.known_calls, TAGS, DEPARTMENTS)] == ["owed"]
    assert bids_on_seats(header_of(Facet(phone=told), ()).calls) is Loss.CALL_PAUSE
    done = history_of(owed, a_call("we called", 1, is_outbound=True), *in_vain)
    assert open_callbacks(done.known_calls, TAGS, DEPARTMENTS) == []


def test_row_54_more_tags_are_configuration() -> None:
    tags = TAGS | {"vip": CallTag(id="vip", pauses_ads_hours=2)}
    call = a_told_call(tag="vip")
    assert conversions([call]) == 0  # as long as nobody has said what it means
    assert conversions([call], tags) == 1
    assert tags_of(call, tags) == [tags["vip"]]


def test_row_55_qualified_calls_are_conversions_beside_orders() -> None:
    """What a conversion costs falls when calls count; no optimiser turns that into bids yet."""
    here = Installation()
    here.bill(a_billing("1", 0), a_billing("2", 1))
    here.tell(
        a_lease("l", 2, 30, "a"), a_call("good", 5), a_call("no", 6, tag="not_a_customer"),
        a_call("to service", 7, department="service"), an_order("o", 90),
    )  # fmt: skip
    person, spend = here.facet(cookie("a")), here.ledger(cookie("a")).spend_micros
    orders = totals(person.purchases[AIR]).order_count
    calls = conversions(person.phone.calls)
    assert (orders, calls) == (1, 1)
    assert cost_per_conversion_micros(spend, orders, 0) == 6 * MICROS // 1000
    assert cost_per_conversion_micros(spend, orders, calls) == 3 * MICROS // 1000
    everyone = TAGS | {"not_a_customer": CallTag(id="not_a_customer")}
    more = conversions(person.phone.calls, everyone)
    assert cost_per_conversion_micros(spend, orders, more) == 2 * MICROS // 1000


@pytest.mark.parametrize(("min_confidence", "is_linked"), [(50, False), (45, True)])
def test_row_59_the_form_names_another_phone_than_the_caller(
    min_confidence: int, *, is_linked: bool
) -> None:
    """By the session: the form's phone is the cookie's, the caller dialled the session's number.

    Half the confidence is left, which is a link if somebody wants it; else it waits for approval.
    """
    here = Installation(limits=Limits(min_confidence=min_confidence))
    form = signed_in(cookie("a"), phone("f"))
    *_, made = here.tell(form, a_lease("l", 0, 30, "a"), a_call("c", 10, caller="a"))
    assert made.made.resettled is not None
    refused = {} if is_linked else {pair_of(cookie("a"), phone("a")): "other_phone"}
    assert made.made.resettled.plan.refused == refused
    assert here.are_one(phone("f"), cookie("a"))
    assert here.are_one(phone("a"), cookie("a")) is is_linked


def test_row_59_the_deal_names_another_phone_than_the_caller() -> None:
    here = Installation()
    (linked,) = here.tell(a_call("c", 10, caller="a", form_phone=phone("f")))
    assert linked.soft.kind == "form_phone"
    assert 0 < linked.soft.confidence < 1
    assert here.are_one(phone("a"), phone("f"))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_row_59_a_family_line_does_not_fuse_people(order: tuple[int, ...]) -> None:
    """Two customers of the CRM call from one line and name each other's phones."""
    here = Installation()
    told: list[Event] = [
        signed_in(phone("a"), CRM_1),
        signed_in(phone("b"), CRM_2),
        a_call("c", 10, caller="a", form_phone=phone("b")),
    ]
    here.tell(*(told[place] for place in order))
    assert not here.are_one(CRM_1, CRM_2)


def test_row_60_calls_to_service_are_never_sales() -> None:
    told = history_of(
        a_call("to sales", 0, department="sales"), a_call("to service", 5, department="service"),
        a_call("to nobody", 9, department="corporate"),
    )  # fmt: skip
    calls = told.calls
    assert len(calls) == 3
    assert conversions(calls) == 1
    spend = 10 * MICROS
    assert cost_per_conversion_micros(spend, 1, conversions(calls)) == 5 * MICROS


def test_row_60_a_call_to_service_is_not_the_call_back_that_sales_owes() -> None:
    lost = a_call("lost", 0, missed=True, missed_reason="lines_full")
    told = history_of(lost, a_call("to service", 60, department="service"))
    assert [one.call_id for one in open_callbacks(told.calls, TAGS, DEPARTMENTS)] == ["lost"]
    assert bids_on_seats(told.calls) is Loss.CALL_PAUSE
