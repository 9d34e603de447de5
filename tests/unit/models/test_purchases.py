"""Orders stand as they were told last, whatever the order of tellings, refunds and refusals."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import Event, Order, Refund, Refusal
from models.facets import export_facet, merge
from models.purchases import (
    KEPT_BUYS,
    KEPT_ORDERS,
    Purchases,
    Totals,
    short_name,
    standing_orders,
    totals,
)
from models.units import DAY_MS, SECOND_MS, AdvertiserId
from tests.fakes.records import NODES, deals, folded, orders

AIR = AdvertiserId("air")
DAY_ONE = 20_000 * DAY_MS
PARTS = st.integers(0, 2)


def order(order_id: str, time_ms: int, revenue_micros: int = 100, *items: str) -> Order:
    return Order(
        event_id=order_id, ids=(NODES[0],), event_time_ms=time_ms, advertiser=AIR,
        order_id=order_id, revenue_micros=revenue_micros, margin_micros=revenue_micros // 10,
        items=items,
    )  # fmt: skip


def refund(order_id: str, time_ms: int, refunded_micros: int, *items: str) -> Refund:
    return Refund(
        event_id="r", ids=(NODES[0],), event_time_ms=time_ms, advertiser=AIR, order_id=order_id,
        refunded_micros=refunded_micros, refunded_margin_micros=refunded_micros // 10, items=items,
    )  # fmt: skip


def refusal(order_id: str, time_ms: int, refused_micros: int = 0, *items: str) -> Refusal:
    return Refusal(
        event_id="x", ids=(NODES[0],), event_time_ms=time_ms, advertiser=AIR, order_id=order_id,
        reason="late", refused_micros=refused_micros, items=items,
    )  # fmt: skip


def bought(*told: Event) -> Purchases:
    return folded(told).purchases[AIR]


def numbers(*told: Event) -> Totals:
    return totals(bought(*told))


@given(st.lists(orders, min_size=1, max_size=8))
def test_purchases_are_those_of_a_plain_list(told: list[Order]) -> None:
    """Each order id once, at its latest telling, whatever the order in which it was told."""
    facet = folded(told)
    for advertiser in {one.advertiser for one in told}:
        latest: dict[str, tuple[int, int, int, str, str]] = {}
        for one in told:
            if one.advertiser == advertiser:
                telling = (
                    one.event_time_ms // SECOND_MS, one.revenue_micros, one.margin_micros,
                    one.cabin, one.seat,
                )  # fmt: skip
                latest[one.order_id] = max(latest.get(one.order_id, telling), telling)
        found = totals(facet.purchases[advertiser])
        days = [time_s * SECOND_MS // DAY_MS for time_s, *_ in latest.values()]
        first_day = [t[1] for t, day in zip(latest.values(), days, strict=True) if day == min(days)]
        assert found == Totals(
            order_count=len(latest), refused_count=0, refunded_micros=0,
            net_micros=sum(t[1] for t in latest.values()),
            margin_micros=sum(t[2] for t in latest.values()),
            day_count=len(set(days)), first_day_micros=sum(first_day),
            first_order_ms=min(t[0] for t in latest.values()) * SECOND_MS,
            last_order_ms=max(t[0] for t in latest.values()) * SECOND_MS,
        )  # fmt: skip


@given(st.lists(deals, max_size=12), st.data())
def test_refunds_and_refusals_may_come_before_their_order_and_elsewhere(
    told: list[Event], data: st.DataObject
) -> None:
    parts: list[list[Event]] = [[], [], []]
    for event in data.draw(st.permutations(told)):
        parts[data.draw(PARTS)].append(event)
    assert merge(map(folded, parts)).purchases == folded(told).purchases


@given(st.data())
def test_more_orders_than_stand_by_id_still_add_up_in_any_order(data: st.DataObject) -> None:
    """Exact where each is told once: the sums of the older ones need no order either."""
    count = KEPT_ORDERS + 8
    told = [order(str(n), DAY_ONE + n * DAY_MS, 10 + n) for n in range(count)]
    parts: list[list[Event]] = [[], [], []]
    for event in data.draw(st.permutations(told)):
        parts[data.draw(PARTS)].append(event)
    whole, person = folded(told), merge(map(folded, parts))
    assert export_facet(person) == export_facet(whole)
    found = totals(person.purchases[AIR])
    assert (found.order_count, found.day_count) == (count, count)
    assert found.net_micros == sum(10 + n for n in range(count))
    assert (found.first_order_ms, found.first_day_micros) == (DAY_ONE, 10)
    assert found.last_order_ms == DAY_ONE + (count - 1) * DAY_MS
    assert len(person.purchases[AIR].orders) == KEPT_ORDERS


def test_an_order_that_shop_and_crm_tell_differently_counts_once_at_the_later_word() -> None:
    shop, crm = order("1", DAY_ONE + 5_000, 100), order("1", DAY_ONE + DAY_MS, 90)
    one_way = merge([folded([shop]), folded([crm])]).purchases
    assert one_way == merge([folded([crm]), folded([shop])]).purchases
    assert one_way == folded([crm]).purchases


def test_two_orders_of_one_day_are_one_day_of_the_purchase_process() -> None:
    found = numbers(
        order("1", DAY_ONE, 100), order("2", DAY_ONE + 5_000, 50), order("3", 2 * DAY_ONE)
    )
    assert (found.order_count, found.day_count, found.first_day_micros) == (3, 2, 150)


def test_a_refund_states_what_was_paid_back_in_all() -> None:
    found = numbers(
        order("1", DAY_ONE, 100), refund("1", DAY_ONE + 1, 30), refund("1", DAY_ONE, 50)
    )
    assert (found.net_micros, found.margin_micros, found.refunded_micros) == (50, 5, 50)
    assert found.order_count == 1


def test_a_wholly_refused_order_is_none_and_counts_as_refused() -> None:
    found = numbers(refusal("1", DAY_ONE + 1), order("1", DAY_ONE, 100), order("2", DAY_ONE, 40))
    assert (found.order_count, found.refused_count, found.net_micros) == (1, 1, 40)
    assert numbers(order("1", DAY_ONE), refusal("1", DAY_ONE)).first_order_ms == 0


def test_a_partly_refused_order_stands_for_the_rest() -> None:
    purchases = bought(order("1", DAY_ONE, 100, "a", "b"), refusal("1", DAY_ONE + 5_000, 40, "a"))
    found = totals(purchases)
    assert (found.order_count, found.refused_count, found.net_micros) == (1, 0, 60)
    assert purchases.orders["1"].reason == "late"
    assert purchases.returned == {"a": DAY_ONE // 1000 + 5}


def test_a_refund_alone_is_no_order() -> None:
    found = numbers(refund("1", DAY_ONE, 30))
    assert (found.order_count, found.net_micros, found.day_count) == (0, -30, 0)
    assert standing_orders(bought(refund("1", DAY_ONE, 30))) == []


def test_one_order_of_many_items_is_bounded_like_all() -> None:
    assert len(bought(order("1", DAY_ONE, 1, *map(str, range(100)))).items) == KEPT_BUYS


@pytest.mark.parametrize("order_id", ["1", "twelve-chars", "a-very-long-order-id" * 3])
def test_an_order_is_kept_under_a_short_name(order_id: str) -> None:
    assert len(short_name(order_id)) <= 12
    assert bought(order(order_id, DAY_ONE), order(order_id, DAY_ONE)).orders.keys() == {
        short_name(order_id)
    }


def test_an_order_takes_few_bytes() -> None:
    told = msgspec.msgpack.encode(bought(order("o-12345", DAY_ONE, 49_900_000, "sku-1")))
    assert len(told) < 70
