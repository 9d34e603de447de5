"""Looking around contested links, once for all that one look has seen."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.commands import Steps
from models.erasure import begin_erasure, disown, part_erased
from models.evidence import Evidence, Limits, pair_of
from models.export import canonical_person
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.links import Contested, Linked, follow, judge, link, look
from models.splits import note
from tests.fakes.memory_store import MemoryStore, run

KEYS = Keys("o")
LIMITS = Limits(person_ids=4, device_links=3)
NODES = tuple(
    NodeId(letter + digest * 22)
    for letter, digest in (("k", "a"), ("k", "b"), ("i", "d"), ("e", "e"), ("c", "x"), ("c", "y"))
)


class World:
    """A store, what is done to it, and how many commands and rounds that takes."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.store, self.limits = MemoryStore(), limits
        self._tokens = (f"t{number}" for number in itertools.count())
        self.commands = self.rounds = 0

    def token(self) -> str:
        return next(self._tokens)

    def count(self, steps: Steps[list[Linked]]) -> list[Linked]:
        """Runs it and counts its commands and rounds."""
        replies = None
        while True:
            try:
                commands = steps.send(replies)  # type: ignore[arg-type]  # None starts it
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            self.commands += len(commands)
            self.rounds += 1
            replies = [self.store.execute(command) for command in commands]

    def follow(self, told: Sequence[Contested]) -> list[Contested]:
        """Follows what can simply be followed; returns the rest."""
        found = [
            run(
                self.store, follow(KEYS, one.a, one.b, one.evidence, self.token, limits=self.limits)
            )
            for one in told
        ]
        return [one for one in found if isinstance(one, Contested)]

    def look(self, contested: Sequence[Contested]) -> list[Linked]:
        linked = self.count(look(KEYS, contested, self.token, limits=self.limits))
        self.note(linked)
        return linked

    def note(self, linked: Sequence[Linked]) -> None:
        for one in linked:
            if one.resettled is not None:
                run(self.store, note(KEYS, one.resettled))

    def state(self) -> object:
        """Who is whom, and which links are refused of which both ends have kept the evidence.

        One has not where it had too many links already. Why, where there is more than one reason,
        depends on where a look began; of contested marks there may be more than need be.
        """
        kept = {node: self.store.hash(KEYS.evidence(node).encode()) for node in NODES}
        refused = {
            (one, other)
            for one in NODES
            for other in NODES
            if f"e:{other}".encode() in kept[one] and f"e:{one}".encode() in kept[other]
            and f"s:{other}".encode() in kept[one]
        }  # fmt: skip
        return [canonical_person(run(self.store, settle(KEYS, node))) for node in NODES], refused


nodes = st.sampled_from(NODES)
told_links = st.lists(
    st.builds(
        lambda pair, at_ms, confidence: Contested(
            pair[0],
            pair[1],
            Evidence("sign_in" if confidence == 100 else "call_session", at_ms, confidence),
        ),
        st.lists(nodes, min_size=2, max_size=2, unique=True), st.integers(1, 9),
        st.sampled_from([100, 100, 70, 10]),
    ),
    max_size=12,
)  # fmt: skip


@given(told=told_links, sizes=st.lists(st.integers(1, 6), max_size=6))
def test_a_batch_that_is_looked_at_once_ends_as_one_link_after_another(
    told: list[Contested], sizes: list[int]
) -> None:
    one_by_one, together = World(), World()
    for one in told:
        steps = link(KEYS, one.a, one.b, one.evidence, one_by_one.token, limits=LIMITS)
        one_by_one.note([run(one_by_one.store, steps)])
    while told:
        size = sizes.pop() if sizes else len(told)
        together.look(together.follow(told[:size]))
        told = told[size:]
    assert together.state() == one_by_one.state()


def crowd(size: int) -> list[Contested]:
    """Customers in a chain: each signs in at the device of the one before, too."""
    return [
        Contested(NodeId(f"k{device:022d}"), NodeId(f"c{card:022d}"), Evidence("sign_in", card))
        for card in range(size)
        for device in (card, card + 1)
    ]


def test_what_one_look_has_seen_needs_no_other() -> None:
    """Two links of a crowd of sixty customers, or all of them: the same commands but for those
    that see whether anybody was erased meanwhile.
    """
    costs = {}
    for count in (2, 50):
        world = World(Limits())
        linked = world.look(world.follow(crowd(60))[:count])
        assert len(linked) == count
        assert len([one for one in linked if one.resettled is not None]) == 1
        costs[count] = world.commands - 2 * count
    assert costs[2] == costs[50]


@pytest.mark.parametrize("is_keyed_by_kiosk", [True, False])
def test_all_links_of_a_kiosk_are_refused_by_one_look_whoever_told_of_them(
    is_keyed_by_kiosk: bool,
) -> None:
    world = World()
    kiosk, accounts = NODES[0], [NodeId(f"e{number:022d}") for number in range(8)]
    ends = [(kiosk, one) if is_keyed_by_kiosk else (one, kiosk) for one in accounts]
    contested = world.follow([Contested(a, b, Evidence("sign_in", 1)) for a, b in ends])
    linked = world.look(contested)
    assert {one.result for one in linked} == {"refused"}
    (looked,) = [one.resettled for one in linked if one.resettled is not None]
    kept = 2 * LIMITS.device_links + 1
    refused = {pair_of(kiosk, one): "too_many_links" for one in accounts[:kept]}
    assert looked.changed == refused


@given(order=st.permutations(range(-1, 9)), rejected=st.integers(0, 8))
def test_a_kiosk_fuses_nobody_when_one_of_its_links_is_rejected(
    order: list[int], rejected: int
) -> None:
    """Whenever somebody decides so: before, in between, or after all have signed in."""
    world, kiosk = World(), NODES[0]
    accounts = [NodeId(f"e{number:022d}") for number in range(9)]
    for step in order:
        if step < 0:
            verdict = judge(KEYS, kiosk, accounts[rejected], "rejected", world.token, limits=LIMITS)
            run(world.store, note(KEYS, run(world.store, verdict)))
        else:
            told = Contested(kiosk, accounts[step], Evidence("sign_in", 1 + step))
            world.look(world.follow([told]))
    for node in (kiosk, *accounts):
        assert run(world.store, settle(KEYS, node)).members == [node]


def test_a_kiosk_fuses_nobody_when_some_of_its_visitors_are_erased() -> None:
    world, kiosk = World(), NODES[0]
    accounts = [NodeId(f"e{number:022d}") for number in range(9)]
    told = [Contested(kiosk, one, Evidence("sign_in", 1)) for one in accounts]
    world.look(world.follow(told))
    erased = accounts[:6]
    pairs = run(world.store, begin_erasure(KEYS, erased, 2))
    run(world.store, part_erased(KEYS, erased, pairs, world.token, limits=LIMITS))
    run(world.store, disown(KEYS, erased, pairs, 2))
    world.look(world.follow([Contested(kiosk, accounts[8], Evidence("sign_in", 3))]))
    for node in (kiosk, *accounts):
        assert run(world.store, settle(KEYS, node)).members == [node]


def test_unconnected_crowds_are_looked_at_side_by_side() -> None:
    """Fifteen take no longer than one, two, four and eight at once."""
    rounds = {}
    for count in (1, 15):
        world = World()
        ends = [(place, 2 * place + card) for place in range(count) for card in (0, 1)]
        contested = world.follow(
            [
                Contested(
                    NodeId(f"k{device:022d}"), NodeId(f"c{card:022d}"), Evidence("sign_in", 1)
                )
                for device, card in ends
            ]
        )
        linked = world.look(contested)
        assert len(contested) == len(linked) == count
        assert all(one.resettled is not None for one in linked)
        rounds[count] = world.rounds - 1  # the last round sees whether anybody was erased
    assert rounds[15] == 4 * rounds[1]
