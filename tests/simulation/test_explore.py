"""The search itself: what it merges is the same, and it finds what is planted."""

import itertools

import pytest

from models.commands import Steps
from tests.fakes.memory_store import MemoryStore, Runner
from tests.simulation.explore import Program, Search, TooManyStatesError, explore
from tests.simulation.scenario import X, a, b, billing, c, is_unread, linking, reading, seeded


def incrementing(*, careful: bool) -> Program:
    def program() -> Steps[None]:
        if careful:
            yield [("INCR", "n")]
            return
        (value,) = yield [("GET", "n")]
        yield [("SET", "n", int(value or 0) + 1)]

    return program


@pytest.mark.parametrize(("careful", "outcomes"), [(True, {b"2"}), (False, {b"1", b"2"})])
def test_a_lost_update_is_found_and_an_atomic_one_is_not_suspected(
    *, careful: bool, outcomes: set[bytes]
) -> None:
    ends: set[object] = set()
    programs = [incrementing(careful=careful)] * 2
    explore(
        Search(
            store=MemoryStore(), programs=programs, on_end=lambda store: ends.add(store.data[b"n"])
        )
    )
    assert ends == outcomes


def test_an_optional_program_may_stop_anywhere() -> None:
    ends: set[object] = set()
    explore(
        Search(
            store=MemoryStore(),
            programs=[incrementing(careful=True), incrementing(careful=True)],
            optional=frozenset({1}),
            on_end=lambda store: ends.add(store.data[b"n"]),
        )
    )
    assert ends == {b"1", b"2"}


def test_a_search_that_does_not_end_says_so() -> None:
    def counting() -> Steps[None]:
        for _ in itertools.count():
            yield [("INCR", "n")]

    with pytest.raises(TooManyStatesError):
        explore(Search(store=MemoryStore(), programs=[counting], limit=100))


@pytest.mark.parametrize(
    "programs",
    [
        [linking("1", (a, b)), linking("2", (b, a))],
        [linking("1", (a, b)), linking("2", (b, c))],
        [linking("1", (a, X)), billing(a, 1, range(1, 2))],
    ],
    ids=["two ways", "chain", "bill"],
)
def test_neither_shortcut_leaves_a_store_out(programs: list[Program]) -> None:
    """Local states for histories, and unseen commands first, each against the plain search."""
    found: list[tuple[set[object], set[object]]] = []
    for full_histories, skips in itertools.product([True, False], repeat=2):
        stores: set[object] = set()
        ends: set[object] = set()
        explore(
            Search(
                store=seeded(a, b, c, X),
                programs=programs,
                full_histories=full_histories,
                unseen=is_unread if skips else lambda _: False,
                on_store=lambda store, kept=stores: kept.add(seen_part(store)),  # type: ignore[misc]
                on_end=lambda store, kept=ends: kept.add(seen_part(store)),  # type: ignore[misc]
            )
        )
        found.append((stores, ends))
    assert found[1:] == found[:1] * 3


@pytest.mark.parametrize(
    "programs",
    [
        [billing(a, 1, range(1, 2)), reading(a)],
        [incrementing(careful=False)] * 3,
    ],
    ids=["bill and read", "increment"],
)
def test_schedules_played_one_by_one_come_to_the_same(programs: list[Program]) -> None:
    """What the search remembers and takes over from others, against none of it."""
    stores: set[object] = set()
    ends: set[object] = set()
    results: set[object] = set()
    begin = seeded(a)
    explore(
        Search(
            store=begin,
            programs=programs,
            on_store=lambda store: stores.add(store.canonical()),
            on_end=lambda store: ends.add(store.canonical()),
            on_result=lambda place, result, store: results.add((place, seen(result))),
        )
    )
    assert (stores, ends, results) == played_one_by_one(begin, programs)


def seen(result: set[str] | None) -> frozenset[str]:
    return frozenset(result or ())


def played_one_by_one(
    begin: MemoryStore, programs: list[Program]
) -> tuple[set[object], set[object], set[object]]:
    """All stores, those at an end, and all results; every schedule from its beginning."""
    stores: set[object] = set()
    ends: set[object] = set()
    results: set[object] = set()
    todo: list[tuple[int, ...]] = [()]
    while todo:
        schedule, store = todo.pop(), begin.copy()
        runners = [Runner(store, program()) for program in programs]
        for place in schedule:
            runners[place].step()
        stores.add(store.canonical())
        waiting = [place for place, runner in enumerate(runners) if not runner.done]
        if not waiting:
            ends.add(store.canonical())
        results |= {(n, seen(one.result)) for n, one in enumerate(runners) if one.done}
        todo += [(*schedule, place) for place in waiting]
    return stores, ends, results


def seen_part(store: MemoryStore) -> object:
    """What stands under the keys that are read."""
    twin = store.copy()
    twin.data = {
        key: value for key, value in twin.data.items() if not is_unread(("", key.decode()))
    }
    twin.expiring = {}
    return twin.canonical()
