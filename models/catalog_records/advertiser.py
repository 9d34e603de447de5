"""Brands of the data owner."""

import re
from typing import Final

import msgspec

from models.catalog_records.record import Record
from models.errors import InvalidFieldError
from models.limits import MAX_MESSAGES, Cap, check_caps
from models.units import AdvertiserId

__all__ = ["Advertiser"]

CONTENT_1_0: Final = "1"
"""Number of the taxonomy that a request means which names none (OpenRTB 2.6 section 3.2.1)."""
MAX_DSA_CHARACTERS: Final = 100
"""Of each name (IAB DSA transparency extension)."""

_DOMAIN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


class Advertiser(Record, frozen=True, kw_only=True, tag="advertiser"):
    """A brand of the data owner.

    Attributes:
        domain: what ``adomain`` says: bare, without scheme, path or ``www.``.
        iab_categories: of its ads, IAB Content Taxonomy 1.0. Without any, and without
            ``categories`` of the taxonomy that a request blocks in, no ads go to such a request.
        categories: the same in other taxonomies, by their number (AdCOM's Category Taxonomies): in
            ``"7"``, which is Content 3.0, ``150``. Codes of these do not name their parents: list
            the parents, too.
        dsa_behalf, dsa_paid: whose ads they are and who pays for them, as the EU's Digital Services
            Act wants it shown, at most 100 characters; empty: no ads where it is asked for.
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
    categories: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    dsa_behalf: str = ""
    dsa_paid: str = ""
    third_party_data: bool = True
    caps: tuple[Cap, ...] = ()
    pressure_caps: tuple[Cap, ...] = ()

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        if not _DOMAIN.fullmatch(self.domain) or self.domain.startswith("www."):
            wanted = "a bare domain in lower case, such as air.example"
            raise InvalidFieldError(f"advertiser {self.id}: domain", self.domain, wanted)
        for taxonomy in self.categories:
            if not taxonomy.isdecimal() or taxonomy == CONTENT_1_0:
                wanted = "by numbers of other taxonomies than 1, which iab_categories is"
                raise InvalidFieldError(f"advertiser {self.id}: categories", taxonomy, wanted)
        if bool(self.dsa_behalf) != bool(self.dsa_paid):
            wanted = "both given, or neither"
            raise InvalidFieldError(
                f"advertiser {self.id}: dsa_behalf and dsa_paid", self.dsa_paid, wanted
            )
        for name in ("dsa_behalf", "dsa_paid"):
            if len(getattr(self, name)) > MAX_DSA_CHARACTERS:
                wanted = f"at most {MAX_DSA_CHARACTERS} characters"
                raise InvalidFieldError(
                    f"advertiser {self.id}: {name}", getattr(self, name), wanted
                )
        check_caps(f"advertiser {self.id}: caps", self.caps)
        check_caps(f"advertiser {self.id}: pressure_caps", self.pressure_caps, MAX_MESSAGES)

    def categories_in(self, taxonomy: int) -> tuple[str, ...]:
        """Its ads' categories in a taxonomy; empty where none are stated."""
        if taxonomy == int(CONTENT_1_0):
            return self.iab_categories
        return self.categories.get(str(taxonomy), ())
