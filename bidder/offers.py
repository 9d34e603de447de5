"""What a person may be shown: trips that they searched and products that they looked at, for sale.

Trips stand newest first, products by interest; the first that can be sold and may be shown is.
"""

from collections.abc import Collection, Iterator

import msgspec

from models.campaign_facts import offer_names
from models.catalog import Catalog
from models.catalog_records import Offer
from models.dealings import Dealings, Intent
from models.templates import Goal
from models.units import SECOND_MS

__all__ = ["Choice", "choices", "intents", "is_allowed"]


class Choice(msgspec.Struct, frozen=True, gc=False):
    """An offer that serves an intent, with the factors that come from the two.

    Attributes:
        goal: what kind of campaign sells it.
        offer: the flight or product.
        seen_ms: when the trip was searched for or the product looked at last, Unix ms.
        trip_horizon_factor, seat_pressure: see :class:`models.value.price.Factors`.
        in_cart: it is in the person's cart.
    """

    goal: Goal
    offer: Offer
    seen_ms: int
    trip_horizon_factor: float = 1.0
    seat_pressure: float = 1.0
    in_cart: bool = False


def intents(dealings: Dealings, advertiser: str, goal: Goal) -> Iterator[Intent]:
    """What the person looked at of the advertiser: trips newest first, products by interest."""
    if goal == "flight":
        return dealings.searches(advertiser)
    return dealings.products(advertiser)


def choices(
    dealings: Dealings, advertiser: str, goal: Goal, catalog: Catalog, now_ms: int
) -> Iterator[Choice]:
    """Each intent that can be served, in order; none when all is sold out or gone.

    Args:
        dealings: with the advertiser; what the person bought is not among them.
        advertiser: whose offers.
        goal: whether flights or products are sold.
        catalog: today's flights and products.
        now_ms: the present, Unix ms.
    """
    if goal == "flight":
        best = catalog.board.best
        for trip, seen_s in dealings.trips():
            found = best(advertiser, trip, now_ms)
            if found is not None:
                yield Choice(
                    "flight", found.flight, seen_s * SECOND_MS,
                    found.trip_horizon_factor, found.seat_pressure,
                )  # fmt: skip
        return
    products = catalog.products
    for item, seen_s, in_cart in dealings.looked_at():
        product = products.get((advertiser, item))
        if product is not None and product.stock > 0:
            yield Choice("product", product, seen_s * SECOND_MS, in_cart=in_cart)


def is_allowed(offer: Offer, offers: Collection[str]) -> bool:
    """Whether a campaign's or segment's list lets an offer through; an empty one does."""
    return not offers or any(name in offers for name in offer_names(offer))
