"""Every interleaving of an erasure with workers that fold, link and read, and bidders that reserve.

Impressions and evidence up to ``ERASED_MS`` are erased, whether they were folded before, are in a
worker's hands or come again; newer ones come only after the erasure has begun, as in life, where
its time lies a little ahead. In every state each ledger is exactly what its records and erasures
make of it. Bids that were made before are erased with the rest, those in flight included. At every
end nothing erased stands anywhere in the store, what is newer counts once,
and persons are those of the evidence that is left.
"""

import itertools
import os

import msgspec
import pytest

from bidder.lookup import fetch_person, reserve
from bidder.reservations import OwnReservations
from models.caps import decode_ledger
from models.commands import Steps
from models.erasure import begin_erasure, disown, holding, part_erased
from models.event_base import MAX_TIME_MS
from models.evidence import Evidence
from models.forest import settle
from models.identifiers import NodeId
from models.identity import EPOCH_BITS
from models.links import link
from models.profile import person_of, publish, publish_all
from models.reservations import Reservation
from models.splits import note
from tests.fakes.memory_store import FUNCTIONS, Function, MemoryStore, run
from tests.simulation.explore import Program, Search, TooManyStatesError, explore, play
from tests.simulation.scenario import (
    CAMPAIGN,
    KEYS,
    SHARED,
    Pair,
    X,
    Y,
    a,
    b,
    billing,
    c,
    clusters,
    impressions_of,
    is_expiry,
    judging,
    linking,
    reading,
    seeded,
)

SCHEDULES = {"ci": 300, "nightly": 10_000}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 100)
ERASED_MS = 10
OLD, NEW = range(1, 2), range(20, 21)
"""Offsets of impressions: the one at offset ``n`` was billed at ``n + 1``."""


def erasing(name: str, *nodes: NodeId) -> Program:
    """Somebody who erases a person."""

    def program() -> Steps[None]:
        tokens = itertools.count()
        pairs = yield from begin_erasure(KEYS, nodes, ERASED_MS)
        for _ in range(2):  # kinbid erase looks a second time, when evidence is gone
            look = yield from part_erased(KEYS, nodes, pairs, lambda: f"{name}{next(tokens)}")
            yield from note(KEYS, look)
            yield from disown(KEYS, nodes, pairs, ERASED_MS)

    return program


def bidding(node: NodeId) -> Program:
    """A bidder whose bid was decided before the erasure, or while it is done."""

    def program() -> Steps[None]:
        own = OwnReservations("me")
        found = yield from fetch_person(KEYS, [node], ERASED_MS, own.field)
        root = found.person.root
        if root is not None:
            own.add(root, reservation_of(node))
            yield from reserve(KEYS, root, own, ERASED_MS)

    return program


def reservation_of(node: NodeId) -> Reservation:
    """A bid on an impression that would be erased."""
    (nonce,) = nonces_of(node, {*OLD})
    return Reservation(CAMPAIGN, nonce, 10**6, ERASED_MS)


def linking_anew(name: str, pair: Pair) -> Program:
    """A worker that follows evidence of after the erasure."""

    def program() -> Steps[None]:
        tokens = itertools.count()
        evidence = Evidence("sign_in", ERASED_MS + 1)
        done = yield from link(KEYS, *pair, evidence, lambda: f"{name}{next(tokens)}")
        yield from publish(KEYS, pair[0])
        if done.resettled is not None:
            yield from publish_all(KEYS, done.resettled.to_publish)
            yield from note(KEYS, done.resettled)

    return program


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One small world.

    Attributes:
        erased: who is erased.
        programs: who works.
        persons: who is one person in the end.
        counted: offsets of the impressions that count in the end, per identifier.
        states: the states that there are, within a tenth; None where they are too many to visit
            them all, and random schedules stand for them.
        linked: links that were made before.
        others: who is there, too, with an impression at offset 0.
        begun: the erasure's first step was done before.
        optional: who may stop for ever at any moment, and so may leave something lying there.
        rejected: a link that somebody has withdrawn before.
        shown: an ad was on its way to whoever is erased.
        is_long: left to the nightly profile.
    """

    erased: tuple[NodeId, ...]
    programs: list[Program]
    persons: list[set[NodeId]]
    states: int | None = None
    counted: dict[NodeId, set[int]] = {}
    linked: tuple[Pair, ...] = ()
    others: tuple[NodeId, ...] = ()
    begun: bool = False
    optional: frozenset[int] = frozenset()
    rejected: Pair | None = None
    shown: bool = False
    is_long: bool = False

    def begin(self) -> MemoryStore:
        """The store before anybody moves."""
        store = seeded(*self.erased, *self.others, linked=self.linked)
        if self.rejected is not None:
            run(store, judging("split", self.rejected)())
            store.expire_now(10**6)
        if self.shown:
            run(store, bidding(self.erased[0])())
        if self.begun:
            for node in self.erased:
                store.execute(("FCALL", "kinbid_v1_erase", 1, KEYS.parent(node), ERASED_MS))
        return store

    def search(self) -> Search:
        """What is looked for in the case."""
        return Search(
            store=self.begin(), programs=self.programs, optional=self.optional, unseen=is_expiry,
            on_store=check_ledgers, on_end=lambda store: check_erased(store, self),
            limit=(self.states or 0) * 11 // 10,
        )  # fmt: skip


def ledgers(store: MemoryStore) -> list[tuple[NodeId, int, set[str], int]]:
    """Every ledger anywhere: whose, since which erasure, its nonces and its watermark."""
    found = []
    for value in store.data.values():
        for field, encoded in value.items() if isinstance(value, dict) else ():
            if field.startswith(b"c:"):
                node, _, epoch = field[2:].decode().partition("@")
                ledger = decode_ledger(encoded)
                seen = set(impressions_of(ledger))
                found.append((NodeId(node), int(epoch) >> EPOCH_BITS, seen, ledger.watermark))
    return found


def nonces_of(node: NodeId, offsets: set[int]) -> set[str]:
    return {f"{node[:2]}{offset}" for offset in offsets}


def check_ledgers(store: MemoryStore) -> None:
    """Each ledger holds exactly the impressions up to its watermark, and newer than its erasure."""
    for node, erased_ms, seen, watermark in ledgers(store):
        offsets = {0, *OLD, *NEW}
        assert seen == nonces_of(node, {o for o in offsets if erased_ms <= o <= watermark})


def check_erased(store: MemoryStore, case: Case) -> None:
    store = store.copy()
    store.expire_now(10**6)
    if case.optional:
        for node in (*case.erased, *case.others):
            run(store, publish(KEYS, node))
    assert clusters(store, (*case.erased, *case.others)) == {frozenset(p) for p in case.persons}
    gone = set[str]().union(*(nonces_of(node, {0, *OLD}) for node in case.erased))
    for members in case.persons:
        expected = set[str]().union(*(nonces_of(n, case.counted.get(n, set())) for n in members))
        for node in members:
            _, ledger = person_of(run(store, settle(KEYS, node)))
            assert set(impressions_of(ledger)) == expected
            assert ledger.billed_count == len(expected)
            assert run(store, reading(node)()) in (expected, {SHARED})
    for node in case.erased:
        held = run(store, holding(KEYS, node))
        assert held.is_empty == (not case.counted.get(node) and {node} in case.persons)
    if not case.optional:
        check_nothing_is_left(store, case, gone)


def check_nothing_is_left(store: MemoryStore, case: Case, gone: set[str]) -> None:
    """No trace of erased impressions, nor of erased links."""
    alone = {node for node in case.erased if {node} in case.persons}
    for key, value in store.data.items():
        if not isinstance(value, dict):
            continue
        for field, held in value.items():
            assert not any(nonce.encode() in held for nonce in gone), f"{key!r} {field!r}"
            if key.startswith(b"sim:w:"):
                assert NodeId(field[2:].decode()) not in alone, f"{key!r} knows {field!r}"
                assert NodeId(key[7:-1].decode()) not in alone


LAST = frozenset

CASES: dict[str, Case] = {
    "erase a | fold old a": Case(
        erased=(a,), persons=[{a}], programs=[erasing("1", a), billing(a, 2, OLD)], states=32_660,
    ),
    "erase a-b | fold old b": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),),
        programs=[erasing("1", a, b), billing(b, 2, OLD)], states=4_365_460, is_long=True,
    ),
    "erase a-b | fold old a of an owner that goes on": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),),
        programs=[erasing("1", a, b), billing(a, 1, OLD)], states=3_317_001, is_long=True,
    ),
    "erase a-b begun | fold new b": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),), begun=True, counted={b: {20}},
        programs=[erasing("1", a, b), billing(b, 1, NEW)],
    ),
    "erase a-b begun | fold old, new a, T": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),), begun=True, counted={a: {20}},
        programs=[erasing("1", a, b), billing(a, 2, OLD, NEW), billing(a, 1, OLD)],
        optional=LAST({2}),
    ),
    "erase a | a-b": Case(
        erased=(a,), others=(b,), persons=[{a}, {b}], counted={b: {0}},
        programs=[erasing("1", a), linking("2", (a, b))], states=8_585_254, is_long=True,
    ),
    "erase b | a-b": Case(
        erased=(b,), others=(a,), persons=[{a}, {b}], counted={a: {0}},
        programs=[erasing("1", b), linking("2", (a, b))], states=3_272_048,
    ),
    "erase a-b | b-c": Case(
        erased=(a, b), others=(c,), persons=[{a}, {b}, {c}], counted={c: {0}}, linked=((a, b),),
        programs=[erasing("1", a, b), linking("2", (b, c))],
    ),
    "erase a-b | erase a-b": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),),
        programs=[erasing("1", a, b), erasing("2", b, a)],
    ),
    "erase a-b after a crash anywhere": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),),
        programs=[erasing("1", a, b), erasing("2", a, b)], optional=LAST({1}),
    ),
    "erase a-b begun | a-b anew": Case(
        erased=(a, b), persons=[{a, b}], linked=((a, b),), begun=True,
        programs=[erasing("1", a, b), linking_anew("2", (a, b))],
    ),
    "erase X of a device of two": Case(
        erased=(X,), others=(a, Y), persons=[{X}, {a, Y}], counted={a: {0}, Y: {0}},
        linked=((a, X), (a, Y)), programs=[erasing("1", X), billing(X, 2, OLD)],
    ),
    "erase a-b that were split": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),), rejected=(a, b),
        programs=[erasing("1", a, b), billing(b, 2, OLD)],
    ),
    "erase a-b | read a": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),),
        programs=[erasing("1", a, b), reading(a)],
    ),
    "erase a, shown an ad | bid on a": Case(
        erased=(a,), persons=[{a}], shown=True, programs=[erasing("1", a), bidding(a)], states=352,
    ),
    "erase a-b, shown an ad | bid on a": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),), shown=True,
        programs=[erasing("1", a, b), bidding(a)], states=5_947,
    ),
    "erase a-b, shown an ad, after a crash anywhere | bid on b": Case(
        erased=(a, b), persons=[{a}, {b}], linked=((a, b),), shown=True, optional=LAST({1}),
        programs=[erasing("1", a, b), erasing("2", a, b), bidding(b)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.states])
def test_nothing_erased_comes_back_in_any_interleaving(name: str) -> None:
    case = CASES[name]
    assert case.states is not None
    if case.is_long and os.environ.get("HYPOTHESIS_PROFILE") != "nightly":
        pytest.skip("long: set HYPOTHESIS_PROFILE=nightly")
    statistics = explore(case.search())
    assert statistics.states > case.states * 9 // 10


@pytest.mark.parametrize("name", CASES)
def test_nothing_erased_comes_back_under_random_schedules(name: str) -> None:
    wanted = CASES[name].search()
    schedules = {tuple(play(wanted, seed)) for seed in range(SCHEDULES)}
    assert len(schedules) > 10, "they are hardly random"


def leave_reservations(_store: MemoryStore, _keys: list[bytes], _args: list[bytes]) -> int:
    """An erasure that takes everything else."""
    return 0


def hold_anyway(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int | bytes:
    """A bidder that does not look whether the person was erased since."""
    return FUNCTIONS["kinbid_v1_hold"](store, keys, [*args[:2], b"%d" % MAX_TIME_MS, args[3]])


@pytest.mark.parametrize(
    ("function", "wrong"),
    [("kinbid_v1_unreserve", leave_reservations), ("kinbid_v1_hold", hold_anyway)],
)
def test_the_search_finds_a_reservation_that_comes_back(function: str, wrong: Function) -> None:
    wanted = CASES["erase a-b, shown an ad | bid on a"].search()
    wanted.store.functions = {**FUNCTIONS, function: wrong}
    with pytest.raises(AssertionError) as caught:
        explore(wanted)
    assert not isinstance(caught.value, TooManyStatesError)


def test_a_call_that_an_erased_form_spoke_against_is_believed_then() -> None:
    store, tokens = MemoryStore(), itertools.count()
    form_phone, caller = NodeId("p" + "p" * 22), NodeId("p" + "q" * 22)
    for one, other, evidence in (
        (a, X, Evidence("sign_in", 1)),
        (form_phone, Y, Evidence("crm_card", 1)),
        (a, form_phone, Evidence("seen_with", 2)),
        (caller, a, Evidence("call_session", 3, 90)),
    ):
        made = run(store, link(KEYS, one, other, evidence, lambda: f"t{next(tokens)}"))
        if made.resettled is not None:
            run(store, note(KEYS, made.resettled))
    assert set(run(store, settle(KEYS, a)).members) == {a, X}
    run(store, erasing("e", form_phone, Y)())
    assert set(run(store, settle(KEYS, a)).members) == {a, X, caller}
