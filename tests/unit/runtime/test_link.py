"""Generators that run together: what each of them hears, over a link that answers by a script."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import hiredis
import pytest

from models.commands import TURN, Command, Steps
from runtime.link import Asker, Link, RedisDownError, RedisReplyError

DOWN = RedisDownError("down")


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs a test in an event loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class ScriptedLink(Link):
    """Answers at the end of the tick, or refuses for good after so many rounds."""

    address, is_up, losses = "script", True, 0

    def __init__(self, answer: Callable[[Command], Any], rounds: int = 100) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._rounds = rounds
        self.asked: list[list[Command]] = []

    async def connect(self) -> None:
        """Nothing to connect."""

    async def open(self) -> RedisDownError | None:
        """Nothing to open."""
        return None

    async def close(self) -> None:
        """Nothing to close."""

    @property
    def servers(self) -> Sequence[Link]:
        return (self,)

    def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
        if len(self.asked) >= self._rounds:
            return DOWN
        self.asked.append(commands)
        self._loop.call_soon(lambda: asker.answered([self._answer(one) for one in commands]))
        return None


def asking(*steps: int) -> Steps[list[Any]]:
    """Asks for so many things in each step; returns all that it heard."""
    heard: list[Any] = []
    for number, count in enumerate(steps):
        heard += yield [("GET", f"{number}.{place}") for place in range(count)]
    return heard


def name_of(command: Command) -> object:
    return command[1]


@in_loop
async def test_each_hears_its_own_replies_and_a_round_is_asked_for_at_once() -> None:
    link = ScriptedLink(name_of)
    assert await link.run_all([asking(1, 2), asking(2), asking()]) == [
        ["0.0", "1.0", "1.1"], ["0.0", "0.1"], [],
    ]  # fmt: skip
    assert [len(commands) for commands in link.asked] == [3, 2]


@in_loop
async def test_a_step_that_asks_for_nothing_is_an_error_and_no_wait_for_ever() -> None:
    link = ScriptedLink(name_of)
    with pytest.raises(ValueError, match="asks for nothing"):
        await link.run(asking(1, 0))
    with pytest.raises(ValueError, match="asks for nothing"):
        await link.run_all([asking(1, 1), asking(1, 0, 1)])
    assert [len(commands) for commands in link.asked] == [1, 2, 1], "the other came to its end"


@in_loop
async def test_nothing_to_drive_asks_nobody() -> None:
    link = ScriptedLink(name_of)
    assert await link.run_all([]) == []
    assert link.asked == []


@in_loop
async def test_a_refused_command_fails_its_own_generator_and_the_others_go_on() -> None:
    ended: list[int] = []

    def careful(number: int) -> Steps[None]:
        yield [("GET", number)]
        yield [("GET", "more")]
        ended.append(number)

    link = ScriptedLink(lambda command: hiredis.ReplyError("no") if command[1] == 1 else b"yes")
    with pytest.raises(RedisReplyError, match="no"):
        await link.run_all(careful(number) for number in range(3))
    assert ended == [0, 2]


@in_loop
async def test_a_generator_that_can_do_without_redis_ends_and_a_stubborn_one_is_ended() -> None:
    def modest() -> Steps[str]:
        try:
            yield [("GET", "a")]
            yield [("GET", "b")]
        except RedisDownError:
            return "without"
        return "with"

    def stubborn() -> Steps[str]:
        while True:
            try:
                yield [("GET", "a")]
            except RedisDownError:
                continue

    link = ScriptedLink(name_of, rounds=1)
    assert await link.run_all([modest()]) == ["without"]
    with pytest.raises(RedisDownError, match="down"):
        await ScriptedLink(name_of, rounds=1).run_all([modest(), stubborn()])


@in_loop
async def test_a_loss_is_thrown_into_everybody() -> None:
    class LostLink(ScriptedLink):
        def ask(self, asker: Asker, commands: list[Command]) -> RedisDownError | None:
            self._loop.call_soon(lambda: asker.lost(DOWN))
            return None

    with pytest.raises(RedisDownError, match="down"):
        await LostLink(name_of).run_all([asking(1), asking(1)])


# -- turns -----------------------------------------------------------------------------------------


def staged(name: str, told: list[str], *, breaks: bool = False) -> Steps[str]:
    """Asks once, then works in two stages."""
    yield [("GET", name)]
    told.append(f"{name} first")
    yield TURN
    if breaks:
        raise ZeroDivisionError
    told.append(f"{name} second")
    return name


@in_loop
async def test_what_comes_together_goes_stage_by_stage_and_one_that_breaks_holds_nobody_up() -> (
    None
):
    link, told, failures = ScriptedLink(name_of), list[str](), list[Exception]()
    for name in "abc":
        link.start(staged(name, told, breaks=name == "b"), told.append, failures.append)
    link.turns.open()
    await asyncio.sleep(0.01)
    assert told == ["a first", "b first", "c first"]
    link.turns.close()
    assert told[3:] == ["a second", "a", "c second", "c"]
    assert [type(one) for one in failures] == [ZeroDivisionError]


@in_loop
async def test_what_comes_alone_waits_for_nobody_and_runs_in_a_cohort_too() -> None:
    link, told = ScriptedLink(name_of), list[str]()
    assert await link.run(staged("a", told)) == "a"
    assert await link.run_all([staged("b", told), staged("c", told)]) == ["b", "c"]
    assert told == [f"{name} {stage}" for name in "abc" for stage in ("first", "second")]


@in_loop
async def test_whoever_asks_on_in_a_turn_is_answered_in_another_batch() -> None:
    def asks_again() -> Steps[None]:
        yield TURN
        told.append("asks")
        yield [("GET", "more")]
        yield TURN
        told.append("knows")

    link, told = ScriptedLink(name_of), list[str]()
    link.turns.open()
    link.start(asks_again(), lambda _: None, lambda error: pytest.fail(str(error)))
    link.turns.close()
    assert told == ["asks"]
    await asyncio.sleep(0.01)
    assert told == ["asks", "knows"]
