"""Looking at all evidence around an identifier while others move, and who is left behind."""

import itertools

from models.card_words import CardWord, encode_word
from models.evidence import DEFAULT_LIMITS, Evidence
from models.identifiers import NodeId
from models.keys import Keys
from models.links import declare, link
from models.splits import note, resettle
from models.survey import survey
from tests.fakes.memory_store import MemoryStore, Runner, run

KEYS = Keys("o")
A, B = NodeId("k" + "a" * 22), NodeId("k" + "b" * 22)
X, Y = NodeId("c" + "x" * 22), NodeId("c" + "y" * 22)
SIGN_IN = Evidence("sign_in", 1)


class World:
    """Two cards that were merged, and a device on which one of them signed in."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self._tokens = (f"t{number}" for number in itertools.count())
        self.declare(CardWord(1, X))
        run(self.store, link(KEYS, A, Y, SIGN_IN, self.token))

    def token(self) -> str:
        return next(self._tokens)

    def declare(self, word: CardWord) -> None:
        done = run(self.store, declare(KEYS, X, Y, word, self.token))
        assert done.resettled is not None
        run(self.store, note(KEYS, done.resettled))

    def is_contested(self, root: NodeId) -> bool:
        return b"!" in self.store.hash(KEYS.person(root).encode())


def test_a_survey_loses_nobody_who_is_split_off_while_it_goes_on() -> None:
    for steps in itertools.count(1):
        world = World()
        looking = Runner(world.store, survey(KEYS, [X], DEFAULT_LIMITS))
        for _ in range(steps):
            if not looking.done:
                looking.step()
        is_done = looking.done
        world.declare(CardWord(2))
        while not looking.done:
            looking.step()
        assert X in looking.result.nodes, steps
        assert len(looking.result.nodes) == len(set(looking.result.nodes)), steps
        if is_done:
            return


def test_who_is_split_off_and_connected_no_more_is_published_all_the_same() -> None:
    world = World()
    for one, other in ((X, Y), (Y, X)):
        word = encode_word(CardWord(2))
        world.store.execute(("FCALL", "kinbid_v1_declare", 1, KEYS.evidence(one), other, word, 9))
    done = run(world.store, resettle(KEYS, [A], DEFAULT_LIMITS, world.token))
    assert (set(done.persons), done.parted) == ({Y}, (X,))
    assert set(done.to_publish) == {X, Y}


def test_persons_stay_contested_until_what_became_of_them_is_noted() -> None:
    world = World()
    done = run(world.store, resettle(KEYS, [A], DEFAULT_LIMITS, world.token))
    assert world.is_contested(Y)
    assert run(world.store, note(KEYS, done))
    assert not world.is_contested(Y)


def test_whoever_notes_late_is_told_that_another_has_looked() -> None:
    world = World()
    first = run(world.store, resettle(KEYS, [A], DEFAULT_LIMITS, world.token))
    second = run(world.store, resettle(KEYS, [A], DEFAULT_LIMITS, world.token))
    assert not run(world.store, note(KEYS, first))
    assert world.is_contested(Y)
    assert run(world.store, note(KEYS, second))


def test_a_look_that_finds_refusals_leaves_the_mark_for_good() -> None:
    world = World()
    world.declare(CardWord(2))
    done = run(world.store, link(KEYS, A, X, SIGN_IN, world.token)).resettled
    assert done is not None
    assert set(done.changed.values()) == {"shared_device"}
    assert run(world.store, note(KEYS, done))
    assert world.is_contested(Y)
    run(world.store, resettle(KEYS, [A], DEFAULT_LIMITS, world.token))
    assert not run(world.store, note(KEYS, done))
