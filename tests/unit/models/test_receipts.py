"""Receipts as records: small, read as written, and refused where they are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import EventError
from models.receipts import LONGEST_AUCTION, Receipt, auction_key, decode_receipt, encode_receipt

LEAST = Receipt(
    id="r", why="sample", time_ms=1, exchange="north", auction="a", code="0", outcome="no_bid"
)


def test_a_receipt_is_read_as_it_was_written() -> None:
    told = decode_receipt(encode_receipt(LEAST))
    assert encode_receipt(told) == encode_receipt(LEAST)
    assert not told.is_full
    assert told.names == {"r"}


def test_what_later_versions_add_is_passed_over() -> None:
    assert decode_receipt(encode_receipt(LEAST)[:-1] + b',"new":{"x":[1]}}').id == "r"


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"id": 1}'])
def test_what_is_no_receipt_is_refused(payload: bytes) -> None:
    with pytest.raises(EventError):
        decode_receipt(payload)


@given(st.text(max_size=LONGEST_AUCTION), st.text(min_size=LONGEST_AUCTION + 1, max_size=400))
def test_an_auctions_id_stays_as_it_is_unless_it_is_long(short: str, long: str) -> None:
    assert auction_key(short) == short
    assert len(auction_key(long)) <= LONGEST_AUCTION
    assert auction_key(long) != auction_key(long + "x")
