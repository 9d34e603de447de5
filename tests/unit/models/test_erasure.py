"""How much is held of an identifier, whatever kind of events it has."""

from typing import get_args

import pytest

from models.erasure import holding
from models.events import Event
from models.facets import encode_facet
from models.keys import Keys
from models.touches import kind_of
from tests.fakes.memory_store import MemoryStore, run
from tests.fakes.records import folded
from tests.unit.models.test_deeds import DEEDS, MESSAGES, TOLD_BY_OTHERS

TOUCHING = [one for one in get_args(Event) if kind_of(one) is not None]


@pytest.mark.parametrize("kind", TOUCHING)
def test_no_event_of_an_identifier_is_newer_than_what_is_held_of_it(kind: type[Event]) -> None:
    """Nor by part of the second to which times are cut."""
    event = next(one for one in [*DEEDS, *TOLD_BY_OTHERS, *MESSAGES] if isinstance(one, kind))
    keys, store, node = Keys("o"), MemoryStore(), event.ids[0]
    store.execute(("HSET", keys.person(node), f"f:{node}@1", encode_facet(folded([event]))))
    held = run(store, holding(keys, node))
    assert held.events == 1
    assert held.newest_ms > event.event_time_ms
