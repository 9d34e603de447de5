"""Every interleaving of a few generators, command by command, each state visited once.

A state is the store's content and how far each program has come. Programs and stores are
interned, both kinds of transition are remembered, and the search itself moves integers. A
generator cannot be copied, so a program is replayed from the replies that it has had; programs
must make their own token counters.

Two histories count as one where they leave every frame of the generator at the same instruction
with equal locals. Loops over a collection hold their place in a local too, so nothing is left
out; ``test_explore.py`` compares with a search that keeps full histories apart.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from types import FrameType, FunctionType, GeneratorType
from typing import Any, TypeAlias

import msgspec

from bidder.reservations import OwnReservations
from models.commands import Command, Steps
from models.keys import Keys
from streams.stages.persons import KnownLinks
from tests.fakes.memory_store import MOST_STEPS, MemoryStore, Runner

__all__ = ["Program", "Search", "Statistics", "TooManyStatesError", "explore", "play"]

Program: TypeAlias = Callable[[], Steps[Any]]
State: TypeAlias = tuple[int, ...]
"""The number of the store, then of each program's position."""

History: TypeAlias = tuple[tuple[Any, ...], ...]
"""A program's replies, step by step."""


class TooManyStatesError(AssertionError):
    """The search did not come to its end within its limit: it proves nothing."""


class Statistics(msgspec.Struct, frozen=True):
    """What a search saw. ``ends``: states in which nobody has anything left to do."""

    states: int
    transitions: int
    ends: int


class Search(msgspec.Struct, kw_only=True):
    """What to search and what to check; the checks raise.

    Attributes:
        store: the state before anybody moves.
        programs: who moves.
        optional: places in ``programs`` of those that may stop for ever at any moment: a crash,
            or a zombie that wakes up later.
        on_store: called once for each content of the store that is reached.
        on_change: called once for each change of content.
        on_result: called with the place and result of a program that ends, and the store then.
        on_end: called when all that are not optional have ended.
        unseen: commands that neither change what another program reads nor matter to a check:
            one of those goes first, alone, since its place in the order makes no difference.
        limit: the most states.
        full_histories: keep histories apart that leave a program in the same state.
    """

    store: MemoryStore
    programs: Sequence[Program]
    optional: frozenset[int] = frozenset()
    on_store: Callable[[MemoryStore], None] = lambda _: None
    on_change: Callable[[MemoryStore, MemoryStore], None] = lambda _, __: None
    on_result: Callable[[int, Any, MemoryStore], None] = lambda _, __, ___: None
    on_end: Callable[[MemoryStore], None] = lambda _: None
    unseen: Callable[[Command], bool] = lambda _: False
    limit: int = 400_000
    full_histories: bool = False


class _Position:
    """How far a program has come: the replies it has had, and what it asks next."""

    __slots__ = ("command", "followers", "full", "number", "partial", "result", "wanted")

    def __init__(self, number: int) -> None:
        self.number = number
        self.full: History = ()
        self.partial: tuple[Any, ...] = ()
        self.wanted: list[Command] = []
        self.command: Command | None = None
        self.result: Any = None
        self.followers: dict[Any, _Position] = {}


class _Explorer:
    def __init__(self, search: Search) -> None:
        self.search = search
        self.positions: list[_Position] = []
        self.stores: list[MemoryStore] = []
        self.store_numbers: dict[object, int] = {}
        self.executed: dict[tuple[int, Command], tuple[int, Any]] = {}
        self.by_local_state: dict[object, _Position] = {}

    def intern(self, store: MemoryStore) -> int:
        canonical = store.canonical()
        number = self.store_numbers.get(canonical)
        if number is None:
            number = self.store_numbers[canonical] = len(self.stores)
            self.stores.append(store)
            self.search.on_store(store)
        return number

    def execute(self, number: int, command: Command) -> tuple[int, Any]:
        known = self.executed.get((number, command))
        if known is None:
            before = self.stores[number]
            after = before.copy()
            reply = after.execute(command)
            target = self.intern(after)
            if target != number:
                self.search.on_change(before, self.stores[target])
            known = (target, tuple(reply) if isinstance(reply, list) else reply)
            self.executed[number, command] = known
        return known

    def start(self, place: int) -> _Position:
        return self._replay(place, ())

    def follow(self, place: int, position: _Position, reply: object) -> _Position:
        follower = position.followers.get(reply)
        if follower is None:
            replies = (*position.partial, reply)
            if len(replies) == len(position.wanted):
                follower = self._replay(place, (*position.full, replies))
            else:
                follower = self._new(position.full, position.wanted, replies)
            position.followers[reply] = follower
        return follower

    def step(self, state: State, place: int) -> State:
        """Executes the next command of the program at ``place``."""
        position = self.positions[state[place + 1]]
        assert position.command is not None
        store, reply = self.execute(state[0], position.command)
        follower = self.follow(place, position, reply)
        if follower.command is None:
            self.search.on_result(place, follower.result, self.stores[store])
        return (store, *state[1 : place + 1], follower.number, *state[place + 2 :])

    def _new(
        self, full: History, wanted: list[Command], partial: tuple[Any, ...] = ()
    ) -> _Position:
        position = _Position(len(self.positions))
        position.full, position.wanted, position.partial = full, wanted, partial
        position.command = wanted[len(partial)] if wanted else None
        self.positions.append(position)
        return position

    def _replay(self, place: int, history: History) -> _Position:
        steps = self.search.programs[place]()
        result, wanted = None, []
        try:
            wanted = next(steps)
            for replies in history:
                wanted = steps.send([list(r) if isinstance(r, tuple) else r for r in replies])
            assert wanted, "a step asks for nothing: it would be taken for the program's end"
            local = history if self.search.full_histories else _local_state(steps)
        except StopIteration as stop:
            result, wanted = stop.value, []
            local = ("ended", history if self.search.full_histories else _frozen(result))
        finally:
            steps.close()
        key = (place, local)
        position = self.by_local_state.get(key)
        if position is None:
            position = self.by_local_state[key] = self._new(history, wanted)
            position.result = result
        return position


def _enough(
    search: Search, waiting: list[int], commands: Sequence[Command | None]
) -> Sequence[int]:
    """Which programs must be tried next, of those that wait."""
    for place in waiting:
        command = commands[place]
        if place not in search.optional and command is not None and search.unseen(command):
            return (place,)
    return waiting


def _local_state(steps: Steps[Any]) -> object:
    """Where each nested generator stands, and its locals."""
    frames: list[object] = []
    inner: Any = steps
    while isinstance(inner, GeneratorType) and inner.gi_frame is not None:
        frame: FrameType = inner.gi_frame
        frames.append((frame.f_code, frame.f_lasti, _frozen(frame.f_locals)))
        inner = inner.gi_yieldfrom
    return tuple(frames)


def _frozen(value: object) -> object:
    """A hashable stand-in for a local of a program."""
    if value is None or isinstance(value, str | bytes | int | float | range):
        return value
    if isinstance(value, dict):
        return frozenset((key, _frozen(held)) for key, held in value.items())
    if isinstance(value, list | tuple):
        return tuple(_frozen(held) for held in value)
    if isinstance(value, set | frozenset):
        return frozenset(_frozen(held) for held in value)
    if isinstance(value, msgspec.Struct):
        return type(value), _frozen(msgspec.structs.astuple(value))
    if isinstance(value, itertools.count):
        return repr(value)
    if isinstance(value, KnownLinks | OwnReservations | msgspec.Raw):
        return bytes(value) if isinstance(value, msgspec.Raw) else _frozen(vars(value))
    if isinstance(value, Keys | FunctionType | GeneratorType):
        return _local_state(value) if isinstance(value, GeneratorType) else type(value)
    raise TypeError(f"a program's local is of a kind that cannot be compared: {value!r}")


def explore(search: Search) -> Statistics:
    """Visits every state that can be reached; a check that fails is shown with its schedule.

    Raises:
        TooManyStatesError: there are more than ``limit``.
    """
    explorer = _Explorer(search)
    places = range(len(search.programs))
    positions = explorer.positions
    first = (
        explorer.intern(search.store),
        *(explorer.start(place).number for place in places),
    )
    came_from: dict[State, tuple[State, int] | None] = {first: None}
    todo, transitions, ends = [first], 0, 0
    state, place = first, 0
    try:
        while todo:
            state = todo.pop()
            waiting = [p for p in places if positions[state[p + 1]].command is not None]
            if search.optional.issuperset(waiting):
                ends += 1
                search.on_end(explorer.stores[state[0]])
            for place in _enough(search, waiting, [positions[n].command for n in state[1:]]):
                transitions += 1
                after = explorer.step(state, place)
                if after not in came_from:
                    came_from[after] = state, place
                    todo.append(after)
            if len(came_from) > search.limit:
                raise TooManyStatesError(f"more than {search.limit} states")
    except AssertionError as error:
        error.add_note(_schedule(explorer, came_from, state, place))
        raise
    return Statistics(len(came_from), transitions, ends)


def play(search: Search, seed: int) -> list[int]:
    """One random schedule instead of all of them, for what has too many states; the same checks.

    Those who may stop for ever do so in half of the schedules, somewhere. Returns who moved.
    """
    chance, store = random.Random(seed), search.store.copy()
    runners = [Runner(store, program()) for program in search.programs]
    patience = {
        place: chance.choice([chance.randrange(80), MOST_STEPS]) for place in search.optional
    }
    moved: list[int] = []
    try:
        search.on_store(store)
        for _ in range(MOST_STEPS):
            waiting = [place for place, runner in enumerate(runners) if not runner.done]
            if search.optional.issuperset(waiting):
                break
            place = chance.choice([p for p in waiting if patience.get(p, 1) > 0])
            patience[place] = patience.get(place, MOST_STEPS) - 1
            moved.append(place)
            before = store.copy()
            runners[place].step()
            search.on_store(store)
            search.on_change(before, store.copy())
            if runners[place].done:
                search.on_result(place, runners[place].result, store)
        assert search.optional.issuperset(p for p, runner in enumerate(runners) if not runner.done)
        search.on_end(store)
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    return moved


def _schedule(
    explorer: _Explorer,
    came_from: dict[State, tuple[State, int] | None],
    state: State,
    place: int,
) -> str:
    """The commands that led to a state, and the one that was tried there."""
    lines: list[str] = []
    step: tuple[State, int] | None = state, place
    while step is not None:
        state, place = step
        position = explorer.positions[state[place + 1]]
        if position.command is not None:
            _, reply = explorer.executed.get((state[0], position.command), (0, "(not run)"))
            lines.append(f"program {place}: {position.command} -> {reply}")
        step = came_from[state]
    return "\n".join(reversed(lines))
