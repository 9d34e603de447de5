"""What drives generators over Redis, whether that is one server or a cluster of them.

A generator's step is handed to the servers; when all its replies are there, the generator is
resumed with them and yields its next step. What a lost server means, open or closed, is written
where the generator catches :class:`RedisDownError`, or does not.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, Protocol, TypeVar

import hiredis

from models.commands import TURN, Command, Steps
from models.errors import DownError, KinbidError

__all__ = ["Asker", "Link", "RedisDownError", "RedisReplyError", "Turns", "Walk"]

T = TypeVar("T")
logger = logging.getLogger(__name__)

REFUSALS: Final = frozenset({hiredis.HiredisError, hiredis.ProtocolError, hiredis.ReplyError})
MOST_FAILURES: Final = 3
"""A generator that asks on although the link is down is ended after so many refusals."""


class RedisDownError(DownError):
    """Redis cannot be reached; nothing is known about what was asked."""

    setting: ClassVar[str] = "redis_url"


class RedisReplyError(KinbidError):
    """Redis refused a command."""


class Asker(Protocol):
    """Whoever waits for the replies to some commands."""

    def answered(self, replies: list[Any]) -> None:
        """Takes the replies, in order; a refused command's is a ``hiredis.HiredisError``."""

    def lost(self, error: RedisDownError) -> None:
        """Learns that the replies will never come; the commands may have run or not."""


class Turns:
    """Has generators that came together take their turns together.

    Recorded bids that go through each stage by sixteen cost a fifth less CPU than as many that go
    through all stages one by one, and in a worker a tenth: an interpreter runs the code that it has
    just run faster. What comes alone waits for nobody.
    """

    __slots__ = ("_is_open", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Walk] = []
        self._is_open = False

    def open(self) -> None:
        """Begins: whoever yields :data:`~models.commands.TURN` from now on waits for the others."""
        self._is_open = True

    def take(self, walk: "Walk") -> bool:
        """Has a walk wait for its turn; False where it may go on at once."""
        if self._is_open:
            self._waiting.append(walk)
        return self._is_open

    def close(self) -> None:
        """Has all of them go on, turn by turn, until nobody waits."""
        while self._waiting:
            walks, self._waiting = self._waiting, []
            for walk in walks:
                walk.go_on()
        self._is_open = False


class Walk(ABC):
    """A generator on its way: the asker of one step after another.

    Args:
        link: where it asks.
        steps: the algorithm.
    """

    __slots__ = ("_link", "_steps")

    def __init__(self, link: "Link", steps: Steps[Any]) -> None:
        self._link = link
        self._steps = steps

    @abstractmethod
    def ended(self, result: Any) -> None:  # noqa: ANN401 - whatever the generator returns
        """Takes the generator's result."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """Learns of a RedisDownError, a RedisReplyError or what the generator raised, instead."""

    def begin(self) -> None:
        """Runs the generator to its first step and hands that on."""
        self._go_on(None)

    def go_on(self) -> None:
        """Resumes the generator whose turn it is."""
        self._go_on([])

    def answered(self, replies: list[Any]) -> None:
        """Resumes the generator, with an error if Redis refused any of the step's commands."""
        for reply in replies:
            if isinstance(reply, hiredis.HiredisError):
                error = RedisReplyError(str(reply))
                self._link.note_refusal(error)
                self._go_on(None, error)
                return
        self._go_on(replies)

    def lost(self, error: RedisDownError) -> None:
        """Throws the loss into the generator, so it can do without."""
        self._go_on(None, error)

    def _go_on(
        self, replies: list[Any] | None, error: Exception | None = None, failures: int = 0
    ) -> None:
        """Runs the generator to its next step and hands that on."""
        steps = self._steps
        try:
            commands = (
                steps.send(replies)  # type: ignore[arg-type]  # None starts it
                if error is None
                else steps.throw(error)
            )
        except StopIteration as stop:
            _call(self.ended, stop.value)
        except Exception as raised:  # noqa: BLE001 - the algorithm's own; its owner decides
            _call(self.failed, raised)
        else:
            if not commands:
                self._take_turn(commands)
            elif (refusal := self._link.ask(self, commands)) is not None:
                self._do_without(refusal, failures + 1)

    def _take_turn(self, commands: list[Command]) -> None:
        """Waits for the others, if there are any."""
        if commands is not TURN:
            self._steps.close()
            _call(self.failed, _empty_step())
        elif not self._link.turns.take(self):
            self._go_on([])

    def _do_without(self, error: RedisDownError, failures: int) -> None:
        """Tells the generator that it cannot ask; one that tries again and again is ended."""
        if failures < MOST_FAILURES:
            self._go_on(None, error, failures)
        else:
            self._steps.close()
            _call(self.failed, error)


class _Told(Walk):
    """A generator whose owner has functions for its end."""

    __slots__ = ("_done", "_failed")

    def __init__(
        self,
        link: "Link",
        steps: Steps[T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        super().__init__(link, steps)
        self._done = done
        self._failed = failed

    def ended(self, result: Any) -> None:  # noqa: ANN401 - whatever the generator returns
        self._done(result)

    def failed(self, error: Exception) -> None:
        self._failed(error)


def _refusal_in(replies: list[Any]) -> RedisReplyError | None:
    for reply in replies:
        if isinstance(reply, hiredis.HiredisError):
            return RedisReplyError(str(reply))
    return None


def _empty_step() -> ValueError:
    return ValueError("a step asks for nothing: nobody would ever answer it")


def _next_step(
    steps: Steps[Any], replies: list[Any] | None, error: Exception | None
) -> list[Command]:
    """What a generator asks for next, once it has its replies or an error instead."""
    commands = (
        steps.send(replies)  # type: ignore[arg-type]  # None starts it
        if error is None
        else steps.throw(error)
    )
    while commands is TURN:
        commands = steps.send([])
    if not commands:
        steps.close()
        raise _empty_step()
    return commands


class _Gathered:
    """Results of generators that run together: one future for all, not one for each."""

    __slots__ = ("ended", "errors", "left", "results")

    def __init__(self, ended: asyncio.Future[None], count: int) -> None:
        self.ended = ended
        self.left = count
        self.results: list[Any] = [None] * count
        self.errors: dict[int, Exception] = {}

    def done(self, place: int, result: object) -> None:
        self.results[place] = result
        self.end_one()

    def failed(self, place: int, error: Exception) -> None:
        self.errors[place] = error
        self.end_one()

    def end_one(self) -> None:
        self.left -= 1
        # Not before all have ended: whoever tries again must not meet one that is still at work.
        if not self.left and not self.ended.done():
            self.ended.set_result(None)


class _Cohort:
    """Generators that walk in step: all their commands of a round are asked for at once.

    One waiter for all, instead of one for each, takes 0.75 of a fold's CPU. Several smaller cohorts
    side by side would keep Redis busy meanwhile, but cost 1.1 times the worker's CPU and 1.15
    times Redis'.
    """

    __slots__ = ("_commands", "_gathered", "_link", "_walking")

    def __init__(
        self, link: "Link", gathered: _Gathered, algorithms: Iterable[tuple[int, Steps[Any]]]
    ) -> None:
        self._link = link
        self._gathered = gathered
        self._commands: list[Command] = []
        self._walking: list[tuple[int, Steps[Any], int]] = []
        for place, steps in algorithms:
            self._move(place, steps, None, None)
        self._ask()

    def answered(self, replies: list[Any]) -> None:
        """Resumes each generator with its part, or with an error if Redis refused any of it."""
        walking, self._walking, self._commands = self._walking, [], []
        is_clean = REFUSALS.isdisjoint(map(type, replies))
        first = 0
        for place, steps, count in walking:
            own = replies[first : first + count]
            first += count
            error = None if is_clean else _refusal_in(own)
            if error is not None:
                self._link.note_refusal(error)
            self._move(place, steps, own, error)
        self._ask()

    def lost(self, error: RedisDownError) -> None:
        """Throws the loss into every generator, so they can do without."""
        self._throw(error)
        self._ask()

    def _throw(self, error: RedisDownError) -> None:
        walking, self._walking, self._commands = self._walking, [], []
        for place, steps, _ in walking:
            self._move(place, steps, None, error)

    def _move(
        self, place: int, steps: Steps[Any], replies: list[Any] | None, error: Exception | None
    ) -> None:
        """Runs a generator to its next step."""
        try:
            commands = _next_step(steps, replies, error)
        except StopIteration as stop:
            self._gathered.done(place, stop.value)
        except Exception as raised:  # noqa: BLE001 - the algorithm's own; its caller decides
            self._gathered.failed(place, raised)
        else:
            self._commands += commands
            self._walking.append((place, steps, len(commands)))

    def _ask(self) -> None:
        for attempt in range(MOST_FAILURES):
            if not self._walking:
                return
            error = self._link.ask(self, self._commands)
            if error is None:
                return
            if attempt == MOST_FAILURES - 1:
                self._give_up(error)
            else:
                self._throw(error)

    def _give_up(self, error: RedisDownError) -> None:
        for place, steps, _ in self._walking:
            steps.close()
            self._gathered.failed(place, error)


class Link(ABC):
    """Drives generators; see :mod:`runtime.redis_url` for the one that a URL asks for."""

    _loop: asyncio.AbstractEventLoop
    turns: ClassVar = Turns()
    """Of all generators of this process, whichever link drives them: it has one loop."""

    # -- life ------------------------------------------------------------------------------

    @abstractmethod
    async def connect(self) -> None:
        """Connects, signs in and loads kinbid's functions.

        Raises:
            RedisDownError: Redis cannot be reached or refuses us.
        """

    @abstractmethod
    async def open(self) -> RedisDownError | None:
        """Connects now, or in the background as often as it takes; work is refused meanwhile.

        Returns:
            None, or why Redis cannot be used yet.
        """

    @abstractmethod
    async def close(self) -> None:
        """Ends every connection; waiters fail."""

    @property
    @abstractmethod
    def address(self) -> str:
        """The server or servers, without credentials."""

    @property
    @abstractmethod
    def is_up(self) -> bool:
        """Whether Redis can be asked."""

    @property
    @abstractmethod
    def losses(self) -> int:
        """How often a connection was lost: each time, Redis may have forgotten."""

    @property
    @abstractmethod
    def servers(self) -> Sequence["Link"]:
        """A link to each server that owns keys, for what is done on every one of them."""

    @abstractmethod
    def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
        """Sends commands whose replies go to the asker, never before this returns.

        Returns:
            None, or why they cannot be sent: then the asker hears nothing.
        """

    def at_end_of_tick(self, callback: Callable[[], None]) -> None:
        """Calls back when this tick ends, if possible just before what was asked for in it leaves.

        Whatever the callback asks for then travels along.
        """
        asyncio.get_running_loop().call_soon(callback)

    def note_refusal(self, error: RedisReplyError) -> None:  # noqa: B027 - most need no answer
        """Learns that Redis refused a command, before whoever asked does."""

    # -- driving generators ----------------------------------------------------------------

    def start(
        self, steps: Steps[T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Drives a generator to its end.

        Args:
            steps: the algorithm.
            done: called with its result.
            failed: called instead, with a RedisDownError, a RedisReplyError or what steps raised.
        """
        _Told(self, steps, done, failed).begin()

    async def run(self, steps: Steps[T]) -> T:
        """Drives one generator and waits for its result.

        Raises:
            RedisDownError, RedisReplyError: as for :meth:`start`.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self.start(steps, *_settle(future))
        return await future

    async def run_all(self, algorithms: Iterable[Steps[T]]) -> list[T]:
        """Drives many generators in lock step: each round leaves as one write to each server.

        Raises:
            RedisDownError, RedisReplyError: as for :meth:`start`, the first one's; when all ended.
        """
        numbered = list(enumerate(algorithms))
        if not numbered:
            return []
        gathered = _Gathered(self._loop.create_future(), len(numbered))
        _Cohort(self, gathered, numbered)
        await gathered.ended
        if gathered.errors:
            raise gathered.errors[min(gathered.errors)]
        return gathered.results

    def send(self, commands: list[Command]) -> None:
        """Sends commands whose replies nobody waits for; a refusal is logged."""
        self.start(just(commands), _ignore, _log_failure)


def just(commands: list[Command]) -> Steps[list[Any]]:
    """One step, and its replies."""
    return (yield commands)


def _settle(
    future: asyncio.Future[T],
) -> tuple[Callable[[T], None], Callable[[Exception], None]]:
    def done(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def failed(error: Exception) -> None:
        if not future.done():
            future.set_exception(error)

    return done, failed


def _call(callback: Callable[[Any], None], value: object) -> None:
    """Calls back; an error there must not cost the connection of everybody else."""
    try:
        callback(value)
    except Exception:  # the callback's fault, reported and contained
        logger.exception("redis_callback_failed")


def _ignore(_: object) -> None:
    return


def _log_failure(error: Exception) -> None:
    logger.warning("redis_command_failed", extra={"reason": str(error)})
