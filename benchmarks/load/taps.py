"""Taps: what a function is called with while the real thing runs, to be called again and timed.

So a stage is measured on exactly what a bid gives it, whatever its parameters are.
"""

import contextlib
import functools
import inspect
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Final, NamedTuple, TypeVar, cast

from benchmarks.bench.site import BenchError
from models.commands import TURN, Command, Steps

__all__ = ["Call", "Step", "Tap", "answered", "micros", "recorded", "replayed", "tapped"]

T = TypeVar("T")
REPEATS: Final = 5
NS_PER_MICRO: Final = 1000


class Tap(NamedTuple):
    """A function, by the name under which its caller finds it: a module's or a class's."""

    owner: Any
    name: str


class Call(NamedTuple):
    """One call of a tapped function."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any

    def again(self) -> Any:  # noqa: ANN401 - whatever the function gives
        """Calls it once more."""
        return self.function(*self.args, **self.kwargs)


class Step(NamedTuple):
    """Commands that a generator asked for, and their replies."""

    commands: list[Command]
    replies: list[Any]


@contextlib.contextmanager
def tapped(taps: Sequence[Tap]) -> Iterator[dict[Tap, list[Call]]]:
    """Writes down the calls of functions within the block.

    Raises:
        BenchError: there is no function of that name any more.
    """
    calls: dict[Tap, list[Call]] = {tap: [] for tap in taps}
    with contextlib.ExitStack() as restoring:
        for tap in taps:
            function = getattr(tap.owner, tap.name, None)
            if function is None:
                raise BenchError(f"{tap.owner.__name__}.{tap.name} is no stage of a bid any more")
            setattr(tap.owner, tap.name, _noting(function, calls[tap]))
            restoring.callback(setattr, tap.owner, tap.name, function)
        yield calls


def _noting(function: Callable[..., Any], calls: list[Call]) -> Callable[..., Any]:
    @functools.wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands for any function
        result = function(*args, **kwargs)
        if inspect.isgenerator(result):
            steps = cast("Steps[Any]", result)
            return _ending(steps, Call(function, args, kwargs, None), calls)
        calls.append(Call(function, args, kwargs, result))
        return result

    return noting


def _ending(steps: Steps[T], call: Call, calls: list[Call]) -> Steps[T]:
    result = yield from steps
    calls.append(call._replace(result=result))
    return result


@contextlib.contextmanager
def answered(calls: dict[Tap, list[Call]]) -> Iterator[None]:
    """Has functions give what they gave before, in the same order and again from the first.

    What is left of whoever calls them is then measured by itself.
    """
    with contextlib.ExitStack() as restoring:
        for tap, made in calls.items():
            function = getattr(tap.owner, tap.name)
            results = itertools.cycle([one.result for one in made])
            stand_in = _asking if inspect.isgeneratorfunction(function) else _telling
            setattr(tap.owner, tap.name, stand_in(results))
            restoring.callback(setattr, tap.owner, tap.name, function)
        yield


def _telling(results: Iterator[Any]) -> Callable[..., Any]:
    return lambda *_, **__: next(results)


def _asking(results: Iterator[Any]) -> Callable[..., Steps[Any]]:
    def asking(*_: Any, **__: Any) -> Steps[Any]:  # noqa: ANN401 - stands for any function
        yield from ()
        return next(results)

    return asking


def recorded(steps: Steps[T], tape: list[Step]) -> Steps[T]:
    """The same generator; what it asks for and is told goes to the tape."""
    replies: Any = None
    while True:
        try:
            commands = steps.send(replies)
        except StopIteration as stop:
            return cast("T", stop.value)
        if commands is TURN:
            replies = []
            continue
        replies = yield commands
        tape.append(Step(commands, list(replies)))


def replayed(steps: Steps[T], tape: Sequence[Step]) -> T:
    """Runs a generator on recorded replies, without any I/O."""
    replies: Any = None
    left = iter(tape)
    try:
        while True:
            if steps.send(replies) is TURN:
                replies = []
            elif (step := next(left, None)) is not None:
                replies = step.replies
            else:
                raise BenchError("a bid asks Redis for more than it did a moment ago")
    except StopIteration as stop:
        return cast("T", stop.value)


def micros(work: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """CPU of ``work`` for one of the inputs, in microseconds: the median of several rounds."""
    if not inputs:
        return 0.0
    rounds: list[float] = []
    for _ in range(REPEATS):
        begun_ns = time.process_time_ns()
        for one in inputs:
            work(one)
        rounds.append((time.process_time_ns() - begun_ns) / NS_PER_MICRO / len(inputs))
    return median(rounds)
