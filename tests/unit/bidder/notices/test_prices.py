"""Notified prices: plain and encrypted."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.prices import (
    PriceKeys,
    decrypt_price,
    price_cpm_micros,
    read_price_keys,
)
from models.errors import InvalidFieldError
from models.event_base import MAX_MONEY_MICROS

PUBLISHED_KEYS = (
    "skU7Ax_NL5pPAFyKdkfZjZz2-VhIN8bjj1rVFOaJ_5o=",
    "arO23ykdNqUQ5LEoQ0FVmPkBd7xB5CO89PDZlSjpFxo=",
)
"""Of the scheme's published examples."""
KEYS = PriceKeys(*(base64.urlsafe_b64decode(key) for key in PUBLISHED_KEYS))
OWN_KEYS = PriceKeys(b"e" * 32, b"i" * 32)


def encrypted(micros: int, keys: PriceKeys, vector: bytes = b"v" * 16) -> str:
    """The scheme as its page tells it, written again."""
    price = micros.to_bytes(8, "big")
    pad = hmac.new(keys.encryption, vector, hashlib.sha1).digest()
    hidden = bytes(price[n] ^ pad[n] for n in range(8))
    proof = hmac.new(keys.integrity, price + vector, hashlib.sha1).digest()[:4]
    return base64.urlsafe_b64encode(vector + hidden + proof).decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1.5", 1_500_000),
        ("0", 0),
        ("0.0000014", 1),
        (".5", 500_000),
        ("2.", 2_000_000),
        ("1.5E-2", 15_000),
        ("", None),
        ("AUDIT", None),
        ("${AUCTION_PRICE}", None),
        ("%24%7BAUCTION_PRICE%7D", None),
        ("-0.5", None),
        ("nan", None),
        ("inf", None),
        ("1e308", None),
        ("1e999", None),
        ("1_0", None),
        ("1,5", None),
        ("0x1", None),
        ("١", None),  # noqa: RUF001 - a digit for Python, not for an exchange
        (" 1", None),
        ("9" * 5_000, None),
    ],
)
def test_a_price_is_a_plain_decimal_or_it_is_none(text: str, micros: int | None) -> None:
    """N9, N10, N11: what is no number moves no money."""
    assert price_cpm_micros(text) == micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCce_6msaw", 100),
        ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemCAWJRxOgA", 1_900),
        ("YWJjMTIzZGVmNDU2Z2hpN7fhCuPemC32prpWWw", 2_700),
    ],
)
def test_the_published_examples_decrypt_to_the_published_prices(text: str, micros: int) -> None:
    """C4: the scheme of Google's "Decrypt Price Confirmations" and its published test values."""
    assert decrypt_price(text, KEYS) == micros


@given(st.integers(0, MAX_MONEY_MICROS), st.binary(min_size=16, max_size=16))
def test_what_an_exchange_encrypts_is_read_again_padded_or_not(micros: int, vector: bytes) -> None:
    """C4: with either padding that exchanges use."""
    text = encrypted(micros, OWN_KEYS, vector)
    assert {decrypt_price(text + pad, OWN_KEYS) for pad in ("", "==", "..")} == {micros}
    assert decrypt_price(text, KEYS) is None


@given(st.data())
def test_an_edited_encrypted_price_is_none(data: st.DataObject) -> None:
    """C4: bad integrity is no price."""
    raw = bytearray(base64.urlsafe_b64decode(encrypted(1_500_000, OWN_KEYS) + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert decrypt_price(base64.urlsafe_b64encode(raw).decode(), OWN_KEYS) is None


@pytest.mark.parametrize(
    "text", ["", "1.5", "AUDIT", "${AUCTION_PRICE}", "A" * 39, "\u20ac", "A" * 9_999]
)
def test_what_is_not_encrypted_is_no_price_of_an_exchange_that_encrypts(text: str) -> None:
    """C4, N9: a plain price beside encrypted ones is somebody else's."""
    assert decrypt_price(text, OWN_KEYS) is None


def test_an_amount_beyond_all_money_is_no_price() -> None:
    assert decrypt_price(encrypted(2**63, OWN_KEYS), OWN_KEYS) is None


def test_keys_are_read_by_exchange() -> None:
    text = f"north={':'.join(PUBLISHED_KEYS)}, south={':'.join(reversed(PUBLISHED_KEYS))}"
    found = read_price_keys(text)
    assert found == {"north": KEYS, "south": PriceKeys(KEYS.integrity, KEYS.encryption)}
    assert read_price_keys("") == {}


@pytest.mark.parametrize("text", ["north", "north=a:b", "=x:y", "north=" + "A" * 44, "n=!!:!!"])
def test_keys_of_another_form_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(InvalidFieldError, match="price_keys") as caught:
        read_price_keys(text)
    assert text not in str(caught.value)
