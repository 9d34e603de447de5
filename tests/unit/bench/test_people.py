import random
from collections.abc import Callable

import pytest

from benchmarks.bench.people import EPOCH_MS, People, Trio
from models.events import CrmCard, Event, SignIn, decode_event, encode
from models.identifiers import is_crm, is_device

PEOPLE = People(seed=7)
TRIO = PEOPLE.trio(3)


def test_identifiers_are_a_function_of_seed_and_number() -> None:
    assert People(7).trio(3) == TRIO
    assert len({*People(8).trio(3), *TRIO, *PEOPLE.trio(4), PEOPLE.stranger(3)}) == 10
    assert is_crm(TRIO.crm)
    assert is_device(TRIO.cookie)
    assert not is_device(TRIO.email)


@pytest.mark.parametrize("count", [5, 50])
def test_a_history_links_its_three_identifiers_and_has_the_length_asked_for(count: int) -> None:
    history = list(PEOPLE.history(TRIO, random.Random(1), count))
    assert len(history) == count
    assert [type(event) for event in history[:2]] == [CrmCard, SignIn]
    assert {node for event in history for node in event.ids} <= set(TRIO)
    assert {node for event in history if len(event.ids) > 1 for node in event.ids} == set(TRIO)


def a_plain_event() -> Event:
    return PEOPLE.plain(random.Random(1), TRIO, EPOCH_MS)


def a_merge() -> Event:
    return PEOPLE.merge(PEOPLE.stranger(1), TRIO, EPOCH_MS)


@pytest.mark.parametrize("make", [a_plain_event, a_merge])
def test_events_pass_the_checks_of_their_reader(make: Callable[[], Event]) -> None:
    event = make()
    assert decode_event(encode(event)) == event
    for past in PEOPLE.history(TRIO, random.Random(1), 60):
        assert decode_event(encode(past)) == past


def test_a_plain_event_links_nothing_and_a_merge_leads_to_a_crm_id() -> None:
    rng = random.Random(2)
    assert all(len(PEOPLE.plain(rng, TRIO, EPOCH_MS).ids) == 1 for _ in range(100))
    merging = PEOPLE.merge(PEOPLE.stranger(1), Trio(*TRIO), EPOCH_MS)
    assert merging.ids == (PEOPLE.stranger(1), TRIO.crm)
