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

__all__ = ["Choice", "choices", "intents", "is_allowed"]


class Choice(msgspec.Struct, frozen=True):
    """An offer and the intent that it serves, with the factors that come from the offer."""

    goal: Goal
    offer: Offer
    intent: Intent
    trip_horizon_factor: float = 1.0
    seat_pressure: float = 1.0


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
    for intent in intents(dealings, advertiser, goal):
        choice = _trip(intent, catalog, now_ms) if goal == "flight" else _product(intent, catalog)
        if choice is not None:
            yield choice


def is_allowed(offer: Offer, offers: Collection[str]) -> bool:
    """Whether a campaign's or segment's list lets an offer through; an empty one does."""
    return not offers or any(name in offers for name in offer_names(offer))


def _product(intent: Intent, catalog: Catalog) -> Choice | None:
    product = catalog.products.get((intent.advertiser, intent.key))
    return Choice("product", product, intent) if product is not None and product.stock > 0 else None


def _trip(intent: Intent, catalog: Catalog, now_ms: int) -> Choice | None:
    found = catalog.board.best(intent.advertiser, intent.key, now_ms)
    if found is None:
        return None
    return Choice("flight", found.flight, intent, found.trip_horizon_factor, found.seat_pressure)
