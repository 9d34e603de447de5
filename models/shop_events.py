"""Events on the way to an order and after it: searches, carts, steps, refunds, refusals, stages."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from models.errors import EventError
from models.event_base import (
    Advertiser,
    EventRecord,
    Filters,
    Item,
    Items,
    Label,
    Text,
    ToldRecord,
    check_money,
)

__all__ = [
    "STAGES",
    "BookingStep",
    "CartRemove",
    "CouponUsed",
    "OrderStatus",
    "PriceWatch",
    "ProductSearch",
    "Refund",
    "Refusal",
    "Stage",
]

Stage = Literal[
    "requested", "confirmed", "paid", "shipped", "delivered", "closed", "cancelled"
]  # fmt: skip

STAGES: Final[tuple[Stage, ...]] = (
    "requested", "confirmed", "paid", "shipped", "delivered", "closed", "cancelled",
)  # fmt: skip
"""The stages of a deal, each further than the one before."""

OrderName = Annotated[str, Meta(max_length=64)]


class ProductSearch(EventRecord, frozen=True, kw_only=True, tag="product_search"):
    """Products were searched or listed.

    Attributes:
        query: the words typed; empty for a listing.
        group: the product group listed.
        sort, filters: the criteria chosen, in the shop's words.
    """

    advertiser: Advertiser
    query: Text = ""
    group: Label = ""
    sort: Label = ""
    filters: Filters = ()


class CartRemove(EventRecord, frozen=True, kw_only=True, tag="cart_remove"):
    """An item was taken out of the cart."""

    advertiser: Advertiser
    item: Item


class BookingStep(EventRecord, frozen=True, kw_only=True, tag="booking_step"):
    """A step of a booking or checkout was reached.

    Attributes:
        item: the trip ``ORIGIN-DESTINATION/DATE``, or the product.
        step: 1 for the first; the advertiser says what each is.
    """

    advertiser: Advertiser
    item: Item
    step: Annotated[int, Meta(ge=1, le=20)]


class Refund(ToldRecord, frozen=True, kw_only=True, tag="refund"):
    """Money of an order was paid back; may come before the order.

    A total that was wrong is told again with a later ``told_ms``.

    Attributes:
        refunded_micros: paid back of this order in all until now, not this time alone: so that
            two sources may tell of it, and the newest word stands. An order of which all was
            paid back is none any more.
        refunded_margin_micros: what the advertiser lost of its margin, in all until now.
        items: what was given back of this order; advertised again.
    """

    advertiser: Advertiser
    order_id: OrderName
    refunded_micros: int
    refunded_margin_micros: int = 0
    items: Items = ()

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        super().check()
        _check_amount("refunded_micros", self.refunded_micros)
        _check_amount("refunded_margin_micros", self.refunded_margin_micros)


class Refusal(ToldRecord, frozen=True, kw_only=True, tag="refusal"):
    """An order, or some of its items, was not taken; may come before the order.

    A word that was wrong is told again with a later ``told_ms``.

    Attributes:
        reason: why, in the advertiser's words.
        refused_micros: the price of what was refused, in all until now; the newest word stands.
            What was paid already, and is paid back, a refund alone tells: both are taken off.
        items: what was refused; empty for the whole order.
    """

    advertiser: Advertiser
    order_id: OrderName
    reason: Label = ""
    refused_micros: int = 0
    items: Items = ()

    def check(self) -> None:
        """Raises EventError where a value cannot be used."""
        super().check()
        _check_amount("refused_micros", self.refused_micros)


class OrderStatus(EventRecord, frozen=True, kw_only=True, tag="order_status"):
    """An order or deal reached a stage; ``paid`` is the bank's confirmation."""

    advertiser: Advertiser
    order_id: OrderName
    stage: Stage


class CouponUsed(EventRecord, frozen=True, kw_only=True, tag="coupon_used"):
    """A coupon or promotion code was used."""

    advertiser: Advertiser
    coupon: Label


class PriceWatch(EventRecord, frozen=True, kw_only=True, tag="price_watch"):
    """Somebody wants to hear when an item's price falls."""

    advertiser: Advertiser
    item: Item


def _check_amount(field: str, micros: int) -> None:
    if micros < 0:
        raise EventError(f"{field}: {micros} is below 0; tell what was paid back or refused")
    check_money(field, micros)
