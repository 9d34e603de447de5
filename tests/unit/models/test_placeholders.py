"""Poison values, however they are dressed, and rules that no input makes slow."""

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.placeholders import _FILLED, WORDS, is_placeholder, is_shared_mailbox

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


@pytest.mark.parametrize(
    "text",
    ["00000000-0000-0000-0000-0000000000ff", "10000000-0000-0000-0000-000000000000",
     "aaaaaaaa-aaaa-4aaa-aaaa-aaaaaaaaaaaa", "00000000-0000-4000-8000-000000000000",
     "000000000000000000000000000001ab"],
)  # fmt: skip
def test_a_uuid_of_hardly_more_than_one_digit_was_drawn_by_nobody(text: str) -> None:
    assert is_placeholder(text)
    assert is_placeholder(text.upper())


@pytest.mark.parametrize(
    "text", ["00000000-0000-0000-0000-0000000abcde", "0000000000000042", "000000042", "aaaaaaab"]
)
def test_a_number_with_zeros_before_it_is_somebodys(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    "address",
    ["qwe@qwe.ru", "1@1.ru", "no@no.ru", "none@none.com", "aaa@aaa.ru", "test@test.io",
     "test@mail.example", "company@company.example", "no@mail.example", "123@mail.ru", "1@mail.ru",
     "12@mail.ru", "11@mail.ru", "12345@mail.ru", "qwe@mail.ru", "asdf@mail.ru", "zxc@mail.ru",
     "xxx@mail.ru", "client@mail.ru"],
)  # fmt: skip
def test_an_address_that_is_typed_to_get_past_a_form_is_nobodys(address: str) -> None:
    assert is_shared_mailbox(address)


@pytest.mark.parametrize(
    "address",
    ["007@mail.ru", "1978@mail.ru", "89@mail.ru", "ab@mail.ru", "aa@mail.ru", "as@mail.ru",
     "j@smith.example", "asda@mail.ru", "123ann@mail.ru", "ann@anna.example", "nora@mail.ru"],
)  # fmt: skip
def test_a_short_address_may_be_somebodys(address: str) -> None:
    assert not is_shared_mailbox(address)


@pytest.mark.parametrize("address", sorted(_FILLED))
def test_a_known_filler_is_nobodys_as_an_address_and_as_a_digest(address: str) -> None:
    assert is_shared_mailbox(address)
    assert is_placeholder(hashlib.sha256(address.encode()).hexdigest())


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
