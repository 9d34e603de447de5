"""What a request is, in the terms in which campaigns are targeted.

Only dimensions for which some campaign asks are worked out: a catalogue without hours costs none.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

from bidder.agents import system_of
from bidder.inventory import name_of, place_of
from bidder.openrtb import BidRequest, Device
from bidder.openrtb_context import App
from models.campaign_index import Query
from models.catalog_records import DeviceType, Exchange, Targeting
from models.countries import alpha3_of
from models.units import HOUR_MS

__all__ = ["is_site_allowed", "request_query", "sites_of"]

NO_DEVICE: Final = Device()
DIMENSIONS: Final = ("exchange", "place", "device", "system", "hour", "weekday")
KINDS: Final[dict[int | None, tuple[DeviceType, ...]]] = {
    1: ("phone", "tablet"), 2: ("pc",), 3: ("tv",), 4: ("phone",), 5: ("tablet",), 7: ("tv",),
}  # fmt: skip
"""AdCOM 1.0 device types; 1 is "mobile/tablet"."""
OTHER_KIND: Final[tuple[DeviceType, ...]] = ("other",)
MINUTE_MS: Final = 60_000
THURSDAY: Final = 3
"""The weekday of the first of January 1970."""
LARGEST_OFFSET_MINUTES: Final = 15 * 60


def request_query(
    request: BidRequest, exchange: Exchange, restricted: AbstractSet[str], now_ms: int
) -> Query:
    """The request's values in every restricted dimension, without its slots' formats."""
    if restricted.isdisjoint(DIMENSIONS):
        return {}
    device = request.device or NO_DEVICE
    query: dict[str, tuple[str, ...]] = {}
    if "exchange" in restricted:
        query["exchange"] = (exchange.id,)
    if "place" in restricted:
        query["place"] = tuple(_places(device))
    if "device" in restricted:
        query["device"] = KINDS.get(device.devicetype, OTHER_KIND)
    if "system" in restricted:
        system = system_of(device)
        query["system"] = (system,) if system else ()
    if "hour" in restricted or "weekday" in restricted:
        query["hour"], query["weekday"] = _local_time(device, now_ms)
    return query


def _places(device: Device) -> Iterator[str]:
    """Country and region of the device itself; a region is ``NY``, or ``US-NY`` as some write."""
    geo = device.geo
    if geo is not None and geo.country:
        country = alpha3_of(geo.country)
        yield country
        if geo.region:
            yield f"{country}-{geo.region.upper().rpartition('-')[2]}"


def _local_time(device: Device, now_ms: int) -> tuple[tuple[str], tuple[str]]:
    """Hour and weekday where the device is, as far as it tells (2.6 section 3.2.19)."""
    minutes = (device.geo.utcoffset or 0) if device.geo is not None else 0
    offset_ms = minutes * MINUTE_MS if abs(minutes) <= LARGEST_OFFSET_MINUTES else 0
    return _hour_and_weekday((now_ms + offset_ms) // HOUR_MS)


@lru_cache(maxsize=128)
def _hour_and_weekday(hours_since_1970: int) -> tuple[tuple[str], tuple[str]]:
    days, hour = divmod(hours_since_1970, 24)
    return (str(hour),), (str((days + THURSDAY) % 7),)


def sites_of(request: BidRequest) -> tuple[str, ...]:
    """A site's domain and those above it, or an app's bundle: how campaigns list inventory."""
    place = place_of(request)
    if place is None:
        return ()
    name = name_of(place).lower()
    if isinstance(place, App) and place.bundle:
        return (name,)
    labels = name.split(".") if name else []
    return tuple(".".join(labels[first:]) for first in range(len(labels)))


def is_site_allowed(targeting: Targeting, sites: tuple[str, ...]) -> bool:
    """Whether a campaign's lists let the inventory through."""
    if targeting.sites and not any(site in targeting.sites for site in sites):
        return False
    return not any(site in targeting.not_sites for site in sites)
