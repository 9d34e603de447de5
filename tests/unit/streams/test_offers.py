import msgspec
import pytest

from models.catalog_records import Advertiser, Product, encode_record
from models.errors import EventError
from models.units import AdvertiserId
from streams.stages.offers import OfferGate

BAG = Product(
    id="bag", advertiser=AdvertiserId("shop"), title="Bag", group="bags", price_micros=1,
    margin_micros=1, stock=3, updated_ms=10,
)  # fmt: skip
KEY = b"product/shop/bag"


def at(updated_ms: int, stock: int = 3) -> Product:
    return msgspec.structs.replace(BAG, updated_ms=updated_ms, stock=stock)


def test_an_offer_is_let_through_with_its_key() -> None:
    assert OfferGate().admit(KEY, encode_record(BAG)) == ("product/shop/bag", BAG)


def test_an_older_update_is_held_back_and_an_equal_one_is_not() -> None:
    gate = OfferGate()
    gate.admit(KEY, encode_record(at(10)))
    assert gate.admit(KEY, encode_record(at(9))) is None
    assert gate.admit(KEY, encode_record(at(10, stock=2))) == ("product/shop/bag", at(10, stock=2))
    assert gate.admit(KEY, encode_record(at(11))) == ("product/shop/bag", at(11))


def test_a_tombstone_withdraws_and_what_comes_after_counts_anew() -> None:
    gate = OfferGate()
    gate.admit(KEY, encode_record(at(10)))
    assert gate.admit(KEY, None) == ("product/shop/bag", None)
    assert gate.admit(KEY, encode_record(at(9))) == ("product/shop/bag", at(9))


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (b"product/shop/hat", encode_record(BAG), "key: 'product/shop/hat' is not the record's"),
        (None, encode_record(BAG), "key: '' is not the record's"),
        (b"\xff", encode_record(BAG), "key"),
        (KEY, encode_record(msgspec.structs.replace(BAG, stock=-1)), "stock"),
        (KEY, b"noise", "malformed"),
        (
            b"advertiser/shop",
            encode_record(Advertiser(id=AdvertiserId("shop"), name="S", domain="s.example")),
            "belongs to the catalogue topic",
        ),
    ],
)
def test_what_is_no_offer_is_refused_and_moves_no_version(
    key: bytes | None, value: bytes, text: str
) -> None:
    gate = OfferGate()
    with pytest.raises(EventError, match=text):
        gate.admit(key, value)
    assert gate.admit(KEY, encode_record(at(1))) == ("product/shop/bag", at(1))
