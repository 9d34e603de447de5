"""The law of facets: in whatever order and under whichever identifiers, the same events make the
same person; and whatever the history, a facet stays within its bound.
"""

import itertools
import random
from collections.abc import Sequence
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from models.events import CrmCard, Event, PageView, SignIn
from models.facets import (
    KEPT_SIGN_INS,
    MAX_FACET_BYTES,
    Facet,
    attributes,
    decode_facet,
    encode_facet,
    export_facet,
    fold_event,
    merge,
)
from models.identifiers import NodeId
from models.identity import decode_watermark
from models.units import DAY_MS, AdvertiserId
from tests.fakes.heavy import LETTER, heavy_events
from tests.fakes.records import NODES, START_MS, events, folded

histories = st.lists(events, max_size=12)
long_histories = st.lists(events, min_size=20, max_size=60)
AIR = AdvertiserId("air")


def bare(facet: Facet) -> bytes:
    """The facet without its watermark, which counts records however they were split."""
    return export_facet(msgspec.structs.replace(facet, watermark=0))


@given(histories, histories)
def test_merging_is_commutative(one: list[Event], other: list[Event]) -> None:
    a, b = folded(one), folded(other)
    assert export_facet(merge([a, b])) == export_facet(merge([b, a]))


@given(histories, histories, histories)
def test_merging_is_associative(x: list[Event], y: list[Event], z: list[Event]) -> None:
    a, b, c = folded(x), folded(y), folded(z)
    assert export_facet(merge([merge([a, b]), c])) == export_facet(merge([a, merge([b, c])]))


@given(histories)
def test_nothing_is_the_unit(history: list[Event]) -> None:
    facet = folded(history)
    assert merge([facet]) == merge([Facet(), facet]) == merge([facet, Facet()]) == facet
    assert merge([]) == Facet()


@given(histories, events)
def test_folding_an_event_is_merging_what_it_says(history: list[Event], event: Event) -> None:
    before = folded(history)
    alone = fold_event(Facet(), event, 0)
    assert bare(fold_event(before, event, len(history))) == bare(merge([before, alone]))


@given(st.data(), histories | long_histories)
def test_late_and_out_of_order_events_give_the_same_facet(
    data: st.DataObject, history: list[Event]
) -> None:
    shuffled = data.draw(st.permutations(history))
    assert export_facet(folded(shuffled)) == export_facet(folded(history))


@given(st.data(), histories | long_histories)
def test_it_does_not_matter_under_which_identifiers_events_came(
    data: st.DataObject, history: list[Event]
) -> None:
    parts: list[list[Event]] = [[] for _ in range(4)]
    for event in data.draw(st.permutations(history)):
        parts[data.draw(st.integers(0, 3))].append(event)
    person = merge(folded(part) for part in parts)
    assert export_facet(person) == export_facet(folded(history))


@given(st.data(), histories | long_histories)
def test_an_event_in_two_records_is_one_but_for_the_count_of_what_was_browsed(
    data: st.DataObject, history: list[Event]
) -> None:
    once = folded(history)
    again = folded(data.draw(st.permutations([*history, *history])))
    doubled = {letter: 2 * count for letter, count in once.counts.items()}
    assert bare(again) == bare(msgspec.structs.replace(once, counts=doubled))
    assert set(doubled) <= set("pvsqcbw")


@given(st.lists(histories, max_size=4))
def test_a_profile_does_not_depend_on_the_order_of_its_identifiers(
    many: list[list[Event]],
) -> None:
    facets = [folded(history) for history in many]
    first = export_facet(merge(facets))
    for permuted in itertools.islice(itertools.permutations(facets), 24):
        assert export_facet(merge(permuted)) == first


@given(histories)
def test_the_watermark_rises_with_every_event(history: list[Event]) -> None:
    assert folded(history).watermark == len(history) - 1
    assert merge([folded(history), folded(history)]).watermark == 2 * len(history) - 1


@given(histories | long_histories)
def test_a_facet_survives_its_encoding(history: list[Event]) -> None:
    facet = folded(history)
    assert decode_facet(encode_facet(facet)) == facet
    assert export_facet(decode_facet(encode_facet(facet))) == export_facet(facet)
    assert decode_watermark(encode_facet(facet)) == facet.watermark
    assert decode_watermark(encode_facet(Facet())) == -1


def largest(history: Sequence[Event]) -> int:
    """The longest that their person ever is; joined by hundreds, which is quicker than folding."""
    person, most = Facet(), 0
    for begin in range(0, len(history), 500):
        person = merge([person, folded(history[begin : begin + 500])])
        most = max(most, len(export_facet(person)))
    return most


def test_a_hundred_thousand_events_of_every_kind_and_the_longest_texts_stay_within_the_bound() -> (
    None
):
    heavy = heavy_events(random.Random(4), 100_000)
    assert {type(event) for event in heavy} == set(get_args(Event))
    assert 0.8 * MAX_FACET_BYTES < largest(heavy) < MAX_FACET_BYTES


def test_a_merge_of_heavy_facets_stays_within_the_bound_too() -> None:
    rng = random.Random(5)
    heavy = [folded(heavy_events(rng, 2_000)) for _ in range(8)]
    assert len(export_facet(merge(heavy))) < MAX_FACET_BYTES


def test_of_few_advertisers_a_heavy_facet_stays_within_the_bound_too() -> None:
    heavy = [
        msgspec.structs.replace(event, advertiser=event.advertiser[-1:].rjust(64, LETTER))
        if hasattr(event, "advertiser")
        else event
        for event in heavy_events(random.Random(6), 20_000)
    ]
    assert largest(heavy) < MAX_FACET_BYTES


def test_idle_time_alone_never_forgets_a_crm_person() -> None:
    """Nothing in a facet expires: after five silent years, one page view finds all of it there."""
    card = CrmCard(
        event_id="1", ids=(NODES[0],), event_time_ms=START_MS, city="Rome", birthday="1980-02-29"
    )
    later = PageView(
        event_id="2", ids=(NODES[1],), event_time_ms=START_MS + 5 * 365 * DAY_MS,
        advertiser=AIR, page="/",
    )  # fmt: skip
    known = attributes(merge([folded([card]), folded([later])]), third_party=False).values
    assert (known["city"].value, known["birthday"].value) == ("Rome", "1980-02-29")


def test_the_newest_sign_ins_are_kept_whatever_the_order() -> None:
    accounts = [NodeId(f"e{n:022}") for n in range(KEPT_SIGN_INS + 2)]
    signed_in: list[Event] = [
        SignIn(event_id="1", ids=(NODES[0], account), event_time_ms=time_ms + 1, advertiser=AIR)
        for time_ms, account in enumerate(accounts)
    ]
    newest = {account: time_ms + 1 for time_ms, account in enumerate(accounts) if time_ms > 1}
    assert folded(signed_in).sign_ins == folded(signed_in[::-1]).sign_ins == newest


def test_what_signed_in_is_the_account_and_no_further_name_of_the_device() -> None:
    ids = tuple(NodeId(letter + letter * 22) for letter in "kisxyuelpc")
    signed_in: list[Event] = [
        SignIn(event_id="1", ids=(ids[0], node), event_time_ms=1, advertiser=AIR)
        for node in ids[1:]
    ]
    assert sorted(folded(signed_in).sign_ins) == sorted(ids[-4:])


def test_an_unremarkable_event_still_moves_channel_count_and_watermark() -> None:
    seen = PageView(event_id="1", ids=(NODES[0],), event_time_ms=7_000, advertiser=AIR, page="/")
    facet = fold_event(Facet(), seen, 41)
    assert (facet.watermark, facet.channels, facet.counts) == (41, {"w": 7}, {"p": 1})
    assert facet.touches == {"p": {"wair//": 7}}
