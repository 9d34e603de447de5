"""What to show a person: of what they looked at, the newest that can still be sold."""

import msgspec

from models.catalog import Catalog
from models.catalog_records import Campaign, Offer
from models.profile import Header, Intent
from models.value.conversion import trip_horizon_factor
from models.value.seats import seat_pressure

__all__ = ["Choice", "best_offer", "intents"]


class Choice(msgspec.Struct, frozen=True):
    """An offer and the intent that it serves, with the factors that come from the offer."""

    offer: Offer
    intent: Intent
    trip_horizon_factor: float = 1.0
    seat_pressure: float = 1.0


def intents(header: Header, campaign: Campaign) -> list[Intent]:
    """What the person looked at of the campaign's advertiser, newest first."""
    kind = header.searches if campaign.goal == "flight" else header.products
    return [intent for intent in reversed(kind) if intent.advertiser == campaign.advertiser]


def best_offer(
    header: Header, campaign: Campaign, looked_at: list[Intent], catalog: Catalog, now_ms: int
) -> Choice | None:
    """The newest intent that can be served; None when all is sold out, gone or bought.

    Args:
        header: what the person bought is never shown to them again.
        campaign: its goal says whether flights or products are sold.
        looked_at: of the campaign's advertiser, newest first.
        catalog: today's flights and products.
        now_ms: the present, Unix ms.
    """
    for intent in looked_at:
        if f"{campaign.advertiser}/{intent.key}" in header.bought:
            continue
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
