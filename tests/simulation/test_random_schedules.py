"""Larger worlds under random schedules: crashes, redeliveries, zombies and readers.

Six identifiers, two of them CRM ids in half of the worlds, each with 2 to 5 records: impressions,
sign-ins that link it to others, and what the CRM says of its two cards. Every identifier's log is
worked off by its owner, all owners at once, one command at a time. At any step an owner may be
taken over: the new one begins at a batch that was committed before, under a higher epoch, and the
old one goes on beside it for as long as the schedule likes, or never moves again. Readers come and
go.

Checked: what :mod:`tests.simulation.test_identity_interleavings` checks. A reader is held to what
it would have counted at its begin, of the impressions that owners had committed by then: what
only a zombie published may be gone for a moment, until its new owner comes to it.
"""

import itertools
import os
import random

import msgspec
import pytest

from models.card_words import CardWord, encode_word, laid_over, word_of
from models.commands import Steps
from models.events import CrmMerge, CrmSplit, Event
from models.evidence import Edge, Evidence, Pair, canonical, encode_evidence, pair_of
from models.identifiers import NodeId
from models.profile import publish
from streams.stages.persons import Entry, KnownLinks
from tests.fakes.memory_store import MemoryStore, Runner, run
from tests.simulation.scenario import (
    KEYS,
    X,
    Y,
    a,
    b,
    c,
    check_settled,
    check_store,
    clusters,
    counts_enough,
    d,
    declaring,
    events_batch,
    linking,
    named,
    nonces,
    outcomes_batch,
    reading,
    seeded,
    signed_in,
)

SCHEDULES = {"ci": 400, "nightly": 20_000}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 150)
E, F = named("k", "e"), named("k", "f")


class Log(msgspec.Struct):
    """One identifier's records, in batches, and how far they are committed."""

    node: NodeId
    batches: list[range | list[Entry]]
    committed: int = 0
    epoch: int = 1


def committed_nonces(log: Log) -> set[str]:
    """The impressions whose offsets have been committed."""
    done = [batch for batch in log.batches[: log.committed] if isinstance(batch, range)]
    return nonces(log.node, done[-1].stop if done else 1)


class World:
    """Logs, their owners, zombies and readers, under one seeded schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes = [a, b, c, d, *([X, Y] if seed % 2 else [E, F])]
        self.tokens = itertools.count()
        self.logs = [self._log(node) for node in self.nodes]
        self.store = seeded(*self.nodes)
        self.owners = [Runner(self.store, self._work(log, log.epoch)) for log in self.logs]
        self.zombies: list[Runner[None]] = []
        self.readers: list[tuple[Runner[set[str]], set[str]]] = []

    def _log(self, node: NodeId) -> Log:
        batches: list[range | list[Entry]] = []
        billed, offset = 1, 0
        for _ in range(self.random.randint(2, 5)):
            if self.random.random() < 0.5:
                more = self.random.randint(1, 2)
                batches.append(range(billed, billed + more))
                billed += more
            else:
                more = self.random.randint(1, 2)
                batches.append([(at, self._event(node, at)) for at in range(offset, offset + more)])
                offset += more
        return Log(node, batches)

    def _event(self, node: NodeId, offset: int) -> Event:
        if node in (X, Y) and self.random.random() < 0.5:
            cards, at_ms = (node, X if node == Y else Y), self.random.randint(1, 4)
            if self.random.random() < 0.5:
                return CrmMerge(event_id="m", ids=cards, event_time_ms=at_ms)
            return CrmSplit(event_id="s", ids=cards, event_time_ms=at_ms)
        (other,) = self.random.sample([other for other in self.nodes if other != node], 1)
        _, event = signed_in(node, offset, other)
        return event

    def _work(self, log: Log, epoch: int) -> Steps[None]:
        known = KnownLinks()
        last_root: NodeId | None = None
        for number in range(log.committed, len(log.batches)):
            batch = log.batches[number]
            if isinstance(batch, range):
                last_root = yield from outcomes_batch(log.node, epoch, batch, last_root)
            else:
                last_root = yield from events_batch(
                    log.node, epoch, batch, known, self._token, last_root
                )
            if log.epoch == epoch and self.random.random() < 0.5:
                log.committed = number + 1

    def _token(self) -> str:
        return f"t{next(self.tokens)}"

    def play(self) -> None:
        """Runs until every owner is done, then lets the zombies have a last word."""
        before = self.store.copy()
        while not all(owner.done for owner in self.owners):
            self._move()
            if not self.store.equals(before):
                before = self.store.copy()
                check_store(before)
        for zombie in self.zombies:
            for _ in range(self.random.choice([0, 3, 1000])):
                if not zombie.done:
                    zombie.step()
        check_store(self.store)

    def _move(self) -> None:
        chance = self.random.random()
        if chance < 0.02:
            self._take_over(self.random.randrange(len(self.logs)))
        elif chance < 0.06:
            node = self.random.choice(self.nodes)
            begun = run(self.store.copy(), reading(node)())
            begun &= set[str]().union(*map(committed_nonces, self.logs))
            if X in self.nodes:  # a split gives each side its own back
                begun = {nonce for nonce in begun if nonce.startswith(node[:2])}
            self.readers.append((Runner(self.store, reading(node)()), begun))
        elif chance < 0.065:
            self.readers.clear()  # nobody is on their way for as long as a copy lives
            self.store.expire_now()
        elif chance < 0.25 and self.readers:
            self._read()
        elif chance < 0.35 and self.zombies:
            self._step(self.zombies)
        else:
            self._step([owner for owner in self.owners if not owner.done])

    def _step(self, runners: list[Runner[None]]) -> None:
        runner = self.random.choice(runners)
        if not runner.done:
            runner.step()

    def _take_over(self, place: int) -> None:
        log = self.logs[place]
        self.zombies.append(self.owners[place])
        log.epoch += 1
        self.owners[place] = Runner(self.store, self._work(log, log.epoch))

    def _read(self) -> None:
        place = self.random.randrange(len(self.readers))
        reader, begun = self.readers[place]
        reader.step()
        if reader.done:
            assert counts_enough(reader.result, begun)
            del self.readers[place]

    def counts(self) -> dict[NodeId, int]:
        """How many impressions each identifier has."""
        return {
            log.node: 1 + sum(len(batch) for batch in log.batches if isinstance(batch, range))
            for log in self.logs
        }

    def persons(self) -> set[frozenset[NodeId]]:
        """What all evidence makes, whatever the order in which it was worked off."""
        edges: dict[Pair, Edge] = {}
        words: dict[Pair, bytes] = {}
        batches = [batch for log in self.logs for batch in log.batches if isinstance(batch, list)]
        for _, event in itertools.chain(*batches):
            pair, word = pair_of(*event.ids), word_of(event)
            if word is not None:
                words[pair] = max(words.get(pair, b""), encode_word(word))
                continue
            evidence = Evidence("sign_in", event.event_time_ms)
            known = edges.get(pair, Edge(evidence)).evidence
            edges[pair] = Edge(min(evidence, known, key=encode_evidence))
        return set(canonical(self.nodes, laid_over(edges, words)).persons)


@pytest.mark.parametrize("start", range(0, SCHEDULES, 50))
def test_nothing_is_lost_under_random_schedules(start: int) -> None:
    for seed in range(start, start + 50):
        world = World(seed)
        try:
            world.play()
            check_settled(world.store, world.counts(), partition=world.persons(), crashed=True)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def commands_of(store: MemoryStore, steps: Steps[None], count: int) -> bool:
    """Runs so many commands and crashes; returns whether the work was done before."""
    runner = Runner(store, steps)
    for _ in range(count):
        if runner.done:
            return True
        runner.step()
    return runner.done


def test_a_crash_anywhere_and_a_long_absence_lower_no_count() -> None:
    """Two crashes at any two commands of the link a-b, each until all copies expire, and a third
    owner that finishes; readers of a and b in between. All pairs of crash points are tried.
    """
    for first, second in itertools.product(range(1, 40), repeat=2):
        store = seeded(a, b)
        done = False
        for attempt, count in enumerate((first, second, 1000)):
            done = commands_of(store, linking(f"{attempt}.", (a, b))(), count)
            store.expire_now()
            for node in (a, b):
                assert run(store.copy(), reading(node)()) >= nonces(node, 1)
        assert done
        check_settled(store, {a: 1, b: 1}, partition={frozenset({a, b})})


def test_a_link_that_is_given_up_leaves_nothing_that_closes_caps() -> None:
    """A crash between announcement and link, and another CRM id gets the device meanwhile."""
    for count in range(1, 12):
        store = seeded(a, X, Y)
        commands_of(store, linking("0.", (a, X))(), count)
        run(store, linking("1.", (a, Y))())
        store.expire_now()
        run(store, linking("2.", (a, X))())
        run(store, publish(KEYS, X))
        run(store, publish(KEYS, Y))
        run(store, publish(KEYS, a))
        check_settled(store, {a: 1, X: 1, Y: 1})
        assert len(clusters(store, (a, X, Y))) == 3


def test_a_zombie_that_heard_of_a_merge_undoes_no_split_that_came_since() -> None:
    """It is stopped at any command, another hears of both, and it wakes up for so many more."""
    words = ((X, Y), CardWord(1, X)), ((X, Y), CardWord(2))
    for slept, awake in itertools.product(range(1, 45), range(20)):
        store = seeded(X, Y)
        zombie = Runner(store, declaring("zombie", words[0])())
        for _ in range(slept):
            if not zombie.done:
                zombie.step()
        run(store, declaring("owner", *words)())
        for _ in range(awake):
            if not zombie.done:
                zombie.step()
        assert clusters(store, (X, Y)) == {frozenset({X}), frozenset({Y})}, (slept, awake)
