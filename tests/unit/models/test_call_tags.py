"""What the catalogue makes of calls."""

from collections.abc import Mapping

import pytest

from models.call_tags import (
    ads_paused_until_ms,
    conversions_of,
    open_callbacks,
    overdue_callbacks,
    tags_of,
)
from models.calls import ToldCall
from models.catalog_records import CallTag
from models.units import HOUR_MS, MICROS
from tests.fakes.phone_calls import AIR, DEPARTMENTS, START_MS, TAGS, a_told_call, at_ms

LOST = a_told_call("lost", missed_reason="lines_full")


def owed(*calls: ToldCall) -> list[str]:
    return [one.call_id for one in open_callbacks(calls, TAGS, DEPARTMENTS)]


def percents(call: ToldCall, tags: Mapping[str, CallTag] = TAGS) -> list[int]:
    """The call's share of a sale's value; nothing where it does not count."""
    return [one.value_percent for one in conversions_of([call], tags, DEPARTMENTS)]


def paused_until(*calls: ToldCall, now_ms: int = START_MS) -> int | None:
    return ads_paused_until_ms(calls, AIR, TAGS, DEPARTMENTS, now_ms)


@pytest.mark.parametrize("reason", ["no_answer", "closed", "hung_up", "unknown"])
def test_only_the_reasons_of_the_catalogue_bring_a_tag_by_themselves(reason: str) -> None:
    assert tags_of(a_told_call(missed_reason=reason), TAGS) == []
    assert tags_of(LOST, TAGS) == [TAGS["call_back"]]
    assert tags_of(LOST, {}) == []


@pytest.mark.parametrize("tag", ["repeat", "a typo"])
def test_full_lines_open_a_call_back_whatever_else_the_operator_says_of_the_call(tag: str) -> None:
    lost = a_told_call("lost", missed_reason="lines_full", tag=tag)
    assert owed(lost) == ["lost"]
    assert owed(a_told_call("heard", -5), lost) == ["lost"]
    assert paused_until(lost) == START_MS + 24 * HOUR_MS
    assert owed(a_told_call("lost", missed_reason="no_answer", tag=tag)) == []
    assert owed(a_told_call("heard", tag=tag)) == []


def test_an_operators_tag_that_speaks_of_call_backs_itself_stands_alone() -> None:
    tags = TAGS | {
        "soon": CallTag(id="soon", opens_callback=True, pauses_ads_hours=1),
        "angry": CallTag(id="angry", is_conversion=False, counts_value=False, pauses_ads_hours=48),
    }
    spam = a_told_call("spam", missed_reason="lines_full", tag="not_a_customer")
    assert tags_of(spam, tags) == [tags["not_a_customer"]]
    soon = a_told_call("soon", missed_reason="lines_full", tag="soon")
    assert [one.tag.id for one in open_callbacks([soon], tags, DEPARTMENTS)] == ["soon"]
    assert ads_paused_until_ms([soon], AIR, tags, DEPARTMENTS, START_MS) == START_MS + HOUR_MS
    angry = a_told_call("angry", missed_reason="lines_full", tag="angry")
    assert [one.tag.id for one in open_callbacks([angry], tags, DEPARTMENTS)] == ["call_back"]
    assert ads_paused_until_ms([angry], AIR, tags, DEPARTMENTS, START_MS) == (
        START_MS + 48 * HOUR_MS
    )


def test_a_call_to_service_closes_no_call_back_of_sales() -> None:
    to_service = a_told_call("served", 1, department="service")
    astray = a_told_call("astray", 1, department="nobody-configured-it")
    to_sales = a_told_call("sold", 2, department="sales")
    assert owed(LOST, to_service, astray) == ["lost"]
    assert paused_until(LOST, to_service) == START_MS + 24 * HOUR_MS
    assert owed(LOST, to_service, to_sales) == []
    lost_by_service = a_told_call("lost", missed_reason="lines_full", department="service")
    assert owed(lost_by_service) == ["lost"]
    assert owed(lost_by_service, to_service) == owed(lost_by_service, to_sales) == []


def test_a_tag_that_nobody_configured_is_neither_conversion_nor_value() -> None:
    assert percents(a_told_call(tag="typo")) == []


def test_more_tags_need_configuration_only() -> None:
    tags = TAGS | {
        "press": CallTag(id="press", counts_value=False),
        "angry": CallTag(id="angry", pauses_ads_hours=1),
    }
    press, angry = a_told_call(tag="press"), a_told_call(tag="angry")
    assert percents(press, tags) == [0]
    assert ads_paused_until_ms([angry], AIR, tags, DEPARTMENTS, START_MS) == START_MS + HOUR_MS
    assert ads_paused_until_ms([angry], AIR, tags, DEPARTMENTS, START_MS + HOUR_MS) is None
    assert open_callbacks([angry], tags, DEPARTMENTS) == []


@pytest.mark.parametrize(
    ("call", "counts"),
    [
        (a_told_call(), True),
        (a_told_call(department="sales"), True),
        (a_told_call(department="service"), False),
        (a_told_call(department="nobody-configured-it"), False),
        (a_told_call(is_outbound=True), False),
        (a_told_call(missed_reason="no_answer"), False),
    ],
)
def test_a_conversion_is_an_answered_inbound_call_to_sales(call: ToldCall, counts: bool) -> None:
    assert bool(percents(call)) is counts


@pytest.mark.parametrize(("score", "percent"), [(None, 100), (0, 0), (55, 55), (100, 100)])
def test_the_score_weighs_the_value(score: int | None, percent: int) -> None:
    (one,) = conversions_of([a_told_call(score=score)], TAGS, DEPARTMENTS)
    assert one.value_percent == percent
    assert one.value_micros(3 * MICROS) == percent * 30_000


def test_a_call_back_is_owed_until_a_later_call_is_answered() -> None:
    assert owed(LOST) == ["lost"]
    assert owed(LOST, a_told_call("before", -1)) == ["lost"]
    assert owed(LOST, a_told_call("again", 1, missed_reason="no_answer")) == ["lost"]
    assert owed(LOST, a_told_call("other", 1, advertiser="shop")) == ["lost"]
    assert owed(LOST, a_told_call("asks", 1, tag="call_back")) == ["lost", "asks"]
    assert owed(LOST, a_told_call("again", 1)) == []
    assert owed(LOST, a_told_call("we called", 1, is_outbound=True)) == []
    assert owed(a_told_call("lost", missed_reason="lines_full", tag="not_a_customer")) == []


def test_ads_pause_until_the_call_back_or_the_hours_are_over() -> None:
    end_ms = START_MS + 24 * HOUR_MS
    assert paused_until(LOST) == end_ms
    assert paused_until(LOST, now_ms=end_ms - 1) == end_ms
    assert paused_until(LOST, now_ms=end_ms) is None
    assert paused_until(LOST, a_told_call("again", 1)) is None
    assert paused_until(LOST, a_told_call("asks", 60, tag="call_back")) == end_ms + HOUR_MS
    assert ads_paused_until_ms([LOST], "shop", TAGS, DEPARTMENTS, START_MS) is None
    assert paused_until(a_told_call(tag="repeat"), now_ms=at_ms(-1)) is None


def test_those_who_wait_longest_come_first() -> None:
    persons = [("b", [LOST]), ("a", [a_told_call("x", 30, tag="call_back")]), ("c", [])]
    found = overdue_callbacks(persons, TAGS, DEPARTMENTS, hours=0, now_ms=at_ms(60))
    assert [(root, one.call_id) for root, one in found] == [("b", "lost"), ("a", "x")]
