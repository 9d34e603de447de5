"""Several algorithms as one: rounds in lock step, results in order, errors for all."""

import pytest

from models.commands import Steps, together


def asking(*counts: int) -> Steps[list[list[int]]]:
    """Asks for so many things in each of its steps; returns the replies."""
    heard: list[list[int]] = []
    for count in counts:
        replies = yield [("GET", f"{counts}{place}") for place in range(count)]
        heard.append(replies)
    return heard


def answered(steps: Steps[list[list[list[int]]]]) -> tuple[list[list[list[int]]], list[int]]:
    """Answers each command with its number in all; the result, and how long each step was."""
    rounds: list[int] = []
    replies: list[int] | None = None
    while True:
        try:
            rounds.append(len(steps.send(replies)))  # type: ignore[arg-type]  # None starts it
        except StopIteration as stop:
            return stop.value, rounds
        replies = list(range(sum(rounds[:-1]), sum(rounds)))


def test_a_round_travels_as_one_step_and_each_hears_its_own_replies() -> None:
    results, rounds = answered(together([asking(2, 1), asking(), asking(1, 2, 1)]))
    assert results == [[[0, 1], [3]], [], [[2], [4, 5], [6]]]
    assert rounds == [3, 3, 1]


def test_of_nobody_nothing_is_asked() -> None:
    assert answered(together([])) == ([], [])
    assert answered(together([asking(), asking()])) == ([[], []], [])


def test_a_lost_server_ends_all() -> None:
    left: list[str] = []

    def sleeping(name: str) -> Steps[None]:
        try:
            yield [("GET", name)]
        finally:
            left.append(name)

    steps = together([sleeping("a"), sleeping("b")])
    next(steps)
    with pytest.raises(ConnectionError):
        steps.throw(ConnectionError())
    del steps
    assert left == ["a", "b"]
