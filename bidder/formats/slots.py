"""What the slots of a creative stand for: the offer, the advertiser, the size."""

from models.catalog_records import Advertiser, Flight, Offer
from models.units import format_money

__all__ = ["slot_values"]


def slot_values(
    offer: Offer | None, advertiser: Advertiser, width: int, height: int
) -> dict[str, str]:
    """The values of all slots but ``click_url``, as they came.

    Args:
        offer: what is advertised; None for a contextual ad.
        advertiser: whose ad it is.
        width: of the ad, pixels; 0 where it has no one size.
        height: likewise.
    """
    common = {"advertiser": advertiser.name, "width": str(width), "height": str(height)}
    if offer is None:
        return common
    if isinstance(offer, Flight):
        return common | {
            "trip": f"{offer.origin}-{offer.destination}/{offer.depart_date}",
            "route": f"{offer.origin}-{offer.destination}",
            "origin": offer.origin,
            "destination": offer.destination,
            "depart_date": offer.depart_date,
            "fare": format_money(offer.fare_micros),
            "seats_left": str(offer.seats_left),
        }
    return common | {
        "item": offer.id,
        "title": offer.title,
        "group": offer.group,
        "price": format_money(offer.price_micros),
    }
