"""Orders stand as they were told last, whatever the order of tellings, refunds and refusals."""

import itertools
import random
from collections import ChainMap, defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import purchases
from models.buying import past_trips, refusal_rate
from models.events import Event, Order, Refund, Refusal
from models.facets import Facet, merge
from models.purchases import (
    KEPT_BUYS,
    KEPT_IN_ALL,
    KEPT_ORDERS,
    Purchases,
    ToldOrder,
    ToldRefund,
    ToldRefusal,
    Totals,
    owned_items,
    short_name,
    standing_orders,
    totals,
)
from models.units import DAY_MS, SECOND_MS, AdvertiserId
from tests.fakes.records import NODES, deals, folded, orders

AIR = AdvertiserId("air")
DAY_ONE = 20_000 * DAY_MS
PARTS = st.integers(0, 2)


def order(
    order_id: str, time_ms: int, revenue_micros: int = 100, *items: str, told_ms: int = 0
) -> Order:
    return Order(
        event_id=order_id, ids=(NODES[0],), event_time_ms=time_ms, told_ms=told_ms, advertiser=AIR,
        order_id=order_id, revenue_micros=revenue_micros, margin_micros=revenue_micros // 10,
        items=items, groups=items,
    )  # fmt: skip


def refund(
    order_id: str, time_ms: int, refunded_micros: int, *items: str, told_ms: int = 0
) -> Refund:
    return Refund(
        event_id="r", ids=(NODES[0],), event_time_ms=time_ms, told_ms=told_ms, advertiser=AIR,
        order_id=order_id, refunded_micros=refunded_micros,
        refunded_margin_micros=refunded_micros // 10, items=items,
    )  # fmt: skip


def refusal(
    order_id: str, time_ms: int, refused_micros: int = 0, *items: str, told_ms: int = 0
) -> Refusal:
    return Refusal(
        event_id="x", ids=(NODES[0],), event_time_ms=time_ms, told_ms=told_ms, advertiser=AIR,
        order_id=order_id, reason="late", refused_micros=refused_micros, items=items,
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
        latest: dict[str, tuple[int, int, int, int, str, str]] = {}
        for one in told:
            if one.advertiser == advertiser:
                ordered_s = one.event_time_ms // SECOND_MS
                told_s = one.told_ms // SECOND_MS or ordered_s
                telling = (
                    told_s,
                    ordered_s,
                    one.revenue_micros,
                    one.margin_micros,
                    one.cabin,
                    one.seat,
                )
                latest[one.order_id] = max(latest.get(one.order_id, telling), telling)
        found = totals(facet.purchases[advertiser])
        days = [ordered_s * SECOND_MS // DAY_MS for _, ordered_s, *_ in latest.values()]
        first_day = [t[2] for t, day in zip(latest.values(), days, strict=True) if day == min(days)]
        assert found == Totals(
            order_count=len(latest), refused_count=0,
            net_micros=sum(t[2] for t in latest.values()),
            margin_micros=sum(t[3] for t in latest.values()),
            day_count=len(set(days)), first_day_micros=sum(first_day),
            first_order_ms=min(t[1] for t in latest.values()) * SECOND_MS,
            last_order_ms=max(t[1] for t in latest.values()) * SECOND_MS,
        )  # fmt: skip


@given(st.lists(deals, max_size=12), st.data())
def test_refunds_and_refusals_may_come_before_their_order_and_elsewhere(
    told: list[Event], data: st.DataObject
) -> None:
    parts: list[list[Event]] = [[], [], []]
    for event in data.draw(st.permutations(told)):
        parts[data.draw(PARTS)].append(event)
    assert merge(map(folded, parts)).purchases == folded(told).purchases


FIELDS = Purchases.__struct_fields__
Words = dict[tuple[str, str], Any]
"""Advertiser and key to the newest word."""


def words_of(told: Sequence[Event]) -> dict[str, Words]:
    """Everything that was said, by field of what is kept."""
    found: dict[str, Words] = {field: {} for field in FIELDS}

    def hear(field: str, event: Order | Refund | Refusal, key: str, word: Any) -> None:  # noqa: ANN401
        known = found[field]
        known[event.advertiser, key] = max(word, known.get((event.advertiser, key), word))

    for event in told:
        assert isinstance(event, Order | Refund | Refusal)
        name, at_s = event.order_id, event.event_time_ms // SECOND_MS
        told_s = event.told_ms // SECOND_MS if event.told_ms else at_s
        match event:
            case Order(revenue_micros=paid, margin_micros=margin, cabin=cabin, seat=seat):
                word = ToldOrder(told_s, at_s - told_s, paid, margin, cabin, seat)
                hear("orders", event, name, word)
                for group in event.groups:
                    hear("groups", event, group, at_s)
            case Refund(refunded_micros=paid, refunded_margin_micros=margin):
                hear("refunds", event, name, ToldRefund(told_s, paid, margin))
            case Refusal(items=some, refused_micros=paid, reason=why):
                hear("refusals", event, name, ToldRefusal(told_s, not some, paid, why))
        for item in event.items:
            field = "items" if isinstance(event, Order) else "returned"
            hear(field, event, f"{name}\n{item}", at_s)
    return found


def newest(words: Words, kept: int) -> Words:
    by_age = sorted(words.items(), key=lambda entry: (entry[1], entry[0][1], entry[0][0]))
    return dict(by_age[-kept:])


def plain(told: Sequence[Event], limits: Sequence[int]) -> dict[str, Purchases]:
    """What is kept, from a list that forgets nothing.

    Args:
        told: the list.
        limits: of each field with one advertiser; over all, ``purchases.KEPT_IN_ALL``.
    """
    kept: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(
        lambda: {field: {} for field in FIELDS}
    )
    for (field, words), limit, in_all in zip(
        words_of(told).items(), limits, purchases.KEPT_IN_ALL, strict=True
    ):
        shops = {shop for shop, _ in words}
        of_each = [
            newest({name: word for name, word in words.items() if name[0] == shop}, limit)
            for shop in sorted(shops)
        ]
        for (shop, key), word in newest(dict(ChainMap(*of_each)), in_all).items():
            kept[shop][field][key] = word
    return {shop: Purchases(**fields) for shop, fields in kept.items()}


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
few_tellings = st.just(0) | few_times
few_amounts = st.integers(0, 3)
some_items = st.lists(st.sampled_from("abcd"), max_size=3)


def deal_with_few(shops: str) -> st.SearchStrategy[Event]:
    """Orders and what becomes of them, with one-letter advertisers."""
    kinds = st.sampled_from([order, refund, refusal])
    deals = st.builds(
        lambda make, name, at, paid, some, told_ms: make(name, at, paid, *some, told_ms=told_ms),
        kinds, few_orders, few_times, few_amounts, some_items, few_tellings,
    )  # fmt: skip
    return st.builds(
        lambda deal, shop: msgspec.structs.replace(deal, advertiser=AdvertiserId(shop)),
        deals, st.sampled_from(shops),
    )  # fmt: skip


@pytest.mark.parametrize("shops", ["a", "ab", "abcdef"])
@given(st.data())
def test_what_outgrows_its_limits_is_the_same_in_any_order_and_grouping_and_told_again(
    shops: str, data: st.DataObject
) -> None:
    """With late refunds and refusals of orders that are forgotten, or not told yet."""
    told = data.draw(st.lists(deal_with_few(shops), max_size=30))
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in {
            "KEPT_ORDERS": 3, "KEPT_BUYS": 3, "KEPT_GROUPS": 1, "FEW_ADVERTISERS": 2,
            "KEPT_IN_ALL": (5, 6, 2, 6, 3, 3),
        }.items():  # fmt: skip
            patch.setattr(purchases, name, limit)
        whole = folded(told)
        assert whole.purchases == plain(told, (3, 3, 1, 3, 3, 3))
        parts = scattered(told, data)
        person = grouped(parts, data)
        assert person.purchases == whole.purchases
        assert folded([*told, *data.draw(st.permutations(told))]).purchases == whole.purchases
        assert merge([person, *parts, whole]).purchases == whole.purchases


def brands_of(count: int, each: int) -> list[Event]:
    """Some orders with each of many brands, the first of them years before the last."""
    return [
        msgspec.structs.replace(
            order(str(n), DAY_ONE + (brand * each + n) * DAY_MS, 100, "bag"),
            advertiser=AdvertiserId(f"brand-{brand}"),
        )
        for brand in range(count)
        for n in range(each)
    ]


def test_a_further_brand_takes_no_history_from_the_others() -> None:
    found = folded(brands_of(24, 30)).purchases
    assert [totals(found[f"brand-{n}"]).order_count for n in range(24)] == [30] * 24


def test_of_more_orders_than_are_kept_in_all_the_oldest_are_forgotten() -> None:
    most, _, _, _, _, _ = KEPT_IN_ALL
    found = folded(brands_of(10, 100)).purchases
    counts = [len(found[name].orders) for name in sorted(found)]
    assert [count for count in counts if count] == [most % 100] + [100] * (most // 100)
    assert len(folded(brands_of(1, 300)).purchases["brand-0"].orders) == KEPT_ORDERS


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


def test_an_order_that_is_told_again_stands_corrected_on_its_own_day() -> None:
    """However its tellings come, and with others at the same time."""
    first, right = order("1", DAY_ONE, 100), order("1", DAY_ONE, 90, told_ms=DAY_ONE + 20 * DAY_MS)
    wrong = order("1", DAY_ONE, 120, told_ms=DAY_ONE + DAY_MS)
    for told in itertools.permutations([first, right, wrong]):
        found = numbers(*told)
        assert (found.order_count, found.net_micros, found.margin_micros) == (1, 90, 9)
        assert (found.first_order_ms, found.last_order_ms) == (DAY_ONE, DAY_ONE)
    (standing,) = standing_orders(bought(first, right))
    assert standing.ordered_s == DAY_ONE // SECOND_MS


def test_orders_stand_by_their_own_times_and_not_by_those_of_their_tellings() -> None:
    told = bought(order("old", DAY_ONE, 7, told_ms=DAY_ONE + DAY_MS), order("new", DAY_ONE + 5_000))
    assert [one.revenue_micros for one in standing_orders(told)] == [7, 100]


def test_a_refund_or_a_refusal_that_is_told_again_is_corrected() -> None:
    day = DAY_ONE + DAY_MS
    paid, less = refund("1", day, 50), refund("1", day, 20, told_ms=day + 5_000)
    whole, some = refusal("1", day), refusal("1", day, 30, "a", told_ms=day + 5_000)
    first = order("1", DAY_ONE)
    assert {numbers(first, *words).net_micros for words in ((paid, less), (less, paid))} == {80}
    assert {numbers(first, *words).net_micros for words in ((whole, some), (some, whole))} == {70}


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


@pytest.mark.parametrize(
    "end",
    [
        (refusal("1", DAY_ONE + 1),),
        (refund("1", DAY_ONE + 1, 100),),
        (refund("1", DAY_ONE + 1, 60, "a"), refusal("1", DAY_ONE + 1, 40, "b")),
    ],
)
def test_an_order_of_which_nothing_is_left_was_no_purchase_and_leaves_nothing_owned(
    end: Sequence[Event],
) -> None:
    """The rule of models that are fed net orders: what was returned whole was not bought."""
    undone = bought(order("1", DAY_ONE, 100, "a", "b"), order("2", DAY_ONE + DAY_MS, 40, "c"), *end)
    found = totals(undone)
    assert (found.order_count, found.day_count, found.net_micros) == (1, 1, 40)
    assert found.first_order_ms == DAY_ONE + DAY_MS
    assert owned_items(undone) == {"c"}
    again = [order("1", DAY_ONE, 100, "a"), order("3", DAY_ONE - DAY_MS, 100, "a"), *end]
    assert owned_items(bought(*again)) == {"a"}


def test_an_order_stands_that_cost_nothing_or_was_refunded_in_part() -> None:
    free = numbers(order("1", DAY_ONE, 0), refund("1", DAY_ONE, 0))
    assert (free.order_count, free.day_count) == (1, 1)
    most = bought(order("1", DAY_ONE, 100, "a"), refund("1", DAY_ONE, 99))
    assert (totals(most).order_count, owned_items(most)) == (1, {"a"})


def test_what_was_bought_twice_and_given_back_once_is_owned() -> None:
    twice = [order("1", DAY_ONE, 100, "a", "b"), order("2", DAY_ONE + DAY_MS, 100, "a")]
    back = refund("1", DAY_ONE + 2 * DAY_MS, 50, "a")
    assert owned_items(bought(*twice, back)) == {"a", "b"}
    assert owned_items(bought(*twice, back, refusal("2", DAY_ONE + 2 * DAY_MS))) == {"b"}


@pytest.mark.parametrize(
    "end",
    [
        refund("1", DAY_ONE + DAY_MS, 100),
        refund("1", DAY_ONE + DAY_MS, 60, "JFK-LAX/2024-11-01"),
        refusal("1", DAY_ONE + DAY_MS),
        refusal("1", DAY_ONE + DAY_MS, 60, "JFK-LAX/2024-11-01"),
    ],
)
def test_a_trip_that_was_cancelled_is_never_a_past_trip(end: Event) -> None:
    trips = [
        order("1", DAY_ONE, 100, "JFK-LAX/2024-11-01"),
        order("2", DAY_ONE, 100, "LAX-JFK/2024-11-08"),
    ]
    now_ms = DAY_ONE + 365 * DAY_MS
    assert past_trips(bought(*trips), now_ms) == ["JFK-LAX/2024-11-01", "LAX-JFK/2024-11-08"]
    assert past_trips(bought(*trips, end), now_ms) == ["LAX-JFK/2024-11-08"]


def test_the_share_refused_is_of_all_orders_that_were_told() -> None:
    told: list[Event] = [
        order("1", DAY_ONE), order("2", DAY_ONE), refusal("2", DAY_ONE), refusal("3", DAY_ONE)
    ]  # fmt: skip
    assert refusal_rate(bought(*told)) == 2 / 3
    assert refusal_rate(bought(*told, refund("1", DAY_ONE, 100))) == 2 / 3


def test_a_partly_refused_order_stands_for_the_rest() -> None:
    some = bought(order("1", DAY_ONE, 100, "a", "b"), refusal("1", DAY_ONE + 5_000, 40, "a"))
    found = totals(some)
    assert (found.order_count, found.refused_count, found.net_micros) == (1, 0, 60)
    assert some.refusals["1"].reason == "late"
    assert owned_items(some) == {"b"}


def test_a_refund_of_an_order_that_is_not_known_moves_no_money() -> None:
    found = numbers(refund("1", DAY_ONE, 30))
    assert (found.order_count, found.net_micros, found.day_count) == (0, 0, 0)
    assert standing_orders(bought(refund("1", DAY_ONE, 30))) == []


def test_one_order_of_many_items_is_bounded_like_all() -> None:
    assert len(bought(order("1", DAY_ONE, 1, *map(str, range(100)))).items) == KEPT_BUYS


@pytest.mark.parametrize(
    "order_id", ["1", "twelve-chars", "a-very-long-order-id" * 3, "двенадцать", "1\n2"]
)
def test_an_order_is_kept_under_a_short_name(order_id: str) -> None:
    assert len(short_name(order_id).encode()) <= 12
    found = bought(order(order_id, DAY_ONE, 1, "a\nb"), order(order_id, DAY_ONE, 1))
    assert found.orders.keys() == {short_name(order_id)}
    assert owned_items(found) == {"a\nb"}


def test_an_order_takes_few_bytes() -> None:
    told = msgspec.structs.replace(order("o-12345", DAY_ONE, 49_900_000, "sku-1"), groups=())
    assert len(msgspec.msgpack.encode(bought(told))) < 55
