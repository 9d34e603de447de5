import hashlib
from collections import Counter, defaultdict

import msgspec
import pytest

from benchmarks.world import World
from benchmarks.world.actions import Canary, Emit, Opportunity, Restock
from benchmarks.world.evidence import Evidence
from benchmarks.world.schedule import trip_of
from models.catalog_records import Flight, decode_record, encode_record
from models.events import (
    CrmCard,
    FlightSearch,
    Order,
    ProductView,
    SignIn,
    decode_event,
    encode,
)
from models.identifiers import NodeId, Pepper
from models.units import DAY_MS


def digest(world: World, seconds: float) -> str:
    state = hashlib.blake2b()
    for record in (*world.offers(), *world.backfill(), *world.live(seconds)):
        state.update(msgspec.json.encode(record))
    return state.hexdigest()


def test_the_same_seed_gives_the_same_world_and_another_seed_another(
    world: World, start_ms: int, pepper: Pepper
) -> None:
    same = World(seed=7, persons=100, start_ms=start_ms, pepper=pepper)
    other = World(seed=8, persons=100, start_ms=start_ms, pepper=pepper)
    assert digest(world, 5) == digest(world, 5) == digest(same, 5)
    assert digest(world, 5) != digest(other, 5)


def test_a_short_run_is_the_beginning_of_a_long_one(world: World) -> None:
    long = list(world.live(6))
    short = list(world.live(3.5))
    assert long[: len(short)] == short
    assert long[len(short)].offset_ms >= 3500


def test_actions_come_in_the_order_of_time(world: World) -> None:
    offsets = [action.offset_ms for action in world.live(20)]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0
    assert offsets[-1] < 20_000


def test_the_default_pace_is_150_events_and_400_requests_a_second(
    start_ms: int, pepper: Pepper
) -> None:
    world = World(start_ms=start_ms, pepper=pepper)
    actions = list(world.live(40))
    events = sum(isinstance(action, Emit) for action in actions)
    requests = sum(len(a.exchanges) for a in actions if isinstance(a, Opportunity))
    assert events / 40 == pytest.approx(150, rel=0.1)
    assert requests / 40 == pytest.approx(400, rel=0.1)
    wanted = Counter(trip for person in world.people for trip in person.trips)
    assert set(wanted.values()) == {1}
    assert len(world.people) == 2400


def test_every_record_can_be_decoded_by_the_system(world: World) -> None:
    for event in world.backfill():
        assert decode_event(encode(event)) == event
    for offer in world.offers():
        assert decode_record(encode_record(offer)) == offer
    for action in world.live(10):
        if isinstance(action, Emit | Canary):
            assert decode_event(encode(action.event)) == action.event
        elif isinstance(action, Restock):
            assert decode_record(encode_record(action.offer)) == action.offer


def test_the_history_is_in_the_past_and_ends_yesterday(world: World, start_ms: int) -> None:
    events = world.backfill()
    assert [e.event_time_ms for e in events] == sorted(e.event_time_ms for e in events)
    assert events[-1].event_time_ms < start_ms
    kinds = Counter(type(event) for event in events)
    assert kinds[CrmCard] == 100
    assert kinds[SignIn] > 20
    shop_orders = [e for e in events if isinstance(e, Order) and e.order_id.startswith("cdnow")]
    assert max(order.event_time_ms for order in shop_orders) > start_ms - 60 * DAY_MS
    assert all(order.margin_micros <= order.revenue_micros for order in shop_orders)
    assert any(isinstance(e, Order) and e.advertiser == "airline" for e in events)
    assert len({event.event_id for event in events}) == len(events)


def test_events_name_one_owner_and_what_that_owner_wants(world: World) -> None:
    owners = world.owners()
    wanted = {person.owner: {*person.trips, *person.items} for person in world.people}
    live = [action.event for action in world.live(30) if isinstance(action, Emit)]
    for event in (*world.backfill(), *live):
        (owner,) = {owners[node] for node in event.ids}
        if isinstance(event, ProductView):
            assert event.item in wanted[owner]
        if isinstance(event, FlightSearch):
            assert f"{event.origin}-{event.destination}/{event.depart_date}" in wanted[owner]


def test_silent_devices_are_never_connected_to_their_owners_card(world: World) -> None:
    evidence = Evidence()
    for action in world.live(300):
        if isinstance(action, Emit):
            evidence.add(action.event.ids, action.offset_ms)
    for person in world.people:
        for device in person.devices:
            if person.card is not None and not device.signs_in:
                for node in device.nodes:
                    assert not evidence.are_connected(node, person.card.crm_node)


def test_stock_moves_forward_and_a_closed_flight_stays_closed(world: World) -> None:
    seats: dict[str, int] = {}
    closed: set[str] = set()
    latest: defaultdict[str, int] = defaultdict(int)
    kinds = Counter[str]()
    for action in world.live(60):
        if isinstance(action, Restock):
            offer = action.offer
            assert offer.updated_ms >= latest[offer.id]
            latest[offer.id] = offer.updated_ms
            if isinstance(offer, Flight):
                assert offer.id not in closed or offer.seats_left == 0
                kinds["closed"] += offer.seats_left == 0
                seats[offer.id] = offer.seats_left
                if offer.seats_left == 0:
                    closed.add(offer.id)
            else:
                kinds["out of stock"] += offer.stock == 0
                kinds["in stock"] += offer.stock > 0
    assert kinds["closed"] >= 10
    assert kinds["out of stock"] >= 3
    assert kinds["in stock"] > kinds["out of stock"]


def test_some_cancelled_flights_are_withdrawn_before_and_some_while_the_world_runs(
    start_ms: int, pepper: Pepper
) -> None:
    world = World(persons=1500, start_ms=start_ms, pepper=pepper)
    before = sum(isinstance(o, Flight) and o.seats_left == 0 for o in world.offers())
    assert 70 < before < 140  # half of two weeks with 96 cancellations each
    closed = {
        action.offer.id
        for action in world.live(60)
        if isinstance(action, Restock)
        and isinstance(action.offer, Flight)
        and action.offer.seats_left == 0
    }
    assert len(closed) > 20


def test_probes_use_new_devices_and_things_that_nobody_else_wants(world: World) -> None:
    actions = list(world.live(30))
    probes = [action for action in actions if isinstance(action, Canary)]
    wanted = {thing for person in world.people for thing in (*person.trips, *person.items)}
    moved = {
        trip_of(action.offer) if isinstance(action.offer, Flight) else action.offer.id
        for action in actions
        if isinstance(action, Restock)
    }
    things = {probe.trip or probe.item for probe in probes}
    nodes: list[NodeId] = [probe.node for probe in probes]
    assert len(probes) == 60
    assert len(set(nodes)) == 60
    assert not set(nodes) & world.owners().keys()
    assert not things & (wanted | moved)
    assert {probe.event.ids for probe in probes} == {(node,) for node in nodes}
    assert {bool(probe.trip) for probe in probes} == {True, False}


def test_slots_come_alone_in_groups_and_at_all_exchanges_at_once(world: World) -> None:
    slots = [action for action in world.live(60) if isinstance(action, Opportunity)]
    assert {len(slot.exchanges) for slot in slots} == {1, 3}
    pages = Counter(slot.request_id.rpartition("-")[0] for slot in slots)
    assert set(pages.values()) == {1, 3, 4, 5}
    rivals = sorted(price for slot in slots for price in slot.rival_cpm_micros)
    assert rivals[len(rivals) // 2] == pytest.approx(2_000_000, rel=0.15)
    assert sum(slot.is_billed for slot in slots) / len(slots) == pytest.approx(0.95, abs=0.03)
    for slot in slots:
        assert slot.surface in world.people[slot.person].devices[slot.device].surfaces
        assert len(slot.rival_cpm_micros) == len(slot.exchanges)


def test_responses_are_seeded_rare_and_from_a_device_that_signs_in(world: World) -> None:
    found = []
    for person in world.people:
        for impression in range(50):
            thing = person.items[0]
            response = world.respond(person, thing, impression)
            assert response == world.respond(person, thing, impression)
            if response is not None:
                found.append(response)
                assert response.order.items == (thing,)
                assert response.order.advertiser == "shop"
                assert person.card is not None
                assert response.order.ids[-1] == person.card.crm_node
    assert 0.005 < len(found) / (50 * 100) < 0.04
