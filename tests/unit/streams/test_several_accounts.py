"""One account's identifiers belong together, whatever becomes of the device it signed in at."""

import itertools

import pytest

from models.commands import fields_of
from models.events import CrmMerge, CrmSplit, Event, ProductView, SignIn
from models.evidence import pair_of
from models.forest import settle
from models.header import decode_header
from models.identifiers import NodeId
from models.units import AdvertiserId
from streams.stages.persons import Touched
from tests.contract.stores import just
from tests.fakes.installation import Installation

SHOP = AdvertiserId("shop")
TABLET = NodeId("k" + "t" * 22)
ANNA, BORIS, CLARA = (NodeId("c" + letter * 22) for letter in "abc")
ANNAS_PHONE, BORIS_PHONE = NodeId("p" + "a" * 22), NodeId("p" + "b" * 22)


def signed_in(at: int, *account: NodeId) -> SignIn:
    ids = (TABLET, *account)
    return SignIn(event_id=str(at), ids=ids, event_time_ms=at, advertiser=SHOP)


SHARED = [signed_in(1, ANNA, ANNAS_PHONE), signed_in(2, BORIS, BORIS_PHONE)]


def after(*events: Event) -> Installation:
    installation = Installation()
    installation.tell(*events)
    return installation


def persons(installation: Installation, *nodes: NodeId) -> set[frozenset[NodeId]]:
    return {frozenset(installation.store.run(settle(installation.keys, n)).members) for n in nodes}


@pytest.mark.parametrize("events", list(itertools.permutations(SHARED)))
def test_at_a_shared_device_an_account_is_one_person_with_all_its_identifiers(
    events: tuple[SignIn, ...],
) -> None:
    installation = after(*events)
    assert persons(installation, TABLET, ANNA, ANNAS_PHONE, BORIS, BORIS_PHONE) == {
        frozenset({TABLET}), frozenset({ANNA, ANNAS_PHONE}), frozenset({BORIS, BORIS_PHONE}),
    }  # fmt: skip


def test_what_an_account_brings_together_at_a_shared_device_is_in_its_bid_view() -> None:
    looked = ProductView(
        event_id="0", ids=(ANNAS_PHONE,), event_time_ms=1, advertiser=SHOP, item="hat"
    )
    installation = after(looked, *reversed(SHARED))
    reply = installation.store.run(just(("HGETALL", installation.keys.bid_view(ANNA))))
    view = fields_of(reply[0])
    assert decode_header(view[b"h"]).dealings[SHOP].items == ("hat",)


def test_cards_that_are_split_together_are_all_apart() -> None:
    merges = [
        CrmMerge(event_id=f"{n}", ids=(CLARA, one), event_time_ms=n)
        for n, one in enumerate((ANNA, BORIS))
    ]
    chain = CrmMerge(event_id="3", ids=(ANNA, BORIS), event_time_ms=3)
    split = CrmSplit(event_id="4", ids=(CLARA, ANNA, BORIS), event_time_ms=4)
    assert len(persons(after(*merges, chain), ANNA, BORIS, CLARA)) == 1
    told: list[Event] = [*merges, chain, split]
    for events in itertools.permutations(told):
        assert len(persons(after(*events), ANNA, BORIS, CLARA)) == 3


def test_the_view_of_whom_a_link_concerns_is_written_though_the_device_is_somebody_elses() -> None:
    other = pair_of(ANNA, ANNAS_PHONE)
    touched = Touched(TABLET, BORIS, pairs=(pair_of(TABLET, BORIS), other))
    assert touched.others == {other[0]}
