"""Canaries: what they say, how a lookup shows it, and what becomes of those that are lost."""

import math

import pytest

from benchmarks.bench.canary import KINDS, Kind, make_canary, quantile, summary
from benchmarks.bench.people import People
from benchmarks.bench.site import BenchError
from bidder.lookup import Found
from models.dealings import Dealings
from models.profile import Header, Person

PEOPLE = People(seed=7)


def found(items: tuple[str, ...] = (), *, is_merged: bool = False) -> Found:
    root = PEOPLE.trio(-2).crm if is_merged else PEOPLE.stranger(-2)
    header = Header({"shop": Dealings(items=items)})
    return Found(Person(node=root, root=root, header=header), is_known=True)


@pytest.mark.parametrize("kind", ["new visitor", "known person"])
def test_a_look_is_seen_when_its_product_is(kind: Kind) -> None:
    canary = make_canary(PEOPLE, kind, -2)
    assert not canary.is_seen_in(found(("item-1",)))
    assert canary.is_seen_in(found(("canary", "item-1")))


def test_a_merge_is_seen_when_the_cookie_leads_to_the_crm_id() -> None:
    canary = make_canary(PEOPLE, "sign-in that merges", -2)
    assert canary.event.ids[0] == PEOPLE.stranger(-2)
    assert not canary.is_seen_in(found())
    assert canary.is_seen_in(found(is_merged=True))


def test_canaries_speak_of_different_identifiers() -> None:
    nodes = {
        make_canary(PEOPLE, kind, number).event.ids[0] for kind in KINDS for number in (-2, -3)
    }
    assert len(nodes) == 6


def test_quantiles_are_those_of_all_that_were_sent() -> None:
    seen = summary({"known person": [float(number) for number in range(1, 101)]})["known person"]
    assert (seen.canaries, seen.p50_ms, seen.p99_ms, seen.max_ms) == (100, 50, 99, 100)
    assert summary({"new visitor": [4.0]})["new visitor"].p99_ms == 4


def test_a_lost_canary_is_no_fast_one() -> None:
    delays = [10.0] * 80 + [math.inf] * 20
    assert quantile(delays, 0.99) == math.inf
    with pytest.raises(BenchError, match=r"20 of 100 canaries \(new visitor\) were not seen"):
        summary({"new visitor": delays})
    with pytest.raises(BenchError, match="3 of 3"):
        summary({"known person": [1.0], "new visitor": [math.inf] * 3})
