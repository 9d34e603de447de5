"""Poison values, however they are dressed, and rules that no input makes slow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.placeholders import WORDS, is_placeholder

LONG = 512


@given(st.sampled_from("0123456789abcdefx"), st.integers(8, 40), st.sampled_from("-.: "))
def test_one_letter_many_times_is_nobody_however_it_is_grouped(
    letter: str, count: int, between: str
) -> None:
    for text in (letter * count, between.join(letter * count), f"{{{letter * count}}}"):
        assert is_placeholder(text)
        assert is_placeholder(text.upper())
    assert not is_placeholder(letter * 7 + "q")


@given(st.sampled_from(sorted(WORDS)), st.sampled_from(['""', "''", "()", "<>", "[]", "``"]))
def test_a_word_in_quotes_or_brackets_is_still_the_word(word: str, quotes: str) -> None:
    assert is_placeholder(f"{quotes[0]}{word}{quotes[1]}")


@given(st.uuids(version=4), st.sampled_from("_.~*+/="))
def test_a_random_id_is_no_placeholder(one: object, mark: str) -> None:
    text = str(one)
    for written in (
        text,
        text.upper(),
        text.replace("-", ""),
        text.replace("-", mark),
        f"id{mark}{text}",
    ):
        assert not is_placeholder(written)


@given(st.ip_addresses())
def test_an_ip_address_is_nobody(address: object) -> None:
    assert is_placeholder(str(address))


@pytest.mark.parametrize(
    "text",
    ["-" * (LONG - 1) + "a", "a" + "-" * LONG + "b", "a-" * 255 + "b", "a." * 255 + "b", "1." * 256,
     ":" * LONG + "x", "a:" * 256, "{" * LONG, "[" * LONG, "%" + "7b" * 255, "_" * LONG + "a",
     "$" * LONG],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    for _ in range(10):
        is_placeholder(text)
    assert time.process_time() - started < 0.5
