"""Facets compressed with a dictionary that must never change."""

import hashlib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdError

from benchmarks.facet_dictionary import facets_of, main
from models.facets import decode_facet, encode_facet, export_facet
from models.identity import decode_watermark
from models.packing import pack, unpack


@given(st.integers(-1, 2**63), st.binary(max_size=4096))
def test_what_is_packed_is_unpacked(watermark: int, encoded: bytes) -> None:
    packed = pack(watermark, encoded)
    assert unpack(packed) == (watermark, encoded)
    assert decode_watermark(packed) == watermark
    assert len(packed) <= len(encoded) + 32


def test_the_dictionary_is_the_one_with_which_facets_were_written() -> None:
    dictionary = files("models").joinpath("facets-1.zdict").read_bytes()
    digest = "d9c507685ba36ce5f970f80cd4b6ab7e9bb1abb55fa9be47316113f06d52eef4"
    assert hashlib.sha256(dictionary).hexdigest() == digest, "older facets cannot be read any more"


def test_customers_of_an_owner_that_it_was_not_trained_on_take_seven_tenths() -> None:
    facets = list(facets_of(seed=10_001, customers=100))
    whole = sum(len(export_facet(facet)) for facet in facets)
    packed = [encode_facet(facet) for facet in facets]
    assert [decode_facet(one) for one in packed] == facets
    assert sum(map(len, packed)) < 0.7 * whole


def test_what_is_damaged_is_no_facet() -> None:
    packed = bytearray(encode_facet(next(facets_of(seed=1, customers=1))))
    packed[12] ^= 0xFF
    with pytest.raises(ZstdError):
        decode_facet(bytes(packed))


def test_a_dictionary_in_use_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(files("models").joinpath("facets-1.zdict"))
    monkeypatch.setattr("sys.argv", ["facet_dictionary", path])
    assert main() == 1
    assert "name another" in capsys.readouterr().err
