"""How much is held of an identifier, whatever kind of events it has."""

from typing import get_args

import pytest

from models.consents import withdrawn_in
from models.erasure import Holding, holding
from models.events import CarriedConsent, Event
from models.facets import encode_facet
from models.keys import Keys
from models.touches import kind_of
from tests.fakes.memory_store import MemoryStore, run
from tests.fakes.records import folded
from tests.unit.models.test_deeds import DEEDS, MESSAGES, TOLD_BY_OTHERS

TOUCHING = [one for one in get_args(Event) if kind_of(one) is not None]
CARRIED = next(one for one in TOLD_BY_OTHERS if isinstance(one, CarriedConsent))


def held_after(event: Event) -> Holding:
    keys, store, node = Keys("o"), MemoryStore(), event.ids[0]
    store.execute(("HSET", keys.person(node), f"f:{node}@1", encode_facet(folded([event]))))
    return run(store, holding(keys, node))


@pytest.mark.parametrize("kind", TOUCHING)
def test_no_event_of_an_identifier_is_newer_than_what_is_held_of_it(kind: type[Event]) -> None:
    """Nor by part of the second to which times are cut."""
    event = next(one for one in [*DEEDS, *TOLD_BY_OTHERS, *MESSAGES] if isinstance(one, kind))
    held = held_after(event)
    assert held.events == 1
    assert held.newest_ms > event.event_time_ms


def test_nor_is_a_carried_word_which_is_nothing_that_may_not_be_left() -> None:
    held = held_after(CARRIED)
    assert held.newest_ms == CARRIED.event_time_ms
    assert held.is_empty
    assert withdrawn_in([held.consents]) == CARRIED.withdrawn
