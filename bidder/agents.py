"""Who asks for the page: a browser that people look at, or a crawler that says so."""

import re
from functools import lru_cache
from typing import Final

from bidder.openrtb import Device

__all__ = ["is_crawler", "system_of"]

KEPT: Final = 4_096
"""User agents that are remembered, 0.3 kB each; a look-up costs 0.1 us, to search one 1 to 3."""
LONGEST: Final = 1_024
"""Characters of a user agent that are looked at."""

_CRAWLER: Final = re.compile(
    r"(?<!cu)bot(\b|_)|crawl|spider|slurp|headless|phantomjs|lighthouse|mediapartners|facebookexternal"
    r"|^(curl|wget|python|java|go-http|libwww|apache-http)[-/ ]",
    re.IGNORECASE,
)
"""What crawlers and programs call themselves; those that hide are the exchange's to find. Cubot is
a make of phones."""


def is_crawler(device: Device) -> bool:
    """Whether the device says of itself that nobody looks (nbr 3)."""
    return bool(device.ua) and _is_crawler((device.ua or "")[:LONGEST])


@lru_cache(maxsize=KEPT)
def _is_crawler(user_agent: str) -> bool:
    return _CRAWLER.search(user_agent) is not None


def system_of(device: Device) -> str:
    """The operating system in lower case, "" if unknown.

    By the user agent in parts where there is one (2.6 section 3.2.18 prefers it), else ``os``.
    """
    sua = device.sua
    if sua is not None and sua.platform is not None and sua.platform.brand:
        return sua.platform.brand.lower()
    return (device.os or "").lower()
