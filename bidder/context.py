"""What a request is, in the terms in which campaigns are targeted.

Only dimensions for which some campaign asks are worked out: a catalogue without hours costs none.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Final

from bidder.openrtb import BidRequest, Device
from models.campaign_index import CampaignIndex
from models.catalog_records import DeviceType, Exchange, Targeting

__all__ = ["is_site_allowed", "request_query", "sites_of"]

NO_DEVICE: Final = Device()
KINDS: Final[dict[int | None, tuple[DeviceType, ...]]] = {
    1: ("phone", "tablet"), 2: ("pc",), 3: ("tv",), 4: ("phone",), 5: ("tablet",), 7: ("tv",),
}  # fmt: skip
"""AdCOM 1.0 device types; 1 is "mobile/tablet"."""
OTHER_KIND: Final[tuple[DeviceType, ...]] = ("other",)
MINUTE_SECONDS: Final = 60
LARGEST_OFFSET_MINUTES: Final = 15 * 60


def request_query(
    request: BidRequest, exchange: Exchange, index: CampaignIndex, now_ms: int
) -> dict[str, tuple[str, ...]]:
    """The request's values in every dimension that matters, without its slots' formats."""
    device = request.device or NO_DEVICE
    query: dict[str, tuple[str, ...]] = {}
    if index.is_restricted("exchange"):
        query["exchange"] = (exchange.id,)
    if index.is_restricted("place"):
        query["place"] = tuple(_places(device))
    if index.is_restricted("device"):
        query["device"] = KINDS.get(device.devicetype, OTHER_KIND)
    if index.is_restricted("system"):
        query["system"] = (device.os.lower(),) if device.os else ()
    if index.is_restricted("hour") or index.is_restricted("weekday"):
        local = _local_time(device, now_ms)
        query["hour"], query["weekday"] = (str(local.hour),), (str(local.weekday()),)
    return query


def _places(device: Device) -> Iterator[str]:
    geo = device.geo
    if geo is not None and geo.country:
        country = geo.country.upper()
        yield country
        if geo.region:
            yield f"{country}-{geo.region.upper()}"


def _local_time(device: Device, now_ms: int) -> dt.datetime:
    """Where the device is, as far as it tells (2.6 section 3.2.19, ``utcoffset`` in minutes)."""
    offset = (device.geo.utcoffset or 0) if device.geo is not None else 0
    if abs(offset) > LARGEST_OFFSET_MINUTES:
        offset = 0
    return dt.datetime.fromtimestamp(now_ms / 1000 + offset * MINUTE_SECONDS, tz=dt.UTC)


def sites_of(request: BidRequest) -> tuple[str, ...]:
    """A site's domain and those above it, or an app's bundle: how campaigns list inventory."""
    if request.app is not None:
        return (request.app.bundle.lower(),) if request.app.bundle else ()
    domain = (request.site.domain or "").lower() if request.site is not None else ""
    labels = domain.split(".") if domain else []
    return tuple(".".join(labels[first:]) for first in range(len(labels)))


def is_site_allowed(targeting: Targeting, sites: tuple[str, ...]) -> bool:
    """Whether a campaign's lists let the inventory through."""
    if targeting.sites and not any(site in targeting.sites for site in sites):
        return False
    return not any(site in targeting.not_sites for site in sites)
