"""What the campaign index knows of a campaign: the values of each dimension that let it through."""

from collections.abc import Iterable

from models.campaign_index import CONTEXTUAL, Facts
from models.catalog_records import Campaign, Creative, Offer, Product

__all__ = [
    "ANYTHING",
    "ANY_BANNER",
    "NO_FORMAT",
    "OPEN_AUCTION",
    "facts_of",
    "offer_names",
    "size_value",
]

ANYTHING = "*"
"""The offer of a campaign that may show whatever there is."""

OPEN_AUCTION = "*"
"""The deal of a campaign that needs none; no exchange's deal is asked for by that name."""

ANY_BANNER = "banner"
"""The format that a slot asks for which takes banners, but names no size."""

NO_FORMAT = "none"
"""The format of a campaign without creatives, which no slot offers."""


def facts_of(campaign: Campaign, creatives: Iterable[Creative]) -> Facts:
    """The campaign's values by dimension; an empty list lets everything through."""
    targeting = campaign.targeting
    formats = {value for creative in creatives for value in _format_values(creative)}
    return {
        "audience": campaign.segments or (CONTEXTUAL,),
        "goal": (campaign.goal,),
        "offer": campaign.offers or (ANYTHING,),
        "format": tuple(formats) or (NO_FORMAT,),
        "deal": (*campaign.deals, *((OPEN_AUCTION,) if campaign.open_auction else ())),
        "exchange": targeting.exchanges,
        "place": targeting.places,
        "device": targeting.devices,
        "system": targeting.systems,
        "hour": tuple(map(str, targeting.hours)),
        "weekday": tuple(map(str, targeting.weekdays)),
    }


def _format_values(creative: Creative) -> Iterable[str]:
    if creative.format != ANY_BANNER:
        return (creative.format,)
    return ANY_BANNER, *(size_value(*size) for size in creative.sizes)


def size_value(width: int, height: int) -> str:
    """A banner's size as a value of the dimension ``format``."""
    return f"{width}x{height}"


def offer_names(offer: Offer) -> tuple[str, ...]:
    """By which names campaigns and segments may allow an offer."""
    if isinstance(offer, Product):
        return offer.id, offer.group
    return (f"{offer.origin}-{offer.destination}",)
