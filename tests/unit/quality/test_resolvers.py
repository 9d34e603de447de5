"""Persons out of records: the baselines by example, and kinbid's own path end to end."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks.quality import (
    NOISE_KINDS,
    Agreement,
    NoiseRates,
    Resolver,
    World,
    judge_shared,
    last_sign_in,
    make_world,
    naive_union,
    resolve_on_redis,
    right_links_only,
    share_out,
)
from kinbid.engines import RedisEngine
from models.events import CrmCard, CrmMerge, CrmSplit, Event, PageView, SignIn
from models.identifiers import NodeId
from models.keys import Keys
from models.units import AdvertiserId
from tests.unit.quality.streams_in_memory import persons_of, resolve_in_memory

PERSONS = 60
RATES = NoiseRates()
CONFUSED = NoiseRates(crm_duplicate_ratio=0.3, wrong_merge_ratio=0.3)
SHOP = AdvertiserId("shop")

DEVICE, OTHER, CRM, CRM_2, EMAIL = (
    NodeId(letter * 2 + "x" * 21) for letter in ("k", "i", "c", "d", "e")
)
CRM_2 = NodeId("c" + CRM_2[1:])


def sign_in(at_ms: int, device: NodeId, account: NodeId) -> Event:
    return SignIn(event_id=f"s{at_ms}", ids=(device, account), event_time_ms=at_ms, advertiser=SHOP)


def card(at_ms: int, *ids: NodeId) -> Event:
    return CrmCard(event_id=f"c{at_ms}", ids=ids, event_time_ms=at_ms)


def merge(at_ms: int, *ids: NodeId) -> Event:
    return CrmMerge(event_id=f"m{at_ms}", ids=ids, event_time_ms=at_ms)


def split(at_ms: int, *ids: NodeId) -> Event:
    return CrmSplit(event_id=f"p{at_ms}", ids=ids, event_time_ms=at_ms)


def seen(at_ms: int, *ids: NodeId) -> Event:
    return PageView(event_id=f"v{at_ms}", ids=ids, event_time_ms=at_ms, advertiser=SHOP, page="/")


# -- baselines ------------------------------------------------------------------------------


def test_the_last_sign_in_takes_the_device_whenever_it_arrives() -> None:
    told = [sign_in(5, DEVICE, CRM_2), sign_in(3, DEVICE, CRM), seen(6, DEVICE, OTHER)]
    found = last_sign_in(told)
    assert found == {DEVICE: CRM_2, CRM_2: CRM_2, CRM: CRM, OTHER: OTHER}
    assert last_sign_in(told[::-1]) == found


def test_the_last_sign_in_knows_accounts_by_the_newest_card() -> None:
    told = [sign_in(5, DEVICE, EMAIL), card(9, CRM_2, EMAIL), card(2, CRM, EMAIL)]
    assert last_sign_in(told)[DEVICE] == CRM_2
    assert last_sign_in([sign_in(5, DEVICE, EMAIL)])[DEVICE] == EMAIL


def test_naive_union_joins_whatever_is_seen_together() -> None:
    told = [sign_in(1, DEVICE, CRM), sign_in(2, DEVICE, CRM_2), seen(3, OTHER)]
    assert persons_of(naive_union(told)) == {
        frozenset({DEVICE, CRM, CRM_2}), frozenset({OTHER}),
    }  # fmt: skip


def test_right_links_are_those_between_nodes_of_one_owner() -> None:
    told = [sign_in(1, DEVICE, CRM), sign_in(2, DEVICE, CRM_2), seen(3, OTHER, EMAIL)]
    found = right_links_only(told, {DEVICE: 1, CRM: 1, CRM_2: 2, EMAIL: 1})
    assert persons_of(found) == {
        frozenset({DEVICE, CRM}), frozenset({CRM_2}), frozenset({OTHER}), frozenset({EMAIL}),
    }  # fmt: skip


def right_links(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    return right_links_only(events, {CRM: 1, CRM_2: 1})


@pytest.mark.parametrize("resolve", [last_sign_in, naive_union, right_links])
def test_the_newest_word_on_two_cards_is_believed_whenever_it_arrives(resolve: Resolver) -> None:
    early, late = merge(1, CRM, CRM_2), merge(5, CRM_2, CRM)
    for words, are_one in (
        ([early], True), ([early, split(3, CRM_2, CRM)], False),
        ([early, split(1, CRM, CRM_2)], False), ([late, split(3, CRM, CRM_2), early], True),
    ):  # fmt: skip
        for told in (words, words[::-1]):
            found = resolve([card(0, CRM, EMAIL), *told])
            assert (found[CRM] == found[CRM_2]) is are_one


def test_the_last_sign_in_takes_merged_cards_for_one() -> None:
    told = [card(0, CRM_2, EMAIL), sign_in(2, DEVICE, CRM), sign_in(3, OTHER, EMAIL)]
    assert len(persons_of(last_sign_in(told))) == 2
    assert len(persons_of(last_sign_in([*told, merge(4, CRM, CRM_2)]))) == 1


# -- kinbid's path --------------------------------------------------------------------------


def agreement(resolved: dict[NodeId, NodeId], world: World) -> Agreement:
    return Agreement.of(resolved, world.owned)


def shuffled(events: Sequence[Event], seed: int) -> list[Event]:
    return random.Random(seed).sample(events, len(events))


def test_every_record_goes_to_one_worker_under_its_key() -> None:
    world = make_world(1, PERSONS, RATES)
    digesting = share_out(Keys("o"), world.events, 3)
    batches = [batch for worker in digesting for batch in worker.batches()]
    assert len(digesting) == 3
    assert sum(map(len, batches)) >= len({event.ids[0] for event in world.events})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_noise_kinbid_finds_all_that_the_evidence_gives(seed: int) -> None:
    world = make_world(seed, PERSONS, RATES.only("cookie_churn"))
    found = resolve_in_memory(world.events)
    assert persons_of(found) == persons_of(right_links_only(world.events, world.owned))
    assert agreement(found, world).precision == 1.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_noise_order_interleaving_and_redelivery_change_nothing(seed: int) -> None:
    world = make_world(seed, PERSONS, RATES.only("cookie_churn"))
    expected = persons_of(resolve_in_memory(world.events))
    again = [*world.events, *shuffled(world.events, seed)]
    for told, workers, schedule in (
        (world.events, 2, 5), (shuffled(world.events, 1), 3, 6), (again, 4, 7),
    ):  # fmt: skip
        resolved = resolve_in_memory(told, workers=workers, schedule=schedule)
        assert persons_of(resolved) == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_all_noise_order_interleaving_and_redelivery_change_nothing(seed: int) -> None:
    """Conflicts, kiosks and recycled phones included: persons follow from the set of evidence."""
    world = make_world(seed, PERSONS, RATES)
    expected = persons_of(resolve_in_memory(world.events))
    again = [*world.events, *shuffled(world.events, seed)]
    for told, workers, schedule in ((shuffled(world.events, 1), 3, 6), (again, 4, 7)):
        assert persons_of(resolve_in_memory(told, workers=workers, schedule=schedule)) == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_merges_by_mistake_that_the_crm_split_again_leave_no_trace(seed: int) -> None:
    world = make_world(seed, PERSONS, CONFUSED)
    told = shuffled(world.events, seed)
    apart = {frozenset(event.ids) for event in told if isinstance(event, CrmSplit)}
    never = [event for event in told if frozenset(event.ids) not in apart]
    unsplit = [event for event in told if not isinstance(event, CrmSplit)]
    persons = persons_of(resolve_in_memory(told))
    assert persons == persons_of(resolve_in_memory(never))
    assert persons != persons_of(resolve_in_memory(unsplit))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_duplicate_card_is_its_customers_once_the_crm_has_merged_it(seed: int) -> None:
    rates = msgspec.structs.replace(RATES, crm_duplicate_ratio=0.3, merged_duplicate_ratio=1.0)
    world = make_world(seed, PERSONS, rates.alone("merged_duplicate"))
    found = resolve_in_memory(world.events)
    assert persons_of(found) == persons_of(right_links_only(world.events, world.owned))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("rates", [RATES, *map(RATES.alone, NOISE_KINDS)])
def test_kinbid_is_never_less_precise_than_naive_union(seed: int, rates: NoiseRates) -> None:
    world = make_world(seed, PERSONS, rates)
    ours = agreement(resolve_in_memory(world.events), world)
    assert ours.precision >= agreement(naive_union(world.events), world).precision


@pytest.mark.xfail(
    reason="wrong evidence that nothing contradicts is believed: borrowed devices, recycled phones",
    strict=True,
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kinbid_is_never_less_precise_than_the_last_sign_in(seed: int) -> None:
    world = make_world(seed, PERSONS, RATES)
    ours = agreement(resolve_in_memory(world.events), world)
    assert ours.precision >= agreement(last_sign_in(world.events), world).precision


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kinbid_finds_more_than_the_last_sign_in(seed: int) -> None:
    world = make_world(seed, PERSONS, RATES)
    ours = agreement(resolve_in_memory(world.events), world)
    theirs = agreement(last_sign_in(world.events), world)
    assert ours.recall > theirs.recall
    assert ours.reach_inflation < theirs.reach_inflation


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kinbid_fuses_no_family_by_the_landline_on_its_cards(seed: int) -> None:
    """Where naive union fuses all of them."""
    world = make_world(seed, PERSONS, RATES.only("family_line"))
    ours, naive = resolve_in_memory(world.events), naive_union(world.events)
    assert agreement(ours, world).mixed_persons == 0
    assert judge_shared(ours, world.owned, world.shared).right_rate == 1.0
    assert judge_shared(naive, world.owned, world.shared).right_rate == 0.0


@pytest.mark.integration
@pytest.mark.parametrize("workers", [1, 3])
def test_a_real_redis_gives_the_same_persons(tmp_path: Path, workers: int) -> None:
    world = make_world(1, PERSONS, RATES.only("cookie_churn"))
    with RedisEngine.start(tmp_path) as engine:
        for _ in range(2):  # the second finds nothing of the first
            found = asyncio.run(resolve_on_redis(engine.url, world.events, workers=workers))
            assert persons_of(found) == persons_of(resolve_in_memory(world.events))


@pytest.mark.parametrize("resolve", [last_sign_in, naive_union, resolve_in_memory])
def test_every_resolver_says_something_about_every_node(resolve: Resolver) -> None:
    world = make_world(1, 10, RATES)
    assert resolve(world.events).keys() == world.owned.keys() | world.shared.keys()
