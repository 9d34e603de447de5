"""Touches: a kind for every event, a letter for every channel, keys that can be read back."""

import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.event_base import CHANNELS, Channel
from models.events import Event, PageView, ProductView
from models.interests import booking_steps, cart_items, contacts, interests, trip_searches
from models.touches import CHANNEL_OF, KINDS, LETTER_OF, kind_of, timeline
from models.units import AdvertiserId
from tests.fakes.records import NODES, events, folded

SHOP = AdvertiserId("shop")


def test_every_kind_of_event_and_every_channel_has_a_letter_of_its_own() -> None:
    assert typing.get_args(Channel) == CHANNELS
    assert [CHANNEL_OF[LETTER_OF[name]] for name in CHANNELS] == list(CHANNELS)
    kinds = [kind for record in typing.get_args(Event) if (kind := kind_of(record)) is not None]
    assert {(kind.letter, kind.name) for kind in kinds} == {
        (k.letter, k.name) for k in KINDS.values()
    }
    assert len(KINDS) == len({kind.name for kind in kinds})


@given(st.lists(events, max_size=40))
def test_whatever_is_kept_can_be_read_back(history: list[Event]) -> None:
    facet = folded(history)
    found = timeline(facet.touches, newest=1_000)
    assert found == sorted(found)
    assert len(found) == sum(map(len, facet.touches.values()))
    for read in (trip_searches, interests, cart_items, booking_steps, contacts):
        read(facet)


def test_the_newest_of_a_kind_are_kept_whatever_the_order() -> None:
    kept = KINDS["v"].kept
    views: list[Event] = [
        ProductView(
            event_id="1", ids=(NODES[0],), event_time_ms=n * 1_000, advertiser=SHOP, item=f"{n:02}"
        )
        for n in range(1, kept + 5)
    ]
    newest = [f"{n:02}" for n in range(5, kept + 5)]
    assert sorted(one.item for one in interests(folded(views))) == newest
    assert folded(views[::-1]).touches == folded(views).touches


@pytest.mark.parametrize("page", ["/deals", "/" + "a" * 2_000])
def test_a_long_page_is_cut_where_it_is_kept(page: str) -> None:
    seen = PageView(event_id="1", ids=(NODES[0],), event_time_ms=1, advertiser=SHOP, page=page)
    (touch,) = timeline(folded([seen]).touches)
    assert touch.key == f"shop/{page[:64]}"
