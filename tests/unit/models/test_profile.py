"""The bid view: what a bidder needs of a profile, written once for all workers."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.caps import CapLedger, decode_ledger, encode_ledger
from models.events import CartAdd, Event, FlightSearch, Order, ProductView
from models.facets import Facet, encode_facet
from models.identifiers import NodeId
from models.identity import Settled, link
from models.keys import Keys
from models.profile import (
    Header,
    Intent,
    decode_header,
    encode_header,
    header_of,
    newest_fields,
    person_of,
    publish,
)
from models.units import DAY_MS, AdvertiserId
from tests.fakes.memory_store import MemoryStore, Runner, interleave, run
from tests.fakes.records import NODES, events, folded

AIR, SHOP = AdvertiserId("air"), AdvertiserId("shop")
KEYS = Keys("o")
NODE = NODES[0]


def bought(order_id: str, time_ms: int, revenue_micros: int, *items: str) -> Order:
    return Order(
        event_id=order_id, ids=(NODE,), event_time_ms=time_ms, advertiser=AIR, order_id=order_id,
        revenue_micros=revenue_micros, margin_micros=0, items=items,
    )  # fmt: skip


def test_a_search_is_an_intent_with_its_day() -> None:
    search = FlightSearch(
        event_id="1", ids=(NODE,), event_time_ms=5, advertiser=AIR, origin="JFK",
        destination="LAX", depart_date="1970-01-11",
    )  # fmt: skip
    header = header_of(folded([search]), ())
    assert header.searches == (Intent("air", "JFK-LAX/1970-01-11", 5, day=10),)


def test_a_product_seen_and_put_into_the_cart_is_one_intent_newest_last() -> None:
    seen: list[Event] = [
        CartAdd(event_id="1", ids=(NODE,), event_time_ms=3, advertiser=SHOP, item="bag"),
        ProductView(event_id="2", ids=(NODE,), event_time_ms=2, advertiser=SHOP, item="bag"),
        ProductView(event_id="3", ids=(NODE,), event_time_ms=4, advertiser=SHOP, item="hat"),
        ProductView(event_id="4", ids=(NODE,), event_time_ms=1, advertiser=SHOP, item="cap"),
    ]
    assert header_of(folded(seen), ()).products == (
        Intent("shop", "cap", 1), Intent("shop", "bag", 3, in_cart=True), Intent("shop", "hat", 4)
    )  # fmt: skip


def test_a_buyer_has_the_numbers_of_the_purchase_models() -> None:
    """The first day is in neither the repeat count nor the mean; one day is one purchase."""
    orders = [
        bought("1", 1, 100, "JFK-LAX/1970-01-11"), bought("2", 2, 50),
        bought("3", 3 * DAY_MS, 30), bought("4", 5 * DAY_MS, 40),
    ]  # fmt: skip
    header = header_of(folded(orders), ())
    buyer = header.buyers["air"]
    assert (buyer.order_count, buyer.repeat_count, buyer.repeat_mean_micros) == (4, 2, 35)
    assert (buyer.first_order_ms, buyer.last_order_ms) == (1, 5 * DAY_MS)
    assert header.bought == ("air/JFK-LAX/1970-01-11",)


def test_who_bought_once_has_no_repeat_mean() -> None:
    assert header_of(folded([bought("1", 1, 100)]), ()).buyers["air"].repeat_mean_micros == 0


@given(st.lists(events, max_size=12), st.lists(st.sampled_from(NODES), unique=True, max_size=2))
def test_a_header_survives_its_encoding(history: list[Event], shared: list[NodeId]) -> None:
    header = header_of(folded(history), tuple(shared))
    assert decode_header(encode_header(header)) == header
    assert list(header.searches) == sorted(header.searches, key=lambda one: (one.seen_ms, one.key))


def test_the_field_with_the_highest_watermark_counts_whatever_its_epoch() -> None:
    def at(watermark: int) -> bytes:
        return encode_ledger(CapLedger(watermark))

    fields = {
        f"c:{NODE}@9".encode(): at(3), f"c:{NODE}@10".encode(): at(2), f"f:{NODE}@1".encode(): b"",
        f"c:{NODES[1]}@1".encode(): at(-1), b"k:x": b"1", b"m:t": b"x", b">": b"t",
    }  # fmt: skip
    assert newest_fields(fields, b"c") == {NODE: at(3), NODES[1]: at(-1)}
    assert newest_fields(fields, b"f") == {NODE: b""}


def test_a_person_is_the_merge_of_their_identifiers() -> None:
    one, other = folded([bought("1", 1, 100)]), folded([bought("2", DAY_MS, 50)])
    fields = {
        f"f:{NODES[0]}@1".encode(): encode_facet(one),
        f"f:{NODES[1]}@1".encode(): encode_facet(other),
        f"c:{NODES[0]}@1".encode(): encode_ledger(CapLedger(0, {"C": {"n": 1}}, 1, 5)),
    }
    facet, ledger = person_of(Settled(NODES[0], fields))
    assert facet.purchases["air"].order_count == 2
    assert ledger == CapLedger(0, {"C": {"n": 1}}, 1, 5)


def test_the_root_stands_first_among_the_members() -> None:
    fields = {f"k:{NODES[1]}".encode(): b"1", f"k:{NODES[0]}".encode(): b"1"}
    assert Settled(NODES[0], fields).members == [NODES[0], NODES[1]]
    assert Settled(NODES[2], fields).members == [NODES[2], NODES[1], NODES[0]]


def put(store: MemoryStore, node: NodeId, facet: Facet) -> None:
    store.execute(("HSET", KEYS.person(node), f"f:{node}@1", encode_facet(facet)))


def view_of(store: MemoryStore, node: NodeId) -> dict[bytes, bytes]:
    return store.hash(KEYS.bid_view(node).encode())


def test_a_published_view_says_what_the_person_did() -> None:
    store = MemoryStore()
    put(store, NODE, folded([bought("1", 1, 100)]))
    assert run(store, publish(KEYS, NODE, merged=False)) == NODE
    view = view_of(store, NODE)
    assert view[b"v"] == b"1"
    assert decode_header(view[b"h"]).buyers["air"].order_count == 1
    assert decode_ledger(view[b"c"]) == CapLedger()


def test_the_version_rises_with_every_record_and_every_shared_device() -> None:
    store = MemoryStore()
    versions = []
    for count in range(3):
        put(store, NODE, folded([bought(str(n), 1, 1) for n in range(count)]))
        run(store, publish(KEYS, NODE, merged=False))
        versions.append(int(view_of(store, NODE)[b"v"]))
    store.execute(("HSETNX", KEYS.person(NODE), f"x:{NODES[1]}", "1"))
    run(store, publish(KEYS, NODE, merged=False))
    versions.append(int(view_of(store, NODE)[b"v"]))
    assert versions == [0, 1, 2, 3]
    assert decode_header(view_of(store, NODE)[b"h"]).shared == (NODES[1],)


@pytest.mark.parametrize("merged", [True, False])
def test_what_a_child_held_may_expire_once_the_view_holds_it(*, merged: bool) -> None:
    store = MemoryStore()
    run(store, link(KEYS, NODES[0], NODES[1], b"e", lambda: "t"))
    frozen = KEYS.frozen_bid_view(NODES[0]).encode()
    assert frozen in store.data
    assert frozen not in store.expiring
    run(store, publish(KEYS, NODES[0], merged=merged))
    assert (frozen in store.expiring) is merged
    assert (b"m:t" in view_of(store, NODES[1])) is not merged


def test_a_root_that_is_merged_while_it_is_published_is_left_for_its_new_root() -> None:
    store = MemoryStore()
    put(store, NODES[0], folded([bought("1", 1, 100)]))
    runner = Runner(store, publish(KEYS, NODES[0], merged=False))
    runner.step()  # it has read the person, and will write their view
    run(store, link(KEYS, NODES[0], NODES[1], b"e", lambda: "t"))
    interleave([runner], lambda _: 0)
    assert runner.result == NODES[1]
    assert view_of(store, NODES[0]) == {b">": NODES[1].encode()}
    assert decode_header(view_of(store, NODES[1])[b"h"]).buyers


def test_an_older_bidder_reads_a_header_with_more_fields() -> None:
    fields = list(msgspec.structs.astuple(Header()))
    longer = msgspec.msgpack.encode([*fields, "new"])
    assert decode_header(longer) == Header()
