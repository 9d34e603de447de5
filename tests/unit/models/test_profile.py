"""The bid view: what a bidder needs of a profile, written once for all workers."""

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calls import ToldCall
from models.caps import CapLedger, decode_ledger, encode_ledger
from models.dealings import KEPT_PRODUCTS, KEPT_SEARCHES, BuyerStats, Dealings, Intent
from models.events import (
    CartAdd,
    Consent,
    Event,
    FlightSearch,
    Order,
    ProductView,
    Refund,
    Refusal,
    SignIn,
)
from models.evidence import Evidence
from models.facets import Facet, encode_facet, merge
from models.forest import Settled
from models.header import Shown, decode_shown, header_from, merge_shown
from models.identifiers import NodeId
from models.interests import cart_items, interests, trip_searches
from models.keys import Keys
from models.links import link
from models.person_events import Purpose
from models.profile import (
    Header,
    decode_header,
    encode_header,
    header_of,
    newest_fields,
    person_of,
    publish,
    publish_all,
)
from models.purchases import owned_items, totals
from models.units import DAY_MS, AdvertiserId
from tests.fakes.headers import products_in, searches_in
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run
from tests.fakes.records import ACCOUNTS, NODES, events, folded

AIR, SHOP = AdvertiserId("air"), AdvertiserId("shop")
KEYS = Keys("o")
NODE = NODES[0]


def bought(order_id: str, time_ms: int, revenue_micros: int, *items: str) -> Order:
    return Order(
        event_id=order_id, ids=(NODE,), event_time_ms=time_ms, advertiser=AIR, order_id=order_id,
        revenue_micros=revenue_micros, margin_micros=0, items=items,
    )  # fmt: skip


def buyer_in(history: Sequence[Event]) -> BuyerStats | None:
    dealings = header_of(folded(history), ()).dealings.get(AIR)
    return dealings.buyer if dealings is not None else None


@pytest.mark.parametrize("time_ms", [5_000, 12 * DAY_MS, 11 * DAY_MS - 1_000, 11 * DAY_MS])
def test_a_search_is_an_intent_with_its_day_whenever_it_was(time_ms: int) -> None:
    search = FlightSearch(
        event_id="1", ids=(NODE,), event_time_ms=time_ms, advertiser=AIR, origin="JFK",
        destination="LAX", depart_date="1970-01-11",
    )  # fmt: skip
    header = header_of(folded([search]), ())
    assert searches_in(header) == [Intent("air", "JFK-LAX/1970-01-11", time_ms)]


def test_a_product_seen_and_put_into_the_cart_is_one_intent_and_stands_first() -> None:
    seen: list[Event] = [
        CartAdd(event_id="1", ids=(NODE,), event_time_ms=3_000, advertiser=SHOP, item="bag"),
        ProductView(event_id="2", ids=(NODE,), event_time_ms=2_000, advertiser=SHOP, item="bag"),
        ProductView(event_id="3", ids=(NODE,), event_time_ms=4_000, advertiser=SHOP, item="hat"),
        ProductView(event_id="4", ids=(NODE,), event_time_ms=1_000, advertiser=SHOP, item="cap"),
    ]
    assert products_in(header_of(folded(seen), ())) == [
        Intent("shop", "bag", 3_000, in_cart=True), Intent("shop", "hat", 4_000),
        Intent("shop", "cap", 1_000),
    ]  # fmt: skip


def test_a_buyer_has_the_numbers_of_the_purchase_models() -> None:
    """The first day is in neither the repeat count nor the mean; one day is one purchase."""
    orders = [
        bought("1", 1_000, 100, "JFK-LAX/1970-01-11"), bought("2", 2_000, 50),
        bought("3", 3 * DAY_MS, 30), bought("4", 5 * DAY_MS, 40),
    ]  # fmt: skip
    buyer = buyer_in(orders)
    assert buyer is not None
    assert (buyer.order_count, buyer.repeat_count, buyer.repeat_mean_micros) == (4, 2, 35)
    assert (buyer.first_order_ms, buyer.last_order_ms) == (1_000, 5 * DAY_MS)


def test_the_newest_sign_in_stands_first_and_only_where_a_device_is_shared() -> None:
    signed_in = [
        SignIn(event_id=str(n), ids=(NODE, *accounts), event_time_ms=n, advertiser=SHOP)
        for n, accounts in ((5, ACCOUNTS[1:3]), (9, ACCOUNTS[3:4]), (2, ACCOUNTS[1:2]))
    ]
    assert header_of(folded(signed_in), ()).sign_ins == ()
    header = header_of(folded(signed_in), NODES[:1])
    assert header.sign_ins == ((ACCOUNTS[3], 9), (ACCOUNTS[2], 5), (ACCOUNTS[1], 5))


def test_who_withdrew_personal_ads_may_not_be_addressed() -> None:
    def word(
        time_ms: int, granted: tuple[Purpose, ...] = (), withdrawn: tuple[Purpose, ...] = ()
    ) -> Consent:
        return Consent(
            event_id="1", ids=(NODE,), event_time_ms=time_ms, source="cmp", granted=granted,
            withdrawn=withdrawn,
        )  # fmt: skip

    granted, withdrawn = word(5, granted=("personal_ads",)), word(6, withdrawn=("personal_ads",))
    assert header_of(folded([]), ()).personal_ok
    assert header_of(folded([word(9, withdrawn=("email",))]), ()).personal_ok
    assert not header_of(folded([withdrawn, granted]), ()).personal_ok
    assert header_of(folded([withdrawn, word(7, granted=("personal_ads",))]), ()).personal_ok


def test_who_refused_their_only_order_is_no_buyer() -> None:
    refused = Refusal(event_id="x", ids=(NODE,), event_time_ms=1, advertiser=AIR, order_id="1")
    assert buyer_in([bought("1", 1, 100), refused]) is None


def test_what_was_given_back_may_be_advertised_again() -> None:
    back = Refund(
        event_id="r", ids=(NODE,), event_time_ms=9_000, advertiser=AIR, order_id="1",
        refunded_micros=50, items=("hat",),
    )  # fmt: skip
    seen = [
        ProductView(event_id=item, ids=(NODE,), event_time_ms=9, advertiser=shop, item=item)
        for item in ("hat", "cap") for shop in (AIR, SHOP)
    ]  # fmt: skip
    shown = products_in(header_of(folded([*seen, bought("1", 1, 100, "hat", "cap")]), ()))
    assert {(one.advertiser, one.key) for one in shown} == {(SHOP, "hat"), (SHOP, "cap")}
    shown = products_in(header_of(folded([*seen, bought("1", 1, 100, "hat", "cap"), back]), ()))
    assert (AIR, "hat") in {(one.advertiser, one.key) for one in shown}
    assert (AIR, "cap") not in {(one.advertiser, one.key) for one in shown}


def test_a_booked_trip_is_never_advertised_again() -> None:
    search = FlightSearch(
        event_id="1", ids=(NODE,), event_time_ms=5_000, advertiser=AIR, origin="JFK",
        destination="LAX", depart_date="1970-01-11",
    )  # fmt: skip
    assert searches_in(header_of(folded([search]), ()))
    booked = bought("1", 1_000, 100, "JFK-LAX/1970-01-11")
    assert not searches_in(header_of(folded([search, booked]), ()))


@pytest.mark.parametrize(
    "end",
    [
        Refusal(event_id="x", ids=(NODE,), event_time_ms=2_000, advertiser=AIR, order_id="1"),
        Refund(
            event_id="r", ids=(NODE,), event_time_ms=2_000, advertiser=AIR, order_id="1",
            refunded_micros=100,
        ),
    ],
)  # fmt: skip
def test_what_was_refused_or_paid_back_as_a_whole_is_advertised_again(end: Event) -> None:
    """A word on the whole order names no item."""
    searched = FlightSearch(
        event_id="1", ids=(NODE,), event_time_ms=5_000, advertiser=AIR, origin="JFK",
        destination="LAX", depart_date="1970-01-11",
    )  # fmt: skip
    put_in = CartAdd(event_id="2", ids=(NODE,), event_time_ms=5_000, advertiser=AIR, item="bag")
    booked = bought("1", 1_000, 100, "JFK-LAX/1970-01-11", "bag")
    before = header_of(folded([searched, put_in, booked]), ())
    assert (searches_in(before), products_in(before)) == ([], [])
    for told in itertools.permutations([searched, put_in, booked, end]):
        header = header_of(folded(told), ())
        assert searches_in(header) == [Intent(AIR, "JFK-LAX/1970-01-11", 5_000)]
        assert products_in(header) == [Intent(AIR, "bag", 5_000, in_cart=True)]
        assert buyer_in(told) is None


def test_who_bought_once_has_no_repeat_mean() -> None:
    buyer = buyer_in([bought("1", 1, 100)])
    assert buyer is not None
    assert buyer.repeat_mean_micros == 0


@given(st.lists(events, max_size=12), st.lists(st.sampled_from(NODES), unique=True, max_size=2))
def test_a_header_survives_its_encoding(history: list[Event], shared: list[NodeId]) -> None:
    header = header_of(folded(history), tuple(shared))
    assert decode_header(encode_header(header)) == header


BUYER = BuyerStats(1, 0, 5, 5, 0)
SEARCHED = Dealings(routes=("JFK-LAX",), days_ahead=(9,), route_gaps_s=(5,))
VIEWED = Dealings(items=("hat",), item_gaps_s=(5,))


@pytest.mark.parametrize(
    ("dealings", "fields"),
    [
        (Dealings(BUYER), 1),
        (SEARCHED, 4),
        (VIEWED, 6),
        (msgspec.structs.replace(VIEWED, carts=1), 7),
        (msgspec.structs.replace(SEARCHED, buyer=BUYER, items=("hat",), item_gaps_s=(5,)), 6),
    ],
)
def test_what_is_empty_at_the_end_takes_no_bytes(dealings: Dealings, fields: int) -> None:
    encoded = encode_header(Header({AIR: dealings}))
    (written,) = msgspec.msgpack.decode(encoded)
    assert len(written[AIR]) == fields
    assert decode_header(encoded) == Header({AIR: dealings})


def test_what_is_odd_about_a_person_is_written() -> None:
    assert encode_header(Header()) == msgspec.msgpack.encode([{}])
    call = ToldCall("1", 5, 5, AIR)
    odd: list[dict[str, Any]] = [
        {"shared": NODES[:1]}, {"sign_ins": ((NODES[1], 5),)}, {"personal_ok": False},
        {"calls": (call,)},
    ]  # fmt: skip
    for fields in odd:
        assert decode_header(encode_header(Header(**fields))) == Header(**fields)


def test_what_shows_stands_where_it_stands_in_a_facet() -> None:
    assert Shown.__struct_fields__ == Facet.__struct_fields__


@given(st.lists(st.lists(events, max_size=25), max_size=3))
def test_a_header_from_what_shows_is_that_of_the_merged_facets(
    histories: list[list[Event]],
) -> None:
    facets = [*map(folded, histories)]
    shown = merge_shown(decode_shown(encode_facet(facet)) for facet in facets)
    merged = merge(facets)
    assert shown.watermark == merged.watermark
    assert header_from(shown, ()) == header_of(merged, ())


@given(st.lists(events, max_size=60))
def test_a_header_says_what_interests_say_of_what_may_be_advertised(history: list[Event]) -> None:
    facet = folded(history)
    header = header_of(facet, ())
    owned = {(name, item) for name, one in facet.purchases.items() for item in owned_items(one)}
    trips = [
        Intent(one.advertiser, one.trip, one.seen_ms)
        for one in trip_searches(facet)
        if (one.advertiser, one.trip) not in owned
    ]
    carts = {(one.advertiser, one.item): one for one in cart_items(facet)}
    things = [
        Intent(one.advertiser, one.item, one.seen_ms, in_cart=one.is_in_cart)
        for one in reversed(interests(facet))
        if (one.advertiser, one.item) not in owned
    ]
    assert {(one.advertiser, one.key) for one in things} >= carts.keys() - owned
    for advertiser, dealings in header.dealings.items():
        own = [one for one in trips if one.advertiser == advertiser]
        assert_newest(list(dealings.searches(advertiser)), own, KEPT_SEARCHES)
        own = [one for one in things if one.advertiser == advertiser]
        left = [one for one in own[KEPT_PRODUCTS:] if one.in_cart]
        assert list(dealings.products(advertiser)) == own[:KEPT_PRODUCTS] + left
    assert {one.advertiser for one in (*trips, *things)} <= header.dealings.keys()


def assert_newest(found: list[Intent], known: list[Intent], kept: int) -> None:
    """Those found are the newest that are known, in that order; equals are chosen by name."""
    times = sorted((one.seen_ms for one in known), reverse=True)[:kept]
    assert [one.seen_ms for one in found] == times
    assert set(found) <= set(known)
    assert len(set(found)) == len(found)


def test_the_field_with_the_highest_watermark_counts_and_only_members_do() -> None:
    def at(watermark: int) -> bytes:
        return encode_ledger(CapLedger(watermark))

    fields = {
        f"c:{NODE}@9".encode(): at(3), f"c:{NODE}@10".encode(): at(2), f"f:{NODE}@1".encode(): b"",
        f"c:{NODES[1]}@1".encode(): at(-1), f"k:{NODES[1]}".encode(): b"1", b"m:t": b"x",
        f"c:{NODES[2]}@1".encode(): at(7),
    }  # fmt: skip
    settled = Settled(NODE, fields)
    assert newest_fields(settled, b"c") == {NODE: at(3), NODES[1]: at(-1)}
    assert newest_fields(settled, b"f") == {NODE: b""}


def test_a_person_is_the_merge_of_their_identifiers() -> None:
    one, other = folded([bought("1", 1, 100)]), folded([bought("2", DAY_MS, 50)])
    fields = {
        f"f:{NODES[0]}@1".encode(): encode_facet(one),
        f"f:{NODES[1]}@1".encode(): encode_facet(other),
        f"c:{NODES[0]}@1".encode(): encode_ledger(CapLedger(0, {"C": {"n": 1}}, 1, 5)),
        f"k:{NODES[1]}".encode(): b"1",
    }
    facet, ledger = person_of(Settled(NODES[0], fields))
    assert totals(facet.purchases["air"]).order_count == 2
    assert ledger == CapLedger(0, {"C": {"n": 1}}, 1, 5)


def test_the_root_stands_first_among_the_members() -> None:
    fields = {f"k:{NODES[1]}".encode(): b"1", f"k:{NODES[0]}".encode(): b"1"}
    assert Settled(NODES[0], fields).members == [NODES[0], NODES[1]]
    assert Settled(NODES[2], fields).members == [NODES[2], NODES[0], NODES[1]]


def put(store: MemoryStore, node: NodeId, facet: Facet) -> None:
    store.execute(("HSET", KEYS.person(node), f"f:{node}@1", encode_facet(facet)))


def view_of(store: MemoryStore, node: NodeId) -> dict[bytes, bytes]:
    return store.hash(KEYS.bid_view(node).encode())


def test_a_published_view_says_what_the_person_did() -> None:
    store = MemoryStore()
    put(store, NODE, folded([bought("1", 1, 100)]))
    assert run(store, publish(KEYS, NODE)).root == NODE
    view = view_of(store, NODE)
    assert view[b"v"] == b"1"
    assert decode_header(view[b"h"]) == header_of(folded([bought("1", 1, 100)]), ())
    assert decode_ledger(view[b"c"]) == CapLedger()


def test_the_version_rises_with_every_record_and_every_shared_device() -> None:
    store = MemoryStore()
    versions = []
    for count in range(3):
        put(store, NODE, folded([bought(str(n), 1, 1) for n in range(count)]))
        run(store, publish(KEYS, NODE))
        versions.append(int(view_of(store, NODE)[b"v"]))
    store.execute(("HSET", KEYS.person(NODE), f"x:{NODES[1]}", "1", "y", 1))
    run(store, publish(KEYS, NODE))
    versions.append(int(view_of(store, NODE)[b"v"]))
    assert versions == [0, 1, 2, 3]
    assert decode_header(view_of(store, NODE)[b"h"]).shared == (NODES[1],)


def test_what_a_child_held_may_expire_once_the_view_holds_it() -> None:
    store = MemoryStore()
    run(store, link(KEYS, NODES[0], NODES[1], Evidence("sign_in", 1), lambda: "t"))
    frozen = KEYS.frozen_bid_view(NODES[0], "t").encode()
    assert frozen in store.data
    assert frozen not in store.expiring
    run(store, publish(KEYS, NODES[0]))
    assert frozen in store.expiring
    assert b"m:t" not in view_of(store, NODES[1])


def test_a_root_that_is_merged_while_it_is_published_is_left_for_its_new_root() -> None:
    store = MemoryStore()
    put(store, NODES[0], folded([bought("1", 1, 100)]))
    runner = Runner(store, publish_all(KEYS, [NODES[0]], NODES[0]))
    runner.step()  # it has read the person, and will write their view
    run(store, link(KEYS, NODES[0], NODES[1], Evidence("sign_in", 1), lambda: "t"))
    interleave([runner], lambda _: 0)
    assert view_of(store, NODES[0]) == {b">": NODES[1].encode()}
    assert decode_header(view_of(store, NODES[1])[b"h"]).dealings


def test_an_older_bidder_reads_a_header_with_more_fields() -> None:
    fields = list(msgspec.structs.astuple(Header()))
    longer = msgspec.msgpack.encode([*fields, "new"])
    assert decode_header(longer) == Header()
