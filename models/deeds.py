"""Deeds: what a person did themselves, unlike what was done to them and what others tell of them.

An event's channel does not tell it: a trait that was bought in and the stage of an order come on
no page, and mails that are sent are nothing that their reader did.
"""

from typing import Final

from models.event_base import Channel
from models.events import (
    BookingStep,
    Call,
    CardContact,
    CartAdd,
    CartRemove,
    Contact,
    CouponUsed,
    Event,
    FlightSearch,
    FormAnswers,
    NumberLease,
    Order,
    PageView,
    PriceWatch,
    ProductSearch,
    ProductView,
    Registration,
    SignIn,
)

__all__ = ["OWN_PAGES", "is_deed"]

OWN_PAGES: Final[tuple[Channel, ...]] = ("web", "app")
"""Channels on which a deed is part of a visit."""

_DEEDS: Final[frozenset[type[Event]]] = frozenset({
    PageView, ProductView, FlightSearch, ProductSearch, CartAdd, CartRemove, BookingStep,
    PriceWatch, CouponUsed, Order, SignIn, Registration, FormAnswers, CardContact,
    NumberLease,  # shown to somebody who is on the page
})  # fmt: skip


def is_deed(event: Event) -> bool:
    """Whether the person did it: of messages all but the sent ones, of calls those that come in."""
    if type(event) in _DEEDS:
        return True
    if isinstance(event, Contact):
        return event.action != "sent"
    return isinstance(event, Call) and not event.is_outbound
