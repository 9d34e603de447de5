"""The noisy world: the same from the same seed, as noisy as declared, and without raw contacts."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from benchmarks.quality import (
    NOISE_KINDS,
    PUTS_RIGHT,
    Luck,
    NoiseKind,
    NoiseRates,
    World,
    make_world,
)
from models.errors import InvalidFieldError
from models.events import Call, CrmCard, CrmMerge, CrmSplit, Order, SignIn, decode_event, encode
from models.identifiers import Namespace, NodeId, namespace_of

PERSONS = 400
RATES = NoiseRates()
CONFUSED = NoiseRates(crm_duplicate_ratio=0.5, wrong_merge_ratio=0.5)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7, PERSONS, RATES)


@pytest.fixture(scope="module")
def calm() -> World:
    return make_world(7, PERSONS, RATES.only())


# -- the records ----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_world_and_another_seed_another(world: World) -> None:
    assert make_world(7, PERSONS, RATES) == world
    assert make_world(8, PERSONS, RATES).events != world.events


def test_records_are_those_of_production_and_come_with_unique_ids(world: World) -> None:
    for event in world.events:
        assert decode_event(encode(event)) == event
    assert len({event.event_id for event in world.events}) == len(world.events)
    kinds = Counter(type(event).__name__ for event in world.events)
    assert set(kinds) == {
        "PageView", "SignIn", "Order", "Call", "CrmCard", "CrmMerge", "CrmSplit",
    }  # fmt: skip


def test_no_raw_contact_is_in_any_record(world: World) -> None:
    """Not an ``@``, no run of ten digits, and nothing but hashed nodes as identifiers."""
    for event in world.events:
        told = encode(msgspec.structs.replace(event, ids=event.ids[:1], event_time_ms=1)).decode()
        assert "@" not in told
        assert not re.search(r"\d{10}", told.replace(event.ids[0], ""))
        assert "customer-" not in told
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9_-]{22}", node) for node in event.ids)


def test_records_arrive_late_and_out_of_order(world: World) -> None:
    times = [event.event_time_ms for event in world.events]
    turned = sum(later < earlier for earlier, later in itertools.pairwise(times))
    assert 0.02 < turned / len(times) < 0.5


def test_every_node_has_an_owner_and_is_judged_once(world: World) -> None:
    seen = {node for event in world.events for node in event.ids}
    assert world.owned.keys() | world.shared.keys() == seen
    assert not world.owned.keys() & world.shared.keys()
    assert all(len(users) > 1 for users in world.shared.values())
    assert set(world.owned.values()) <= set(range(PERSONS))


def test_without_noise_everything_told_is_true(calm: World) -> None:
    assert not calm.shared
    assert sum(calm.mishaps.values()) == 0
    for event in calm.events:
        assert len({calm.owned[node] for node in event.ids}) == 1


def test_one_noise_more_leaves_all_other_records_as_they_were(calm: World) -> None:
    """Comparisons between worlds of one seed are about the noise alone."""
    more = make_world(7, PERSONS, RATES.only("kiosk", "family_tablet", "borrowed_device"))

    def told(world: World) -> set[tuple[object, ...]]:
        return {(type(e).__name__, e.event_time_ms, e.ids) for e in world.events}

    assert told(calm) < told(more)


def test_a_world_that_is_too_small_or_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="persons: 9 is not 10 or more"):
        make_world(7, 9, RATES)
    with pytest.raises(InvalidFieldError, match=r"kiosk_ratio: 1\.5 is not a share from 0 to 1"):
        NoiseRates(kiosk_ratio=1.5)


# -- the noise ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def confused() -> World:
    """With cards enough that the CRM can put right."""
    return make_world(7, PERSONS, CONFUSED)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_each_noise_is_as_frequent_as_declared(
    world: World, confused: World, kind: NoiseKind
) -> None:
    """Within 4.5 standard deviations of the binomial: one false alarm in 150 thousand."""
    world, rates = (confused, CONFUSED) if kind in PUTS_RIGHT else (world, RATES)
    rate, chances = rates.of(kind), world.chances[kind]
    assert chances > 80
    spread = math.sqrt(chances * rate * (1 - rate))
    assert abs(world.mishaps[kind] - chances * rate) <= 4.5 * spread


def of_kind(world: World, namespace: Namespace) -> list[NodeId]:
    return [node for node in world.shared if namespace_of(node) is namespace]


def sign_ins_of_others(world: World) -> int:
    return sum(
        world.owned[event.ids[0]] != world.owned[event.ids[1]]
        for event in world.events
        if isinstance(event, SignIn)
    )


def orders_for_others(world: World) -> int:
    return sum(
        world.owned[event.ids[0]] != world.owned[event.ids[1]]
        for event in world.events
        if isinstance(event, Order) and len(event.ids) > 1
    )


def cookies_beyond_the_first(world: World) -> int:
    calm = make_world(7, PERSONS, RATES.only())

    def cookies(one: World) -> int:
        return sum(namespace_of(node) is Namespace.COOKIE for node in one.owned)

    return cookies(world) - cookies(calm)


def persons_with_two_crm_ids(world: World) -> int:
    cards = Counter(world.owned[n] for n in world.owned if namespace_of(n) is Namespace.CRM)
    return sum(count > 1 for count in cards.values())


def numbers_on_two_cards(world: World) -> int:
    """Numbers that two customers' cards named, and that are one customer's in the end."""
    named: dict[NodeId, set[NodeId]] = {}
    for event in world.events:
        if isinstance(event, CrmCard):
            for phone in event.ids[2:]:
                named.setdefault(phone, set()).add(event.ids[0])
    assert all(phone in world.owned for phone in named)
    return sum(len(cards) > 1 for cards in named.values())


def calls_from_unknown_phones(world: World) -> int:
    """Callers who did not give the number that they call from in that session's form."""
    given = {
        (event.ids[0], phone)
        for event in world.events
        if isinstance(event, Order)
        for phone in event.ids[2:]
    }
    return sum(event.ids[::-1] not in given for event in world.events if isinstance(event, Call))


def merged_cards(world: World) -> list[tuple[NodeId, ...]]:
    return [event.ids for event in world.events if isinstance(event, CrmMerge)]


def merges_of_one_persons_cards(world: World) -> int:
    return sum(world.owned[a] == world.owned[b] for a, b in merged_cards(world))


def merges_of_two_persons_cards(world: World) -> int:
    return sum(world.owned[a] != world.owned[b] for a, b in merged_cards(world))


def merges_that_are_taken_back_later(world: World) -> int:
    merged_ms = {e.ids: e.event_time_ms for e in world.events if isinstance(e, CrmMerge)}
    splits = [event for event in world.events if isinstance(event, CrmSplit)]
    return sum(event.event_time_ms >= merged_ms[event.ids] for event in splits)


@pytest.mark.parametrize(
    ("kind", "count_in"),
    [
        ("cookie_churn", cookies_beyond_the_first),
        ("stray_call", calls_from_unknown_phones),
        ("family_tablet", lambda world: len(of_kind(world, Namespace.IFA))),
        ("borrowed_device", sign_ins_of_others),
        ("gift_order", orders_for_others),
        ("family_line", lambda world: len(of_kind(world, Namespace.PHONE))),
        ("recycled_phone", numbers_on_two_cards),
        ("crm_duplicate", persons_with_two_crm_ids),
        ("merged_duplicate", merges_of_one_persons_cards),
        ("wrong_merge", merges_of_two_persons_cards),
        ("split_again", merges_that_are_taken_back_later),
    ],
)
def test_what_goes_wrong_can_be_seen_in_the_records(
    kind: NoiseKind, count_in: Callable[[World], int]
) -> None:
    world = make_world(7, PERSONS, RATES.alone(kind))
    assert count_in(world) == world.mishaps[kind] > 0
    happened = {one for one, count in world.mishaps.items() if count}
    assert happened == {kind, PUTS_RIGHT.get(kind, kind)}


def test_nobody_is_merged_by_mistake_with_two_others() -> None:
    world = make_world(7, PERSONS, CONFUSED.alone("wrong_merge"))
    merged = [frozenset(world.owned[card] for card in cards) for cards in merged_cards(world)]
    assert len(frozenset.union(*merged)) == 2 * len(merged)


def test_a_kiosk_is_everybodys_who_signed_in_there() -> None:
    world = make_world(7, PERSONS, RATES.only("kiosk"))
    (kiosk,) = world.shared
    assert namespace_of(kiosk) is Namespace.COOKIE
    assert len(world.shared[kiosk]) == world.mishaps["kiosk"]


def test_a_poison_id_comes_from_many_devices_and_the_placeholder_beside_it_from_none() -> None:
    world = make_world(7, PERSONS, RATES.only("poison_id"))
    (poison,) = world.shared
    senders = {event.ids[0] for event in world.events if event.ids[1:] == (poison,)}
    assert len(senders) == world.mishaps["poison_id"]
    assert len(world.shared[poison]) > 10


def test_a_slip_makes_an_address_or_number_of_nobody_or_of_somebody_else() -> None:
    rates = RATES.only("form_typo")
    world, calm = make_world(7, PERSONS, rates), make_world(7, PERSONS, rates.only())
    new = world.owned.keys() - calm.owned.keys()
    assert {namespace_of(node) for node in new} == {Namespace.EMAIL, Namespace.PHONE}
    slips = world.mishaps["form_typo"]
    assert 0.7 * slips < len(new) <= slips
    assert 0 < orders_for_others(world) < 0.3 * slips


def test_dice_of_one_kind_do_not_move_those_of_another() -> None:
    one, other = Luck(3, RATES), Luck(3, RATES)
    for _ in range(10):
        one.happens("kiosk")
        one.dice("kiosk").random()
    assert [one.happens("gift_order") for _ in range(50)] == [
        other.happens("gift_order") for _ in range(50)
    ]
