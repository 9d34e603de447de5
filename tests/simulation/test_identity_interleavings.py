"""Every interleaving of small cases of the identity protocol, one command at a time.

Each case starts with one published impression per identifier. ``|`` separates workers that run at
once; ``T`` is a takeover: the old owner does any number of its steps, at any time, while the new
one does the same work under a higher epoch or other tokens. No step at all is a crash, all of
them is a redelivery, steps after the new owner's are a zombie's. A takeover's last check comes
after all times to live have run out.

In every state: no cycle, at most one CRM id a person, every ledger written is an exact prefix of
its identifier's records, and no change of the store ever lowers what a reader of any identifier
counts. At every end: persons are the evidence's connected components (where nothing is refused),
each record counts once, the published view equals one computed afresh, and no marker of a merge
is left. Readers that take part, too, see every impression published before they began.

The numbers of states are those of this protocol; a case that outgrows its limit fails.
"""

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from bidder import lookup
from bidder.lookup import fetch_person, reserve
from bidder.reservations import OwnReservations
from models import identity
from models.card_words import CardWord
from models.commands import Steps, fields_of
from models.evidence import Evidence
from models.forest import Settled, find
from models.identifiers import NodeId, is_crm
from models.keys import Keys
from models.profile import publish
from models.reservations import Reservation
from tests.fakes.memory_store import FUNCTIONS, MemoryStore, Runner, interleave, run
from tests.simulation.explore import (
    Program,
    Search,
    Statistics,
    TooManyStatesError,
    explore,
    play,
)
from tests.simulation.scenario import (
    CAMPAIGN,
    FORGET,
    KEYS,
    NOW_MS,
    SHARED,
    Pair,
    X,
    Y,
    a,
    b,
    billing,
    c,
    check_settled,
    check_store,
    clusters,
    counts_enough,
    d,
    declaring,
    forget,
    forgetting,
    is_expiry,
    is_unread,
    judging,
    linking,
    linking_together,
    named,
    nonces,
    reading,
    seeded,
)

Same = named("k", "s"), named("u", "s")
"""One value under two namespaces: the digests are equal."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One small world.

    Attributes:
        counts: per identifier, its impressions when all is done.
        persons: the persons then; None where refusals leave it open.
        programs: who works.
        optional: who of them may stop for ever.
        readers: per program that ends with a read, what it must see at the least.
        linked: links that were made before.
        merged: cards that were merged before.
        split: links that were rejected then, a moment ago.
        unpublished: nobody publishes, which leaves fewer states; it is done before the check.
        is_contested: evidence speaks for two CRM ids, so that somebody reads it.
        states: the states that there are, within a tenth; None where they are too many to visit
            all of them, and random schedules stand for them.
        is_long: left to the nightly profile.
    """

    counts: dict[NodeId, int]
    persons: list[set[NodeId]] | None
    programs: list[Program]
    states: int | None = None
    optional: frozenset[int] = frozenset()
    readers: dict[int, set[str]] = {}
    linked: tuple[Pair, ...] = ()
    merged: tuple[Pair, ...] = ()
    split: tuple[Pair, ...] = ()
    unpublished: bool = False
    is_contested: bool = False
    is_long: bool = False

    def begin(self) -> MemoryStore:
        """The store before anybody moves."""
        store = seeded(*self.counts, linked=self.linked)
        for pair in self.merged:
            run(store, declaring("merged", (pair, MERGED))())
            store.expire_now()
        for pair in self.split:
            run(store, judging("split", pair)())
        return store

    def kept(self, node: NodeId, counted: set[str]) -> set[str]:
        """What must go on to be counted; a split gives each side its own back."""
        own = node[:2] if self.is_contested else ""
        return {nonce for nonce in counted - {SHARED} if nonce.startswith(own)}


def search(
    case: Case, functions: dict[str, Any] | None = None, limit: int | None = None
) -> Statistics:
    return explore(search_of(case, functions, limit or (case.states or 0) * 11 // 10))


def search_of(case: Case, functions: dict[str, Any] | None = None, limit: int = 0) -> Search:
    """What is looked for in a case."""
    store = case.begin()
    store.functions = {**(functions or store.functions), FORGET: forget}
    views: dict[int, tuple[MemoryStore, dict[NodeId, set[str]]]] = {}

    def seen(at: MemoryStore) -> dict[NodeId, set[str]]:
        if id(at) not in views:
            views[id(at)] = at, {node: run(at, reading(node)()) for node in case.counts}
        return views[id(at)][1]

    def never_lower(before: MemoryStore, after: MemoryStore) -> None:
        for node, counted in seen(before).items():
            now = seen(after)[node]
            assert counts_enough(now, case.kept(node, counted)), f"{node}: {counted} became {now}"

    def saw_enough(place: int, result: object, _: MemoryStore) -> None:
        if place in case.readers:
            assert isinstance(result, set)
            assert counts_enough(result, case.readers[place])

    def ended(at: MemoryStore) -> None:
        at = at.copy()
        if case.unpublished:
            for node in case.counts:
                run(at, publish(KEYS, node))
        persons = None if case.persons is None else {frozenset(one) for one in case.persons}
        check_settled(at, case.counts, partition=persons, crashed=bool(case.optional))

    return Search(
        store=store, programs=case.programs, optional=case.optional,
        unseen=is_expiry if case.is_contested else is_unread,
        on_store=check_store, on_change=never_lower, on_result=saw_enough, on_end=ended,
        limit=limit,
    )  # fmt: skip


def all_in_one(*nodes: NodeId) -> dict[str, Any]:
    return {"counts": dict.fromkeys(nodes, 1), "persons": [set(nodes)]}


def alone(*nodes: NodeId) -> dict[str, Any]:
    return {"counts": dict.fromkeys(nodes, 1), "persons": [{node} for node in nodes]}


def one_more(node: NodeId, count: int, *others: NodeId) -> dict[str, Any]:
    return {"counts": {node: count, **dict.fromkeys(others, 1)}, "persons": [{node, *others}]}


SCHEDULES = {"ci": 200, "nightly": 10_000}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 100)
LAST = frozenset
XY = X, Y
p, q = named("p", "p"), named("p", "q")
CALL, FORM = Evidence("call_session", 2, 90), Evidence("seen_with", 1)
MERGED, SPLIT, MERGED_AGAIN = CardWord(1, X), CardWord(2), CardWord(3, Y)

CASES: dict[str, Case] = {
    "a-b | b-a": Case(
        **all_in_one(a, b), programs=[linking("1", (a, b)), linking("2", (b, a))], states=4_785
    ),
    "equal digests": Case(
        **all_in_one(*Same), programs=[linking("1", Same), linking("2", Same[::-1])], states=4_785
    ),
    "a-b | b-c": Case(
        **all_in_one(a, b, c), programs=[linking("1", (a, b)), linking("2", (b, c))], states=10_365
    ),
    "a-b | b-c, T": Case(
        **all_in_one(a, b, c),
        programs=[
            linking("1", (a, b), published=False), linking("2", (b, c), published=False),
            linking("0", (a, b), published=False),
        ],
        optional=LAST({2}), unpublished=True, states=9_503_667, is_long=True,
    ),
    "triangle": Case(
        **all_in_one(a, b, c),
        programs=[
            linking("1", (a, b), published=False), linking("2", (b, c), published=False),
            linking("3", (a, c), published=False),
        ],
        unpublished=True, states=4_726_251, is_long=True,
    ),
    "a-b | c-d | b-c": Case(
        **all_in_one(a, b, c, d),
        programs=[
            linking("1", (a, b), published=False), linking("2", (c, d), published=False),
            linking("3", (b, c), published=False),
        ],
        unpublished=True, states=6_112_738, is_long=True,
    ),
    "a-X | a-Y": Case(
        **alone(a, X, Y), is_contested=True, unpublished=True,
        programs=[
            linking("1", (a, X), published=False), linking("2", (a, Y), published=False),
        ],
        states=3_651_301, is_long=True,
    ),
    "a-X | a-Y, published": Case(
        **alone(a, X, Y), is_contested=True,
        programs=[linking("1", (a, X)), linking("2", (a, Y))], states=7_085_824, is_long=True,
    ),
    "a-X and a-Y at once": Case(
        **alone(a, X, Y), is_contested=True, unpublished=True,
        programs=[linking_together("1", (a, X), (a, Y))], states=137,
    ),
    "a-X and a-Y at once, T": Case(
        **alone(a, X, Y), is_contested=True, unpublished=True,
        programs=[linking_together("1", (a, X), (a, Y)), linking_together("2", (a, X), (a, Y))],
        optional=LAST({1}),
    ),
    "a-X and a-Y at once | b-X": Case(
        counts={a: 1, b: 1, X: 1, Y: 1}, persons=[{a}, {b, X}, {Y}], is_contested=True,
        unpublished=True,
        programs=[
            linking_together("1", (a, X), (a, Y)), linking("2", (b, X), published=False),
        ],
    ),
    "a-b | a-X | b-Y": Case(
        counts={a: 1, b: 1, X: 1, Y: 1}, persons=[{a, X}, {b, Y}], is_contested=True,
        unpublished=True,
        programs=[
            linking("1", (a, b), published=False), linking("2", (a, X), published=False),
            linking("3", (b, Y), published=False),
        ],
    ),
    "p calls a | a gives q": Case(
        counts={a: 1, p: 1, q: 1}, persons=[{a, q}, {p}], is_contested=True, unpublished=True,
        programs=[
            linking("1", (p, a), evidence=CALL, published=False),
            linking("2", (a, q), evidence=FORM, published=False),
        ],
        states=3_780_710, is_long=True,
    ),
    "unlink a-b | a-b": Case(
        **alone(a, b), is_contested=True,
        programs=[judging("1", (a, b)), linking("2", (a, b))], states=553_268,
    ),
    "unlink a-b after a-b": Case(
        **alone(a, b), is_contested=True, linked=((a, b),),
        programs=[judging("1", (a, b)), reading(a), reading(b)],
        readers={1: nonces(a, 1), 2: nonces(b, 1)}, states=16_152,
    ),
    "fold x2 a | unlink a-b after a-b": Case(
        counts={a: 3, b: 1}, persons=[{a}, {b}], is_contested=True, linked=((a, b),),
        programs=[billing(a, 1, range(1, 2), range(2, 3)), judging("1", (a, b))],
        readers={0: nonces(a, 3)}, states=106_245,
    ),
    "fold x2 b | unlink a-b after a-b": Case(
        counts={a: 1, b: 3}, persons=[{a}, {b}], is_contested=True, linked=((a, b),),
        programs=[billing(b, 1, range(1, 2), range(2, 3)), judging("1", (a, b))],
        readers={0: nonces(b, 3)}, states=84_575,
    ),
    "unlink a-b after a-b, T": Case(
        **alone(a, b), is_contested=True, linked=((a, b),),
        programs=[judging("1", (a, b)), judging("2", (a, b))], optional=LAST({1}), states=448_830,
    ),
    "unlink a-b | b-c after a-b": Case(
        counts={a: 1, b: 1, c: 1}, persons=[{a}, {b, c}], is_contested=True, linked=((a, b),),
        programs=[judging("1", (a, b)), linking("2", (b, c))],
        states=8_007_908, is_long=True,
    ),
    "unlink a-b | a-c after a-b": Case(
        counts={a: 1, b: 1, c: 1}, persons=[{a, c}, {b}], is_contested=True, linked=((a, b),),
        programs=[judging("1", (a, b)), linking("2", (a, c))],
    ),
    "unlink a-b after a-b-c": Case(
        counts={a: 1, b: 1, c: 1}, persons=[{a}, {b, c}], is_contested=True,
        linked=((a, b), (b, c)), programs=[judging("1", (a, b)), reading(a), reading(b)],
        readers={1: nonces(a, 1), 2: nonces(b, 1) | nonces(c, 1)}, states=24_046,
    ),
    "unlink a-b | unlink b-c after a-b-c": Case(
        **alone(a, b, c), is_contested=True, linked=((a, b), (b, c)),
        programs=[judging("1", (a, b)), judging("2", (b, c))],
    ),
    "approve a-b | fold a after unlink": Case(
        **one_more(a, 2, b), is_contested=True, linked=((a, b),), split=((a, b),),
        programs=[judging("1", (a, b), "approved"), billing(a, 1, range(1, 2))],
        readers={1: nonces(a, 2)}, states=6_117,
    ),
    "cards X-Y merge | split": Case(
        **alone(X, Y), is_contested=True,
        programs=[declaring("1", (XY, MERGED)), declaring("2", (XY, SPLIT))], states=929_036,
    ),
    "cards X-Y merge | read X | read Y": Case(
        **all_in_one(X, Y), is_contested=True,
        programs=[declaring("1", (XY, MERGED)), reading(X), reading(Y)],
        readers={1: nonces(X, 1), 2: nonces(Y, 1)}, states=1_465,
    ),
    "cards X-Y split after merge | read X | read Y": Case(
        **alone(X, Y), is_contested=True, merged=(XY,),
        programs=[declaring("1", (XY, SPLIT)), reading(X), reading(Y)],
        readers={1: nonces(X, 1), 2: nonces(Y, 1)}, states=14_982,
    ),
    "cards X-Y split after merge | fold x2 X": Case(
        counts={X: 3, Y: 1}, persons=[{X}, {Y}], is_contested=True, merged=(XY,),
        programs=[declaring("1", (XY, SPLIT)), billing(X, 1, range(1, 2), range(2, 3))],
        readers={1: nonces(X, 3)}, states=103_607,
    ),
    "cards X-Y split after merge | fold x2 Y": Case(
        counts={X: 1, Y: 3}, persons=[{X}, {Y}], is_contested=True, merged=(XY,),
        programs=[declaring("1", (XY, SPLIT)), billing(Y, 1, range(1, 2), range(2, 3))],
        readers={1: nonces(Y, 3)}, states=82_545,
    ),
    "cards X-Y split after merge | merge again": Case(
        **all_in_one(X, Y), is_contested=True, merged=(XY,),
        programs=[declaring("1", (XY, SPLIT)), declaring("2", (XY, MERGED_AGAIN))], states=811_691,
    ),
    "cards X-Y merge, T": Case(
        **all_in_one(X, Y), is_contested=True,
        programs=[declaring("1", (XY, MERGED)), declaring("2", (XY, MERGED))],
        optional=LAST({1}), states=258_852,
    ),
    "cards X-Y split after merge, T": Case(
        **alone(X, Y), is_contested=True, merged=(XY,),
        programs=[declaring("1", (XY, SPLIT)), declaring("2", (XY, SPLIT))],
        optional=LAST({1}), states=390_707,
    ),
    "cards X-Y merge | reject X-Y": Case(
        **alone(X, Y), is_contested=True,
        programs=[declaring("1", (XY, MERGED)), judging("2", XY)], states=1_020_967,
    ),
    "cards X-Y merge | a-Y": Case(
        **all_in_one(a, X, Y), is_contested=True, unpublished=True,
        programs=[
            declaring("1", (XY, MERGED), published=False), linking("2", (a, Y), published=False),
        ],
        states=2_444_580, is_long=True,
    ),
    "cards X-Y split after merge | a-Y": Case(
        counts={a: 1, X: 1, Y: 1}, persons=[{a, Y}, {X}], is_contested=True, merged=(XY,),
        programs=[declaring("1", (XY, SPLIT)), linking("2", (a, Y))],
        states=4_615_500, is_long=True,
    ),
    "approve a-b | fold x2 a after unlink, remembered": Case(
        **one_more(a, 3, b), is_contested=True, linked=((a, b),), split=((a, b),),
        programs=[
            judging("1", (a, b), "approved"),
            billing(a, 1, range(1, 2), range(2, 3), remembered=b),
        ],
        readers={1: nonces(a, 3)}, states=13_908,
    ),
    "fold a | a-b | b-c, remembered": Case(
        **one_more(a, 2, b, c), readers={0: nonces(a, 2)}, linked=((a, b),),
        programs=[
            billing(a, 1, range(1, 2), remembered=a), linking("1", (b, c)), linking("2", (c, a)),
        ],
        states=851_744,
    ),
    "fold x2 a | a-b": Case(
        **one_more(a, 3, b), readers={0: nonces(a, 3)},
        programs=[billing(a, 1, range(1, 2), range(2, 3)), linking("1", (a, b))], states=4_437,
    ),
    "fold x2 b | a-b": Case(
        **one_more(b, 3, a), readers={0: nonces(b, 3)},
        programs=[billing(b, 1, range(1, 2), range(2, 3)), linking("1", (a, b))], states=1_928,
    ),
    "fold x2 a | a-b, T owner": Case(
        **one_more(a, 3, b), readers={0: nonces(a, 3)},
        programs=[
            billing(a, 2, range(1, 3)), linking("1", (a, b)),
            billing(a, 1, range(1, 2), range(2, 3)),
        ],
        optional=LAST({2}), states=1_832_876,
    ),
    "fold a | a-b, T linker": Case(
        **one_more(a, 2, b), readers={0: nonces(a, 2)},
        programs=[billing(a, 1, range(1, 2)), linking("1", (a, b)), linking("0", (a, b))],
        optional=LAST({2}), states=1_048_414,
    ),
    "fold a | a-b | b-c": Case(
        **one_more(a, 2, b, c), readers={0: nonces(a, 2)},
        programs=[billing(a, 1, range(1, 2)), linking("1", (a, b)), linking("2", (b, c))],
        states=3_776_364, is_long=True,
    ),
    "fold x2 a, T owner that is ahead": Case(
        **one_more(a, 5), readers={0: nonces(a, 5)},
        programs=[billing(a, 2, range(1, 2), range(2, 5)), billing(a, 1, range(1, 4))],
        optional=LAST({1}), states=430,
    ),
    "fold a, T owner twice": Case(
        **one_more(a, 3), readers={0: nonces(a, 3)},
        programs=[
            billing(a, 3, range(1, 3)), billing(a, 2, range(1, 2), range(2, 3)),
            billing(a, 1, range(1, 3)),
        ],
        optional=LAST({1, 2}), states=32_982,
    ),
    "read a | read b | a-b": Case(
        **all_in_one(a, b), readers={0: nonces(a, 1), 1: nonces(b, 1)},
        programs=[reading(a), reading(b), linking("1", (a, b))], states=944,
    ),
    "read a | a-b, T": Case(
        **all_in_one(a, b), readers={0: nonces(a, 1)},
        programs=[reading(a), linking("1", (a, b)), linking("0", (a, b))],
        optional=LAST({2}), states=54_491,
    ),
    "read a | a-b | b-c": Case(
        **all_in_one(a, b, c), readers={0: nonces(a, 1)},
        programs=[reading(a), linking("1", (a, b)), linking("2", (b, c))], states=149_679,
    ),
    "fold x2 a | a-b | a minute": Case(
        **one_more(a, 3, b), states=13_091,
        programs=[
            billing(a, 1, range(1, 2), range(2, 3)), linking("1", (a, b)), forgetting(),
        ],
    ),
    "fold a | a-b, T linker | a minute": Case(
        **one_more(a, 2, b), states=3_148_614, is_long=True,
        programs=[
            billing(a, 1, range(1, 2)), linking("1", (a, b)), linking("0", (a, b)), forgetting(),
        ],
        optional=LAST({2}),
    ),
    "fold a after a-b | b-c | a minute": Case(
        **one_more(a, 2, b, c), linked=((a, b),), states=6_462,
        programs=[
            billing(a, 1, range(1, 2), remembered=b), linking("1", (b, c)), forgetting(),
        ],
    ),
    "unlink a-b | a-b | a minute": Case(
        **alone(a, b), is_contested=True, states=1_111_487,
        programs=[judging("1", (a, b)), linking("2", (a, b)), forgetting()],
    ),
    "read a after a-b | b-c": Case(
        **all_in_one(a, b, c), readers={0: nonces(a, 1) | nonces(b, 1)}, linked=((a, b),),
        programs=[reading(a), linking("1", (b, c)), linking("2", (c, a))], states=35_951,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.states])
def test_nothing_is_lost_in_any_interleaving(name: str) -> None:
    case = CASES[name]
    assert case.states is not None
    if case.is_long and os.environ.get("HYPOTHESIS_PROFILE") != "nightly":
        pytest.skip("long: set HYPOTHESIS_PROFILE=nightly")
    statistics = search(case)
    assert statistics.states > case.states * 9 // 10
    assert statistics.ends > 0


@pytest.mark.parametrize(
    "name", [n for n, case in CASES.items() if case.is_long or not case.states]
)
def test_nothing_is_lost_under_random_schedules_of_what_is_too_large(name: str) -> None:
    wanted = search_of(CASES[name])
    schedules = {tuple(play(wanted, seed)) for seed in range(SCHEDULES)}
    assert len(schedules) > 10, "they are hardly random"


def test_a_link_that_is_refused_after_it_was_kept_is_not_followed() -> None:
    """By somebody who has looked at all evidence, told of it, and left no mark."""
    store = seeded(a, p, q)
    slow = Runner(store, linking("1", (p, a), evidence=CALL, published=False)())
    while f"e:{p}".encode() not in store.hash(KEYS.evidence(a).encode()):
        slow.step()
    run(store, linking("2", (a, q), evidence=FORM, published=False)())
    interleave([slow], lambda _: 0)
    assert clusters(store, (a, p, q)) == {frozenset({a, q}), frozenset({p})}


def test_a_device_of_two_crm_ids_is_marked_and_nobodys() -> None:
    store = seeded(a, X, Y)
    for number, crm in enumerate((X, Y)):
        run(store, linking(f"{number}.", (a, crm))())
    assert clusters(store, (a, X, Y)) == {frozenset({a}), frozenset({X}), frozenset({Y})}
    assert run(store, reading(a)()) == {SHARED}


# -- the search finds what is wrong ---------------------------------------------------------


def mark_anywhere(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    """Without a look at the root: the marker lands where the root's copy has been taken."""
    token, child, *_ = args
    for key in keys[1:]:
        store.set_fields(key, {b"m:" + token: child})
    return 1


def drain_unmarked(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int | bytes:
    """Under a token that nobody announced: what was frozen cannot be found."""
    return FUNCTIONS["kinbid_v1_drain"](store, keys, [args[0], b"other", *args[2:]])


def absorb_twice(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int | bytes:
    """With neither token nor root check: a slow helper writes into what has been frozen."""
    store.set_fields(keys[1], {b"m:" + args[0]: b""})
    return FUNCTIONS["kinbid_v1_absorb"](store, [b"absent", *keys[1:]], args)


def publish_without_versions(
    store: MemoryStore, keys: list[bytes], args: list[bytes]
) -> int | bytes:
    """An older snapshot replaces a newer one."""
    store.delete_fields(keys[2], [b"v"])
    return FUNCTIONS["kinbid_v1_publish"](store, keys, args)


@pytest.mark.parametrize(
    ("function", "wrong", "name"),
    [
        ("mark", mark_anywhere, "read a | a-b | b-c"),
        ("drain", drain_unmarked, "a-b | b-a"),
        ("absorb", absorb_twice, "fold a | a-b | b-c"),
        ("publish", publish_without_versions, "fold x2 a | a-b"),
    ],
)
def test_the_search_finds_a_function_that_is_wrong(
    function: str, wrong: Callable[[MemoryStore, list[bytes], list[bytes]], int], name: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        search(CASES[name], {**FUNCTIONS, f"kinbid_v1_{function}": wrong}, limit=10**6)
    assert not isinstance(caught.value, TooManyStatesError)


def rank_by_digest(node: NodeId) -> tuple[bool, str]:
    """Leaves nodes of equal digest without an order."""
    return is_crm(node), node[1:]


def no_epoch(field: bytes) -> int:
    """An owner that has been taken over does not see it, and removes the other's fields."""
    return 0


def settle_unseen(keys: Keys, node: NodeId) -> Steps[Settled]:
    """Takes whoever was a root before the person was read for one."""
    root = yield from find(keys, node)
    (reply,) = yield [("HGETALL", keys.person(root))]
    return Settled(root, fields_of(reply))


def follow_views(
    keys: Keys, root: NodeId, fields: dict[bytes, bytes]
) -> Steps[tuple[NodeId, dict[bytes, bytes]]]:
    """Forgets that a view leads on for a minute only."""
    while b">" in fields:
        root = NodeId(fields[b">"].decode())
        (reply,) = yield [("HGETALL", keys.bid_view(root))]
        fields = fields_of(reply)
    return root, fields


@pytest.mark.parametrize(
    ("module", "name", "wrong", "case"),
    [
        (identity, "rank", rank_by_digest, "equal digests"),
        (identity, "_epoch_of", no_epoch, "fold x2 a, T owner that is ahead"),
        (identity, "settle", settle_unseen, "fold x2 a | a-b, T owner"),
        (lookup, "_follow", follow_views, "fold a after a-b | b-c | a minute"),
    ],
)
def test_the_search_finds_a_rule_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    wrong: Callable[..., Any],
    case: str,
) -> None:
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError) as caught:
        search(CASES[case], limit=10**6)
    assert not isinstance(caught.value, TooManyStatesError)


def test_one_epoch_for_two_attempts_loses_impressions() -> None:
    """Why a retry after a lost connection needs a new epoch: the old one may still be at work."""
    case = Case(
        **one_more(a, 4),
        programs=[billing(a, 1, range(1, 2), range(2, 4)), billing(a, 1, range(1, 2))],
        optional=LAST({1}), states=10**5,
    )  # fmt: skip
    with pytest.raises(AssertionError) as caught:
        search(case)
    assert not isinstance(caught.value, TooManyStatesError)


# -- reservations ---------------------------------------------------------------------------


def reserving(node: NodeId) -> Program:
    """A bidder that finds a person, reserves, and looks with another's eyes."""

    def program() -> Steps[set[str]]:
        own = OwnReservations("me")
        found = yield from fetch_person(KEYS, [node], NOW_MS, own.field)
        root = found.person.root
        assert root is not None
        own.add(root, Reservation(CAMPAIGN, "held", NOW_MS + 1, NOW_MS))
        yield from reserve(KEYS, root, own, NOW_MS)
        seen = yield from fetch_person(KEYS, [node], NOW_MS, b"r:other")
        return {entry.nonce for entry in seen.person.reservations}

    return program


@pytest.mark.parametrize("node", [a, b, c])
def test_a_reservation_is_seen_by_others_once_it_is_written(node: NodeId) -> None:
    """reserve at a, b or c | a-b | b-c: 471,921, 464,939 and 254,375 states."""
    case = Case(
        **all_in_one(a, b, c), readers={0: {"held"}},
        programs=[reserving(node), linking("1", (a, b)), linking("2", (b, c))], states=10**6,
    )  # fmt: skip
    assert search(case).ends > 0
