"""What the campaign index knows of a campaign: the values of each dimension that let it through."""

from collections.abc import Iterable

from models.campaign_index import CONTEXTUAL, Facts
from models.catalog_records import Campaign, Creative, Offer, Product

__all__ = ["ANYTHING", "NO_FORMAT", "facts_of", "offer_names", "size_value"]

ANYTHING = "*"
"""The offer of a campaign that may show whatever there is."""

NO_FORMAT = "none"
"""The format of a campaign without creatives, which no slot offers."""


def facts_of(campaign: Campaign, creatives: Iterable[Creative]) -> Facts:
    """The campaign's values by dimension; an empty list lets everything through."""
    targeting = campaign.targeting
    sizes = {size_value(*size) for creative in creatives for size in creative.sizes}
    return {
        "audience": campaign.segments or (CONTEXTUAL,),
        "goal": (campaign.goal,),
        "offer": campaign.offers or (ANYTHING,),
        "format": tuple(sizes) or (NO_FORMAT,),
        "exchange": targeting.exchanges,
        "place": targeting.places,
        "device": targeting.devices,
        "system": targeting.systems,
        "hour": tuple(map(str, targeting.hours)),
        "weekday": tuple(map(str, targeting.weekdays)),
    }


def size_value(width: int, height: int) -> str:
    """A banner's size as a value of the dimension ``format``."""
    return f"{width}x{height}"


def offer_names(offer: Offer) -> tuple[str, ...]:
    """By which names campaigns and segments may allow an offer."""
    if isinstance(offer, Product):
        return offer.id, offer.group
    return (f"{offer.origin}-{offer.destination}",)
