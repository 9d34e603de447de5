"""Orders stand as they were told last, whatever the order of tellings, refunds and refusals."""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import purchases
from models.events import Event, Order, Refund, Refusal
from models.facets import Facet, merge
from models.purchases import (
    KEPT_ADVERTISERS,
    KEPT_BUYS,
    KEPT_ORDERS,
    Purchases,
    ToldOrder,
    ToldRefund,
    ToldRefusal,
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
            order_count=len(latest), refused_count=0,
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


def plain(told: Sequence[Event]) -> tuple[dict[str, Any], ...]:
    """What is kept of orders, refunds and refusals, from a list that forgets nothing."""
    found: dict[type[Event], dict[str, Any]] = {Order: {}, Refund: {}, Refusal: {}}
    for event in told:
        word: Any
        match event:
            case Order(revenue_micros=paid, margin_micros=margin, cabin=cabin, seat=seat):
                word = ToldOrder(event.event_time_ms // SECOND_MS, paid, margin, cabin, seat)
            case Refund(refunded_micros=paid, refunded_margin_micros=margin):
                word = ToldRefund(event.event_time_ms // SECOND_MS, paid, margin)
            case Refusal(items=some, refused_micros=paid, reason=why):
                word = ToldRefusal(event.event_time_ms // SECOND_MS, not some, paid, why)
            case _:
                raise AssertionError(event)
        known = found[type(event)]
        known[event.order_id] = max(word, known.get(event.order_id, word))
    return tuple(
        dict(
            sorted(words.items(), key=lambda entry: (entry[1], entry[0]))[-purchases.KEPT_ORDERS :]
        )
        for words in found.values()
    )


def kept(facet: Facet) -> tuple[dict[str, Any], ...]:
    one = facet.purchases.get(AIR, Purchases())
    return one.orders, one.refunds, one.refusals


def scattered(told: Sequence[Event], data: st.DataObject) -> list[Facet]:
    """The facets of four identifiers, each event being told under one of them, or under two."""
    parts: list[list[Event]] = [[], [], [], []]
    for event in data.draw(st.permutations(told)):
        for place in data.draw(st.sampled_from([(0,), (1,), (2, 0), (3, 1), (2, 3)])):
            parts[place].append(event)
    return [folded(part) for part in parts]


def grouped(facets: list[Facet], data: st.DataObject) -> Facet:
    """The merge of some facets, two at a time and in any grouping."""
    while len(facets) > 1:
        first, second, *rest = data.draw(st.permutations(facets))
        facets = [merge([first, second]), *rest]
    return facets[0]


few_orders = st.integers(1, 9).map(str)
few_times = st.integers(0, 12).map(lambda day: DAY_ONE + day * DAY_MS)
few_amounts = st.integers(0, 3)
some_items = st.sampled_from([(), ("a",)])
deal_with_few = (
    st.builds(order, few_orders, few_times, few_amounts)
    | st.builds(lambda name, at, paid, some: refund(name, at, paid, *some),
                few_orders, few_times, few_amounts, some_items)
    | st.builds(lambda name, at, paid, some: refusal(name, at, paid, *some),
                few_orders, few_times, few_amounts, some_items)
)  # fmt: skip


@given(st.lists(deal_with_few, max_size=30), st.data())
def test_what_outgrows_its_limit_is_the_same_in_any_order_and_grouping_and_told_again(
    told: list[Event], data: st.DataObject
) -> None:
    """With late refunds and refusals of orders that are forgotten, or not told yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(purchases, "KEPT_ORDERS", 3)
        whole = folded(told)
        assert kept(whole) == plain(told)
        parts = scattered(told, data)
        person = grouped(parts, data)
        assert person.purchases == whole.purchases
        assert folded([*told, *data.draw(st.permutations(told))]).purchases == whole.purchases
        assert merge([person, *parts, whole]).purchases == whole.purchases


@given(
    st.lists(st.tuples(deal_with_few, st.sampled_from("abcdef")), min_size=12, max_size=30),
    st.data(),
)
def test_more_advertisers_than_are_kept_are_the_same_in_any_order_and_grouping(
    dealt: list[tuple[Event, str]], data: st.DataObject
) -> None:
    told = [msgspec.structs.replace(one, advertiser=AdvertiserId(name)) for one, name in dealt]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(purchases, "KEPT_ORDERS", 2)
        patch.setattr(purchases, "KEPT_ADVERTISERS", 3)
        whole = folded(told)
        assert len(whole.purchases) <= 3
        assert grouped(scattered(told, data), data).purchases == whole.purchases
        assert folded([*told, *data.draw(st.permutations(told))]).purchases == whole.purchases


def test_with_fewer_advertisers_than_the_limit_nothing_is_forgotten_for_their_number() -> None:
    shops = [AdvertiserId(f"shop-{n}") for n in range(KEPT_ADVERTISERS)]
    told = [
        msgspec.structs.replace(order(str(n), DAY_ONE + n * DAY_MS), advertiser=shop)
        for shop in shops
        for n in (0, 1)
    ]
    found = folded(told[2:]).purchases
    assert [totals(found[shop]).order_count for shop in shops[1:]] == [2] * (KEPT_ADVERTISERS - 1)
    found = folded(told).purchases
    assert [totals(found[shop]).order_count for shop in shops] == [1] * KEPT_ADVERTISERS


@pytest.mark.parametrize("seed", [1, 2])
def test_a_nightly_export_of_more_orders_than_are_kept_counts_each_once(seed: int) -> None:
    """At the real limit, from two sources that tell of them under two identifiers."""
    rng, count = random.Random(seed), KEPT_ORDERS + 40
    told: list[Event] = [order(str(n), DAY_ONE + n * DAY_MS, 10 + n) for n in range(count)]
    late: list[Event] = [
        refusal("0", DAY_ONE + count * DAY_MS), refund("1", DAY_ONE + count * DAY_MS, 7),
        refusal("295", DAY_ONE + count * DAY_MS), refund("294", DAY_ONE + count * DAY_MS, 7),
    ]  # fmt: skip
    nightly = [*told, *late, *told, *late, *told]
    crm, shop = folded(rng.sample(nightly, len(nightly))), folded(nightly)
    whole = folded([*late, *told]).purchases
    assert crm.purchases == shop.purchases == merge([crm, shop]).purchases == whole
    found = totals(whole[AIR])
    assert (found.order_count, found.day_count, found.refused_count) == (255, 255, 2)
    assert (found.first_order_ms, found.first_day_micros) == (DAY_ONE + 40 * DAY_MS, 50)
    assert found.net_micros == sum(10 + n for n in range(40, 295)) - 7


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


def test_a_refund_states_what_was_paid_back_in_all_and_the_newest_word_stands() -> None:
    paid = order("1", DAY_ONE, 100)
    found = numbers(paid, refund("1", DAY_ONE + 1, 30), refund("1", DAY_ONE, 50))
    assert (found.net_micros, found.margin_micros, found.order_count) == (50, 5, 1)
    corrected = numbers(paid, refund("1", DAY_ONE + 5_000, 30), refund("1", DAY_ONE, 50))
    assert corrected.net_micros == 70


def test_a_wholly_refused_order_is_none_and_counts_as_refused() -> None:
    found = numbers(refusal("1", DAY_ONE + 1), order("1", DAY_ONE, 100), order("2", DAY_ONE, 40))
    assert (found.order_count, found.refused_count, found.net_micros) == (1, 1, 40)
    assert numbers(order("1", DAY_ONE), refusal("1", DAY_ONE)).first_order_ms == 0
    assert numbers(refusal("1", DAY_ONE)).refused_count == 1


def test_a_partly_refused_order_stands_for_the_rest() -> None:
    some = bought(order("1", DAY_ONE, 100, "a", "b"), refusal("1", DAY_ONE + 5_000, 40, "a"))
    found = totals(some)
    assert (found.order_count, found.refused_count, found.net_micros) == (1, 0, 60)
    assert some.refusals["1"].reason == "late"
    assert some.returned == {"a": DAY_ONE // 1000 + 5}


def test_a_refund_of_an_order_that_is_not_known_moves_no_money() -> None:
    found = numbers(refund("1", DAY_ONE, 30))
    assert (found.order_count, found.net_micros, found.day_count) == (0, 0, 0)
    assert standing_orders(bought(refund("1", DAY_ONE, 30))) == []


def test_one_order_of_many_items_is_bounded_like_all() -> None:
    assert len(bought(order("1", DAY_ONE, 1, *map(str, range(100)))).items) == KEPT_BUYS


@pytest.mark.parametrize(
    "order_id", ["1", "twelve-chars", "a-very-long-order-id" * 3, "двенадцать"]
)
def test_an_order_is_kept_under_a_short_name(order_id: str) -> None:
    assert len(short_name(order_id).encode()) <= 12
    assert bought(order(order_id, DAY_ONE), order(order_id, DAY_ONE)).orders.keys() == {
        short_name(order_id)
    }


def test_an_order_takes_few_bytes() -> None:
    told = msgspec.msgpack.encode(bought(order("o-12345", DAY_ONE, 49_900_000, "sku-1")))
    assert len(told) < 50
