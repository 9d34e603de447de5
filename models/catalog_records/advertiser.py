"""Brands of the data owner."""

import re
from typing import Final

from models.catalog_records.record import Record
from models.errors import InvalidFieldError
from models.limits import MAX_MESSAGES, Cap, check_caps
from models.units import AdvertiserId

__all__ = ["Advertiser"]

_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Advertiser(Record, frozen=True, kw_only=True, tag="advertiser"):
    """A brand of the data owner.

    Attributes:
        domain: what ``adomain`` says: bare, without scheme, path or ``www.``.
        iab_categories: of its ads, IAB Content Taxonomy 1.0.
        third_party_data: whether what third parties say about a person may be used for it; False:
            the owner's own data alone.
        caps: how often a person may see ads of all its campaigns together.
        pressure_caps: how often we may turn to a person at all: messages sent on any channel, calls
            that we made, and its ads together.
    """

    id: AdvertiserId
    name: str
    domain: str
    iab_categories: tuple[str, ...] = ()
    third_party_data: bool = True
    caps: tuple[Cap, ...] = ()
    pressure_caps: tuple[Cap, ...] = ()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not _DOMAIN.fullmatch(self.domain) or self.domain.startswith("www."):
            wanted = "a bare domain in lower case, such as air.example"
            raise InvalidFieldError(f"advertiser {self.id}: domain", self.domain, wanted)
        check_caps(f"advertiser {self.id}: caps", self.caps)
        check_caps(f"advertiser {self.id}: pressure_caps", self.pressure_caps, MAX_MESSAGES)
