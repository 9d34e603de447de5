"""How customers fare whose cards the CRM merges and splits: three cases by example."""

from collections.abc import Sequence

import pytest

from benchmarks.quality import CARD_METRICS, Resolver, World, judge_cards, naive_union
from models.events import CrmCard, CrmMerge, CrmSplit, Event
from models.identifiers import NodeId

CRM = [NodeId(f"c{number}" + "x" * 21) for number in range(6)]
EMAILS = [NodeId(f"e{number}" + "x" * 21) for number in range(6)]

CARDS: list[Event] = [
    CrmCard(event_id=f"c{number}", ids=(CRM[number], EMAILS[number]), event_time_ms=1)
    for number in range(6)
]


def merge(a: int, b: int) -> Event:
    return CrmMerge(event_id=f"m{a}{b}", ids=(CRM[a], CRM[b]), event_time_ms=2)


def split(a: int, b: int) -> Event:
    return CrmSplit(event_id=f"s{a}{b}", ids=(CRM[a], CRM[b]), event_time_ms=3)


def world_of(*words: Event) -> World:
    """Cards 0 and 1 are one customer's, 2 to 5 are each somebody's."""
    owner = [1, 1, 2, 3, 4, 5]
    owned = {node: owner[place] for nodes in (CRM, EMAILS) for place, node in enumerate(nodes)}
    return World(events=[*CARDS, *words], owned=owned, shared={}, chances={}, mishaps={})


def takes_nothing_back(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    return naive_union([event for event in events if not isinstance(event, CrmSplit)])


def believes_no_word(events: Sequence[Event]) -> dict[NodeId, NodeId]:
    return naive_union([event for event in events if isinstance(event, CrmCard)])


WORLD = world_of(merge(0, 1), merge(2, 3), merge(4, 5), split(5, 4))


@pytest.mark.parametrize(
    ("resolve", "found"),
    [
        # Of the customer's four nodes, six pairs, two stand on one card.
        (naive_union, (2 / 6, 1.0, 1.0, 0.0, 0.0)),
        (takes_nothing_back, (2 / 6, 1.0, 1.0, 1.0, 1.0)),
        (believes_no_word, (2 / 6, 2 / 6, 0.0, 0.0, 0.0)),
    ],
)
def test_each_case_is_told_by_the_customers_whom_it_is_about(
    resolve: Resolver, found: tuple[float, ...]
) -> None:
    told = judge_cards(WORLD, resolve, resolve(WORLD.events))
    assert tuple(told) == CARD_METRICS
    assert tuple(told.values()) == pytest.approx(found)


def test_a_trace_is_any_difference_to_a_world_in_which_the_two_were_never_merged() -> None:
    """Though they are apart, as they should be."""

    def leaves_a_node_behind(events: Sequence[Event]) -> dict[NodeId, NodeId]:
        found = naive_union(events)
        seen = any(isinstance(event, CrmSplit) for event in events)
        return found | {EMAILS[4]: NodeId("alone")} if seen else found

    told = judge_cards(WORLD, leaves_a_node_behind, leaves_a_node_behind(WORLD.events))
    assert (told["split_fused_rate"], told["split_trace_rate"]) == (0.0, 0.5)


def test_a_merge_that_stands_is_no_trace_of_one_that_was_split() -> None:
    both = world_of(merge(2, 3), merge(3, 4), split(3, 4))
    told = judge_cards(both, naive_union, naive_union(both.events))
    assert (told["mistaken_fused_rate"], told["split_trace_rate"]) == (1.0, 0.0)


def test_where_the_crm_says_nothing_nothing_is_at_fault() -> None:
    silent = world_of()
    told = judge_cards(silent, naive_union, naive_union(silent.events))
    assert list(told.values()) == [1.0, 1.0, 0.0, 0.0, 0.0]
