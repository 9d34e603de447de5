"""Facets form a commutative monoid, and each event counts once.

The laws are exact inside what a facet keeps: 32 days with an order and 8 order ids an advertiser.
"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import CrmCard, Event, Order, PageView, ProductView, SignIn
from models.facets import (
    KEPT_ITEMS,
    KEPT_SEARCHES,
    KEPT_SIGN_INS,
    Facet,
    Purchases,
    decode_facet,
    encode_facet,
    epoch_day,
    fold_event,
    merge,
)
from models.identifiers import NodeId
from models.identity import decode_watermark
from models.units import DAY_MS, AdvertiserId
from tests.fakes.records import NODES, events, folded, orders

histories = st.lists(events, max_size=12)
AIR = AdvertiserId("air")
DAY_ONE = 20_000 * DAY_MS


def order(order_id: str, time_ms: int, revenue_micros: int = 100, *items: str) -> Order:
    return Order(
        event_id=order_id, ids=(NODES[0],), event_time_ms=time_ms, advertiser=AIR,
        order_id=order_id, revenue_micros=revenue_micros, margin_micros=revenue_micros // 10,
        items=items,
    )  # fmt: skip


def bought(*told: Order) -> Purchases:
    return folded(told).purchases[AIR]


@given(histories, histories)
def test_merging_is_commutative(one: list[Event], other: list[Event]) -> None:
    a, b = folded(one), folded(other)
    assert merge([a, b]) == merge([b, a])


@given(histories, histories, histories)
def test_merging_is_associative(x: list[Event], y: list[Event], z: list[Event]) -> None:
    a, b, c = folded(x), folded(y), folded(z)
    assert merge([merge([a, b]), c]) == merge([a, merge([b, c])])


@given(histories)
def test_nothing_is_the_unit(history: list[Event]) -> None:
    facet = folded(history)
    assert merge([facet]) == merge([Facet(), facet]) == merge([facet, Facet()]) == facet
    assert merge([]) == Facet()


@given(st.lists(histories, max_size=4))
def test_a_profile_does_not_depend_on_the_order_of_its_identifiers(
    many: list[list[Event]],
) -> None:
    facets = [folded(history) for history in many]
    first = encode_facet(merge(facets))
    for permuted in itertools.islice(itertools.permutations(facets), 24):
        assert encode_facet(merge(permuted)) == first


@given(st.lists(orders, max_size=8), st.integers(0, 8))
def test_it_does_not_matter_which_identifier_an_order_came_under(
    told: list[Order], cut: int
) -> None:
    whole, parts = folded(told), merge([folded(told[:cut]), folded(told[cut:])])
    assert parts.purchases == whole.purchases


@given(histories)
def test_the_watermark_rises_with_every_event(history: list[Event]) -> None:
    assert folded(history).watermark == len(history) - 1
    assert merge([folded(history), folded(history)]).watermark == 2 * len(history) - 1


@given(histories)
def test_a_facet_survives_its_encoding(history: list[Event]) -> None:
    facet = folded(history)
    assert decode_facet(encode_facet(facet)) == facet
    assert decode_watermark(encode_facet(facet)) == facet.watermark
    assert decode_watermark(encode_facet(Facet())) == -1


@given(st.lists(orders, min_size=1, max_size=8))
def test_purchases_are_those_of_a_plain_list(told: list[Order]) -> None:
    """Each order id once, at its earliest telling, whatever the order in which it was told."""
    facet = folded(told)
    for advertiser in {one.advertiser for one in told}:
        earliest: dict[str, tuple[int, int, int]] = {}
        for one in told:
            if one.advertiser == advertiser:
                telling = (one.event_time_ms, one.revenue_micros, one.margin_micros)
                earliest[one.order_id] = min(earliest.get(one.order_id, telling), telling)
        purchases = facet.purchases[advertiser]
        days = {time_ms // DAY_MS for time_ms, _, _ in earliest.values()}
        assert purchases.orders == earliest
        assert purchases.order_count == len(earliest)
        assert purchases.revenue_micros == sum(one[1] for one in earliest.values())
        assert purchases.margin_micros == sum(one[2] for one in earliest.values())
        assert purchases.first_order_ms == min(one[0] for one in earliest.values())
        assert purchases.last_order_ms == max(one[0] for one in earliest.values())
        assert purchases.day_count == len(days)
        assert purchases.days.keys() == days
        assert purchases.first_day_revenue_micros == purchases.days[min(days)]
        assert sum(purchases.days.values()) == purchases.revenue_micros


def test_an_order_that_shop_and_crm_tell_differently_counts_once_either_way() -> None:
    shop, crm = order("1", DAY_ONE + 5, 100), order("1", DAY_ONE + DAY_MS, 90)
    one_way = merge([folded([shop]), folded([crm])]).purchases
    assert one_way == merge([folded([crm]), folded([shop])]).purchases
    assert one_way == folded([shop]).purchases
    assert one_way[AIR].day_count == 1


def test_free_orders_told_twice_keep_their_days() -> None:
    free, dear = order("1", DAY_ONE, 0), order("2", DAY_ONE + DAY_MS, 0)
    twice = merge([folded([free, dear]), folded([free, dear])]).purchases[AIR]
    assert (twice.order_count, twice.day_count) == (2, 2)


def test_two_repeated_orders_of_one_day_leave_it_together() -> None:
    late = [order("1", DAY_ONE + DAY_MS, 100), order("2", DAY_ONE + DAY_MS, 0)]
    early = [order("1", DAY_ONE, 100), order("2", DAY_ONE, 0)]
    assert merge([folded(late), folded(early)]).purchases[AIR].days == {20_000: 100}


def test_two_orders_of_one_day_are_one_day_of_the_purchase_process() -> None:
    purchases = bought(
        order("1", DAY_ONE, 100), order("2", DAY_ONE + 5, 50), order("3", 2 * DAY_ONE)
    )
    assert (purchases.order_count, purchases.day_count) == (3, 2)
    assert purchases.first_day_revenue_micros == 150


def test_the_newest_are_kept_where_there_are_many() -> None:
    views: list[Event] = [
        ProductView(
            event_id=str(n), ids=(NODES[0],), event_time_ms=n + 1, advertiser=AIR, item=f"{n:02}"
        )
        for n in range(KEPT_ITEMS + 4)
    ]
    assert list(folded(views).views) == [f"air/{n:02}" for n in range(4, KEPT_ITEMS + 4)]
    assert folded(list(reversed(views))).views == folded(views).views
    assert KEPT_SEARCHES < KEPT_ITEMS


def test_one_order_of_many_items_is_bounded_like_all() -> None:
    assert len(bought(order("1", DAY_ONE, 1, *map(str, range(100)))).items) == KEPT_ITEMS


def test_more_orders_than_are_remembered_still_add_up() -> None:
    many = [order(str(n), DAY_ONE + n * DAY_MS, 10) for n in range(50)]
    purchases = bought(*many)
    assert purchases.order_count == purchases.day_count == 50
    assert purchases.revenue_micros == 500
    assert len(purchases.days) == 32
    assert purchases.first_day_revenue_micros == 10


def test_the_newest_card_stands_whatever_the_order() -> None:
    old, new = (
        CrmCard(event_id=city, ids=(NODES[0],), event_time_ms=time_ms, city=city, tier="gold")
        for city, time_ms in (("Rome", 1), ("Paris", 2))
    )
    for history in ([old, new], [new, old]):
        assert folded(history).city == "Paris"


def test_the_newest_sign_ins_are_kept_whatever_the_order() -> None:
    accounts = [NodeId(f"e{n:022}") for n in range(KEPT_SIGN_INS + 2)]
    signed_in: list[Event] = [
        SignIn(event_id="1", ids=(NODES[0], account), event_time_ms=time_ms + 1, advertiser=AIR)
        for time_ms, account in enumerate(accounts)
    ]
    newest = {account: time_ms + 1 for time_ms, account in enumerate(accounts) if time_ms > 1}
    assert folded(signed_in).sign_ins == folded(signed_in[::-1]).sign_ins == newest


def test_an_unremarkable_event_still_moves_channel_and_watermark() -> None:
    seen = PageView(event_id="1", ids=(NODES[0],), event_time_ms=7, advertiser=AIR, page="/")
    facet = fold_event(Facet(), seen, 41)
    assert (facet.watermark, facet.channels, facet.page_views) == (41, {"web": 7}, 1)


@pytest.mark.parametrize(
    ("date", "day"), [("1970-01-01", 0), ("1970-01-02", 1), ("2026-01-31", 20484)]
)
def test_epoch_days_count_from_1970(date: str, day: int) -> None:
    assert epoch_day(date) == day
