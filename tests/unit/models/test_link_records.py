import pytest

from models.errors import EventError
from models.identifiers import NodeId
from models.link_records import (
    VerdictRecord,
    decode_verdict,
    encode_link_record,
    pair_key,
    pair_named,
)

A, B = NodeId("c" + "a" * 22), NodeId("k" + "b" * 22)
GIVEN = VerdictRecord(a=A, b=B, verdict="rejected", at_ms=1, by="ops", reason="a kiosk")


def test_a_verdict_survives_its_way_through_kafka() -> None:
    assert decode_verdict(pair_key(B, A), encode_link_record(GIVEN)) == GIVEN


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("rejected", "maybe", r"\$\.verdict"),
        ('"at_ms":1', '"at_ms":"x"', r"\$\.at_ms"),
        (A, "anna", "a: 'anna' is not a node id"),
        (B, A, "b: .* does not stand above a"),
        (B, "k" + "c" * 22, "key: .* is not the record's own"),
    ],
)
def test_a_verdict_that_cannot_be_used_names_the_field(old: str, new: str, told: str) -> None:
    value = encode_link_record(GIVEN).decode().replace(old, new).encode()
    with pytest.raises(EventError, match=told):
        decode_verdict(pair_key(A, B), value)


def test_a_key_names_its_pair() -> None:
    assert pair_named(pair_key(B, A)) == (A, B)


@pytest.mark.parametrize("key", [None, b"", A.encode(), f"{B}|{A}".encode(), b"\xff|x"])
def test_a_key_that_is_no_pair_is_shown(key: bytes | None) -> None:
    with pytest.raises(EventError, match=r"key: .* is not a pair of nodes"):
        pair_named(key)
