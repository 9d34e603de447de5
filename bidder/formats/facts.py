"""What is known of a creative before any request comes, whatever its format."""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from bidder.formats.fit import Asked, Fit
from models.catalog_records import Advertiser, Creative, Offer
from models.units import CampaignId

__all__ = ["CRID_LENGTH", "Facts", "blocked", "crid_of", "missing_api"]

CRID_LENGTH: Final = 64
"""The shortest limit that exchanges publish (OpenRTB O3)."""

NO_CAMPAIGN: Final = CampaignId("")


class Facts:
    """A creative, and what follows from it alone.

    Attributes:
        creative: the record.
        bit: its format.
        is_private: see :class:`~models.catalog_records.Creative`.
    """

    __slots__ = ("attr", "bit", "creative", "is_private")

    def __init__(self, creative: Creative, bit: int) -> None:
        self.creative = creative
        self.bit = bit
        self.is_private = creative.is_private
        self.attr = frozenset(creative.attributes)

    def fit(self, asked: Asked, offer: Offer | None, advertiser: Advertiser) -> Fit:
        """How the ad would be shown in a slot that takes its format, or why it would not."""
        raise NotImplementedError


def blocked(attr: frozenset[int], battr: Sequence[int] | None) -> bool:
    """Whether a slot blocks one of an ad's attributes (2.6 sections 3.2.6 to 3.2.9)."""
    return bool(battr) and bool(attr) and not attr.isdisjoint(battr or ())


def missing_api(needed: Sequence[int], offered: Sequence[int] | None) -> bool:
    """Whether an ad needs a framework that a slot does not list; unlisted is unsupported."""
    return bool(needed) and not set(needed).issubset(offered or ())


def crid_of(creative: Creative, variant: str = "") -> str:
    """The creative's name for exchanges: another one whenever it would look or act differently.

    Args:
        creative: the record; a change of its look, address or attributes changes the digest.
        variant: what else tells two looks apart, such as the size.
    """
    # Defaults are left out of records, so a kinbid with more fields gives the same digests.
    shown = msgspec.structs.replace(
        creative, campaign=NO_CAMPAIGN, creative_set="any", is_private=False
    )
    digest = hashlib.blake2b(msgspec.json.encode(shown), digest_size=4).hexdigest()
    suffix = f".{variant}.{digest}" if variant else f".{digest}"
    return creative.id.encode()[: CRID_LENGTH - len(suffix)].decode(errors="ignore") + suffix
