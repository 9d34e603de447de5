"""All links of a person, those that were withdrawn and those of crowded identifiers included."""

import itertools

from models.evidence import DEFAULT_LIMITS, Evidence, Limits, Verdict, pair_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.links import judge, link
from models.own_links import survey_links, survey_past
from tests.fakes.memory_store import MemoryStore, run

KEYS = Keys("o")
SIGN_IN = Evidence("sign_in", 1)
TABLET, EMAIL, PHONE, OTHER = (
    NodeId(letter + letter * 22) for letter in ("k", "e", "p", "i")
)  # fmt: skip


class World:
    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.store, self.limits = MemoryStore(), limits
        self.tokens = (f"t{n}" for n in itertools.count())

    def link(self, a: NodeId, b: NodeId) -> None:
        steps = link(KEYS, a, b, SIGN_IN, lambda: next(self.tokens), limits=self.limits)
        run(self.store, steps)

    def judge(self, a: NodeId, b: NodeId, verdict: Verdict) -> None:
        run(self.store, judge(KEYS, a, b, verdict, lambda: next(self.tokens), limits=self.limits))


def test_a_withdrawn_link_is_found_from_whichever_identifier_of_the_person() -> None:
    world = World()
    world.link(TABLET, EMAIL)
    world.link(EMAIL, PHONE)
    world.link(PHONE, OTHER)
    world.judge(EMAIL, PHONE, "rejected")
    for start in (TABLET, EMAIL):
        found = run(world.store, survey_links(KEYS, start, world.limits))
        edge = found.edges[pair_of(EMAIL, PHONE)]
        assert (edge.verdict, edge.evidence) == ("rejected", SIGN_IN)
        # What left with it is there too, so that its leaving can be told.
        assert pair_of(PHONE, OTHER) in found.edges


def test_the_links_of_a_crowded_identifier_are_found_with_both_of_their_ends() -> None:
    world = World(Limits(device_links=2))
    accounts = [NodeId(f"e{number:022d}") for number in range(3)]
    for account in accounts:
        world.link(TABLET, account)
    found = run(world.store, survey_links(KEYS, TABLET, world.limits))
    pairs = {pair_of(TABLET, account) for account in accounts}
    assert pairs.issubset(found.edges)
    assert TABLET in found.overloaded


def test_the_past_holds_the_links_of_a_crowded_neighbour_and_what_lies_behind_parted_ones() -> None:
    world = World(Limits(device_links=2))
    accounts = [NodeId(f"e{number:022d}") for number in range(3)]
    for account in accounts:
        world.link(TABLET, account)
    world.link(PHONE, OTHER)
    found = run(world.store, survey_links(KEYS, accounts[0], world.limits))
    assert pair_of(TABLET, accounts[1]) not in found.edges
    parted = [pair_of(accounts[0], PHONE), pair_of(TABLET, EMAIL)]
    found = run(world.store, survey_past(KEYS, accounts[0], world.limits, parted))
    assert {pair_of(TABLET, account) for account in accounts}.issubset(found.edges)
    assert pair_of(PHONE, OTHER) in found.edges
    assert EMAIL not in found.nodes
    assert set(run(world.store, survey_past(KEYS, PHONE, world.limits)).nodes) == {PHONE, OTHER}


def test_looking_changes_nobody() -> None:
    world = World()
    world.link(TABLET, EMAIL)
    world.judge(TABLET, PHONE, "rejected")
    before = world.store.canonical()
    run(world.store, survey_links(KEYS, EMAIL, world.limits))
    assert world.store.canonical() == before
    assert set(run(world.store, settle(KEYS, EMAIL)).members) == {TABLET, EMAIL}
