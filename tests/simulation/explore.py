"""Every interleaving of a few generators, command by command, each state visited once.

A state is the store's content and how far each program has come. Programs and stores are
interned, both kinds of transition are remembered, and the search itself moves integers. A
generator cannot be copied: each that comes to a position waits there for a reply to go on with,
and where none is left one more is replayed from the replies that it has had. Programs must make
their own token counters.

Two histories count as one where they leave every frame of the generator at the same instruction
with equal locals. Loops over a collection hold their place in a local too, so nothing is left
out; ``test_explore.py`` compares with a search that keeps full histories apart.
"""

import gc
import itertools
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from types import FrameType, FunctionType, GeneratorType
from typing import Any, TypeAlias, cast

import msgspec

from bidder.reservations import OwnReservations
from models.commands import Command, Steps
from models.keys import Keys
from streams.stages.persons import KnownLinks
from tests.fakes.memory_store import MOST_STEPS, MemoryStore, Runner

__all__ = ["Program", "Search", "Statistics", "TooManyStatesError", "explore", "play"]

Program: TypeAlias = Callable[[], Steps[Any]]
BITS = 20
MASK = (1 << BITS) - 1
"""A state is one integer: the store's number, then each program's position in so many bits, the
first program's in the lowest.
"""

ATOMS = frozenset({str, bytes, int, float, bool, type(None)})
"""What most locals are made of: looked for in line, which saves two calls in three."""

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
        on_end: called when all that are not optional have ended; once for each content of the
            store.
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
    """How far a program has come: the replies it has had, and what it asks next.

    Attributes:
        place: whose program it is.
        full: the replies to all steps before this one, as they were in one history.
        partial: those to the first commands of this step.
        wanted: the commands of this step.
        command: the next one; None at the program's end.
        result: what the program returned, at its end.
        is_awaited: it has something left to do, and may not stop for ever.
        goes_first: it is awaited, and the next command is one that is ``unseen``.
        waiting: generators that have come here, each good for one follower.
        followers: by reply, where the program is next.
        moves: by store, what the next command adds to a state.
    """

    __slots__ = (
        "command", "followers", "full", "goes_first", "is_awaited", "moves", "number", "partial",
        "place", "result", "waiting", "wanted",
    )  # fmt: skip

    def __init__(self, place: int, number: int) -> None:
        self.place, self.number = place, number
        self.full: History = ()
        self.partial: tuple[Any, ...] = ()
        self.wanted: list[Command] = []
        self.command: Command | None = None
        self.result: Any = None
        self.is_awaited = self.goes_first = False
        self.waiting: list[Steps[Any]] = []
        self.followers: dict[Any, _Position] = {}
        self.moves: dict[int, int] = {}


class _Explorer:
    def __init__(self, search: Search) -> None:
        self.search = search
        self.top = BITS * len(search.programs)
        self.shifts = range(0, self.top, BITS)
        self.positions: list[_Position] = []
        self.stores: list[MemoryStore] = []
        self.store_numbers: dict[object, int] = {}
        self.executed: dict[tuple[int, Command], tuple[int, Any]] = {}
        self.by_local_state: dict[object, _Position] = {}
        self.ended: set[int] = set()

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

    def first(self) -> int:
        """The state before anybody moves."""
        first = self.intern(self.search.store) << self.top
        for place, program in enumerate(self.search.programs):
            first += self._arrive(place, (), program(), None).number << BITS * place
        return first

    def movers(self, state: int) -> list[_Position]:
        """Which programs must be tried next, of those that wait."""
        waiting = []
        for shift in self.shifts:
            position = self.positions[state >> shift & MASK]
            if position.goes_first:
                return [position]
            if position.command is not None:
                waiting.append(position)
        return waiting

    def follow(self, position: _Position, reply: object) -> _Position:
        follower = position.followers.get(reply)
        if follower is None:
            replies = (*position.partial, reply)
            if len(replies) < len(position.wanted):
                follower = self._new(position.place, position.full, position.wanted, replies)
                follower.waiting = position.waiting
            else:
                steps = position.waiting.pop() if position.waiting else self._replay(position)
                history = (*position.full, replies)
                follower = self._arrive(position.place, history, steps, _reply(replies))
            position.followers[reply] = follower
        return follower

    def move(self, position: _Position, number: int) -> int:
        """Executes the next command of a program in a store; what that adds to a state."""
        assert position.command is not None
        store, reply = self.execute(number, position.command)
        follower = self.follow(position, reply)
        if follower.command is None:
            self.search.on_result(position.place, follower.result, self.stores[store])
        moved = (follower.number - position.number) << (BITS * position.place)
        move = position.moves[number] = moved + ((store - number) << self.top)
        return move

    def end(self, number: int) -> None:
        if number not in self.ended:
            self.ended.add(number)
            self.search.on_end(self.stores[number])

    def _new(
        self, place: int, full: History, wanted: list[Command], partial: tuple[Any, ...] = ()
    ) -> _Position:
        position = _Position(place, len(self.positions))
        assert position.number <= MASK
        position.full, position.wanted, position.partial = full, wanted, partial
        if wanted:
            position.command = wanted[len(partial)]
            position.is_awaited = place not in self.search.optional
            position.goes_first = position.is_awaited and self.search.unseen(position.command)
        self.positions.append(position)
        return position

    def _arrive(
        self, place: int, history: History, steps: Steps[Any], reply: list[Any] | None
    ) -> _Position:
        """Where a program is after a reply; its generator waits there for the next one."""
        result, wanted = None, []
        try:
            wanted = steps.send(reply)  # type: ignore[arg-type]  # None starts it
            assert wanted, "a step asks for nothing: it would be taken for the program's end"
            local = history if self.search.full_histories else _local_state(steps)
        except StopIteration as stop:
            result = stop.value
            local = ("ended", history if self.search.full_histories else _frozen(result))
        key = (place, local)
        position = self.by_local_state.get(key)
        if position is None:
            position = self.by_local_state[key] = self._new(place, history, wanted)
            position.result = result
        if wanted:
            position.waiting.append(steps)
        return position

    def _replay(self, position: _Position) -> Steps[Any]:
        """One more generator for a position that all have left."""
        steps = self.search.programs[position.place]()
        next(steps)
        for replies in position.full:
            steps.send(_reply(replies))
        return steps


def _reply(replies: tuple[Any, ...]) -> list[Any]:
    return [list(reply) if isinstance(reply, tuple) else reply for reply in replies]


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
    kind = type(value)
    if kind is dict:
        held = cast("dict[object, object]", value)
        return frozenset(zip(held, _all_frozen(held.values()), strict=True))
    if kind is list or kind is tuple:
        return tuple(_all_frozen(cast("Sequence[object]", value)))
    if kind is set or kind is frozenset:
        return frozenset(_all_frozen(cast("Collection[object]", value)))
    if kind is Keys or kind is FunctionType:
        return kind
    if issubclass(kind, msgspec.Struct):
        return kind, *_all_frozen(msgspec.structs.astuple(cast("msgspec.Struct", value)))
    return _frozen_rare(value)


def _frozen_rare(value: object) -> object:
    if value is None or isinstance(value, str | bytes | int | float | range):
        return value
    if isinstance(value, GeneratorType):
        return _local_state(value)
    if isinstance(value, itertools.count):
        return repr(value)
    if isinstance(value, msgspec.Raw):
        return bytes(value)
    if isinstance(value, KnownLinks | OwnReservations):
        return _frozen(vars(value))
    raise TypeError(f"a program's local is of a kind that cannot be compared: {value!r}")


def _all_frozen(values: Iterable[object]) -> list[object]:
    return [value if type(value) in ATOMS else _frozen(value) for value in values]


def explore(search: Search) -> Statistics:
    """Visits every state that can be reached; a check that fails is shown with its schedule.

    Raises:
        TooManyStatesError: there are more than ``limit``.
    """
    # All that a search holds lives to its end: to look through it took a third of the time.
    gc.disable()
    try:
        return _visit_all(_Explorer(search))
    finally:
        gc.enable()


def _visit_all(explorer: _Explorer) -> Statistics:
    limit, top, first = explorer.search.limit, explorer.top, explorer.first()
    came_from = {first: first}
    todo, transitions, ends = [first], 0, 0
    state = first
    try:
        while todo:
            state = todo.pop()
            store = state >> top
            is_end = True
            for position in explorer.movers(state):
                if position.is_awaited:
                    is_end = False
                transitions += 1
                move = position.moves.get(store)
                after = state + (explorer.move(position, store) if move is None else move)
                if after not in came_from:
                    came_from[after] = state
                    todo.append(after)
            if is_end:
                ends += 1
                explorer.end(store)
            if len(came_from) > limit:
                raise TooManyStatesError(f"more than {limit} states")
    except AssertionError as error:
        error.add_note(_schedule(explorer, came_from, state))
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
        before = store.copy()
        search.on_store(before)
        for _ in range(MOST_STEPS):
            waiting = [place for place, runner in enumerate(runners) if not runner.done]
            if search.optional.issuperset(waiting):
                break
            place = chance.choice([p for p in waiting if patience.get(p, 1) > 0])
            patience[place] = patience.get(place, MOST_STEPS) - 1
            moved.append(place)
            runners[place].step()
            if not store.equals(before):
                after = store.copy()
                search.on_store(after)
                search.on_change(before, after)
                before = after
            if runners[place].done:
                search.on_result(place, runners[place].result, store)
        assert search.optional.issuperset(p for p, runner in enumerate(runners) if not runner.done)
        search.on_end(store)
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    return moved


def _schedule(explorer: _Explorer, came_from: dict[int, int], state: int) -> str:
    """The commands that led to a state, and the one that was tried there, if any was."""
    lines = [
        f"program {position.place}: {position.command} was tried last"
        for position in explorer.movers(state)
        if state >> explorer.top not in position.moves
    ][:1]
    while came_from[state] != state:
        after, state = state, came_from[state]
        store = state >> explorer.top
        moved = next(p for p in explorer.movers(state) if state + p.moves.get(store, 0) == after)
        assert moved.command is not None
        _, reply = explorer.executed[store, moved.command]
        lines.append(f"program {moved.place}: {moved.command} -> {reply}")
    return "\n".join(reversed(lines))
