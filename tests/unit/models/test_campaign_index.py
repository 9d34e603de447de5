"""The index of campaigns, against asking each campaign by itself."""

import random
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.campaign_index
from models.campaign_index import CONTEXTUAL, CampaignIndex, Facts, Query
from models.catalog_records import Campaign
from models.units import AdvertiserId, CampaignId

DIMENSIONS = ("audience", "place", "hour")
VALUES = ("a", "b", "c")

values = st.lists(st.sampled_from(VALUES), max_size=2, unique=True).map(tuple)
facts = st.fixed_dictionaries(dict.fromkeys(DIMENSIONS, values))
queries = st.dictionaries(st.sampled_from(DIMENSIONS), values)
names = st.integers(0, 40)
steps = st.lists(st.tuples(names, st.none() | facts, st.integers(0, 2), queries), max_size=60)


def campaign(number: int, cpm_micros: int = 0) -> Campaign:
    return Campaign(
        id=CampaignId(f"c{number:03d}"), advertiser=AdvertiserId("air"), goal=CONTEXTUAL,
        contextual_cpm_micros=cpm_micros,
    )  # fmt: skip


def brute_force(known: Iterable[tuple[Campaign, Facts]], query: Query) -> list[Campaign]:
    """Every campaign whose list in every dimension is empty or shares a value."""
    passing = [
        one for one, told in known
        if all(not told[name] or set(told[name]) & set(wanted) for name, wanted in query.items())
    ]  # fmt: skip
    return sorted(passing, key=lambda one: (-one.contextual_cpm_micros, one.id))


def ask(index: CampaignIndex, query: Mapping[str, tuple[str, ...]]) -> list[Campaign]:
    return list(index.candidates(tuple(query.items()), query))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.campaign_index, "BLOCK", 4)
    monkeypatch.setattr(models.campaign_index, "SLICE", 2)


@given(steps, st.integers(0, 60))
def test_the_index_finds_what_brute_force_finds_after_any_changes(
    changes: list[tuple[int, Facts | None, int, Query]], loaded: int
) -> None:
    index, known = CampaignIndex(), dict[int, tuple[Campaign, Facts]]()
    for number, (name, told, cpm, query) in enumerate(changes):
        if told is None:
            index.remove(campaign(name).id)
            known.pop(name, None)
        else:
            known[name] = campaign(name, cpm), told
            index.put(*known[name])
        if number >= loaded:
            assert ask(index, query) == brute_force(known.values(), query)
    assert ask(index, {}) == brute_force(known.values(), {})


@given(st.lists(facts, min_size=1, max_size=12), queries)
def test_whoever_asks_for_the_first_only_leaves_the_rest_for_the_next(
    told: list[Facts], query: Query
) -> None:
    index = CampaignIndex()
    known = [(campaign(number), one) for number, one in enumerate(told)]
    for one in known:
        index.put(*one)
    expected = brute_force(known, query)
    candidates = index.candidates(("q",), query)
    first = next(iter(candidates), None)
    assert first == (expected[0] if expected else None)
    assert list(candidates) == list(index.candidates(("q",), query)) == expected


def test_a_dimension_is_restricted_while_a_campaign_asks_for_values() -> None:
    index = CampaignIndex()
    index.put(campaign(1), {"place": ("a",), "hour": ()})
    index.put(campaign(2), {"place": ("b",), "hour": ()})
    assert index.restricted == {"place"}
    index.put(campaign(1), {"place": (), "hour": ()})
    assert index.restricted == {"place"}
    index.remove(campaign(2).id)
    assert index.restricted == set()


def test_answers_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models.campaign_index, "KEPT_ANSWERS", 2)
    index = CampaignIndex()
    index.put(campaign(1), {"place": ("a",)})
    for value in "abcdef":
        assert len(ask(index, {"place": (value,)})) == (value == "a")
    assert len(index._answers) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_many_that_are_put_in_and_taken_out_one_by_one_stay_in_order(seed: int) -> None:
    """In more than ten blocks, which are halved as they grow and go when they are empty."""
    chance = random.Random(seed)
    index, known = CampaignIndex(), dict[int, tuple[Campaign, Facts]]()
    ask(index, {})  # from now on each change is made by itself
    for name in chance.sample(range(100), 100):
        told = {"place": (chance.choice(VALUES),), "hour": (), "audience": ()}
        known[name] = campaign(name, chance.randrange(3)), told
        index.put(*known[name])
    for query in ({}, {"place": ("a",)}, {"place": ("b", "c")}):
        assert ask(index, query) == brute_force(known.values(), query)
    assert max(len(block.places) for block in index._blocks) <= 4
    for name in chance.sample(range(100), 90):
        index.remove(campaign(name).id)
        del known[name]
        assert ask(index, {"place": ("a",)}) == brute_force(known.values(), {"place": ("a",)})
