"""What to show a person: the newest trip, or the product wanted most, that can still be sold."""

from collections.abc import Iterator

import msgspec

from models.catalog import Catalog
from models.catalog_records import Campaign, Offer
from models.dealings import Dealings, Intent
from models.value.conversion import trip_horizon_factor
from models.value.seats import seat_pressure

__all__ = ["Choice", "best_offer", "intents"]


class Choice(msgspec.Struct, frozen=True):
    """An offer and the intent that it serves, with the factors that come from the offer."""

    offer: Offer
    intent: Intent
    trip_horizon_factor: float = 1.0
    seat_pressure: float = 1.0


def intents(dealings: Dealings, campaign: Campaign) -> Iterator[Intent]:
    """What the person looked at of the advertiser: trips newest first, products by interest."""
    if campaign.goal == "flight":
        return dealings.searches(campaign.advertiser)
    return dealings.products(campaign.advertiser)


def best_offer(
    dealings: Dealings, campaign: Campaign, catalog: Catalog, now_ms: int
) -> Choice | None:
    """The first intent that can be served; None when all is sold out or gone.

    Args:
        dealings: with the campaign's advertiser; what the person bought is not among them.
        campaign: its goal says whether flights or products are sold.
        catalog: today's flights and products.
        now_ms: the present, Unix ms.
    """
    for intent in intents(dealings, campaign):
        if campaign.goal == "flight":
            choice = _best_flight(intent, catalog, now_ms)
        else:
            choice = _product(intent, catalog)
        if choice is not None:
            return choice
    return None


def _product(intent: Intent, catalog: Catalog) -> Choice | None:
    product = catalog.products.get((intent.advertiser, intent.key))
    return Choice(product, intent) if product is not None and product.stock > 0 else None


def _best_flight(intent: Intent, catalog: Catalog, now_ms: int) -> Choice | None:
    """Of the day's departures the one whose sale gains most; then the cheapest."""
    best: Choice | None = None
    best_rank = (0.0, 0, "")
    for flight in catalog.flights_on(intent.advertiser, intent.key):
        departure_in_ms = flight.depart_ms - now_ms
        horizon = trip_horizon_factor(departure_in_ms)
        pressure = seat_pressure(flight.seats_left, flight.seats_total, departure_in_ms)
        rank = (horizon * pressure, -flight.fare_micros, flight.id)
        if rank[0] > 0 and rank > best_rank:
            best, best_rank = Choice(flight, intent, horizon, pressure), rank
    return best
