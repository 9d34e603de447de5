"""Log lines: one JSON object each."""

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterator

import pytest

from runtime import logs

Lines = Callable[[], list[str]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What is on standard error; the root logger is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []

    def written() -> list[str]:
        return capsys.readouterr().err.splitlines()

    yield written
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_and_its_fields_are_one_line_of_json(lines: Lines) -> None:
    logs.configure("bidder-0")
    before = dt.datetime.now(dt.UTC)  # noqa: TID251 - the clock that logging itself reads
    logging.getLogger("x").warning(
        "redis_lost", extra={"address": "h:1", "count": 3, "odd": {"a": object}, "text": 'a"\nb'}
    )
    (line,) = lines()
    record = json.loads(line)
    assert record.pop("odd") == {"a": "<class 'object'>"}
    assert dt.datetime.fromisoformat(record.pop("time")) >= before - dt.timedelta(seconds=1)
    assert record == {
        "level": "warning", "process": "bidder-0", "event": "redis_lost", "address": "h:1",
        "count": 3, "text": 'a"\nb',
    }  # fmt: skip


def test_an_exception_is_told_within_the_line(lines: Lines) -> None:
    logs.configure("bidder")
    try:
        _ = 1 / int("0")
    except ZeroDivisionError:
        logging.getLogger("x").exception("bid_failed")
    (line,) = lines()
    assert "ZeroDivisionError: division by zero" in json.loads(line)["error"]


def test_less_severe_and_other_peoples_events_are_not_written(lines: Lines) -> None:
    logs.configure("bidder", "WARNING")
    logging.getLogger("x").info("quiet")
    logging.getLogger("aiokafka.client").warning("chatter")
    assert lines() == []


def test_configuring_twice_does_not_write_twice(lines: Lines) -> None:
    logs.configure("a")
    logs.configure("b")
    logging.getLogger("x").warning("once")
    (line,) = lines()
    assert json.loads(line)["process"] == "b"
