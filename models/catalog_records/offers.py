"""What can be sold now: flights and products."""

from typing import TypeAlias

from models.catalog_records.record import Record, positive
from models.errors import InvalidFieldError
from models.units import AdvertiserId

__all__ = ["Flight", "Offer", "Product"]


class Flight(Record, frozen=True, kw_only=True, tag="flight"):
    """A departure and what is left to sell.

    Attributes:
        id: ``CARRIER+NUMBER/DATE``, unique.
        origin, destination: IATA airport codes.
        depart_date: local date of departure, ``YYYY-MM-DD``.
        depart_ms: departure, Unix ms.
        seats_total, seats_left: capacity, and what can still be sold; 0 is sold out.
        fare_micros: today's fare.
        updated_ms: version; an older update never replaces a newer one.
    """

    id: str
    advertiser: AdvertiserId
    origin: str
    destination: str
    depart_date: str
    depart_ms: int
    seats_total: int
    seats_left: int
    fare_micros: int
    updated_ms: int

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"flight {self.id}: "
        if not 0 <= self.seats_left <= self.seats_total:
            wanted = f"from 0 to seats_total ({self.seats_total})"
            raise InvalidFieldError(where + "seats_left", self.seats_left, wanted)
        positive("flight", self.id, "fare_micros", self.fare_micros)


class Product(Record, frozen=True, kw_only=True, tag="product"):
    """An item of a shop's feed.

    Attributes:
        price_micros, margin_micros: today's price, and the shop's margin in it.
        stock: pieces left; 0 is never advertised.
        accessories: items that go with it.
        updated_ms: version; an older update never replaces a newer one.
    """

    id: str
    advertiser: AdvertiserId
    title: str
    group: str
    price_micros: int
    margin_micros: int
    stock: int
    accessories: tuple[str, ...] = ()
    updated_ms: int

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        positive("product", self.id, "price_micros", self.price_micros)
        if self.stock < 0:
            raise InvalidFieldError(f"product {self.id}: stock", self.stock, ">= 0")


Offer: TypeAlias = Flight | Product
"""Records of the inventory and offers topics: what can be sold now, many."""
