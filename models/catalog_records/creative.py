"""What people are shown."""

from typing import Final

from models.catalog_records.record import Record
from models.errors import InvalidFieldError
from models.templates import parse_template
from models.units import CampaignId, CreativeId

__all__ = ["Creative"]

EMPTY_MACROS: Final = ("${AUCTION_BID_ID}", "${AUCTION_AD_ID}")
"""Their sources, ``bidid`` and ``bid.adid``, no bid of ours has (OpenRTB 2.6 section 4.4)."""


class Creative(Record, frozen=True, kw_only=True, tag="creative"):
    """A banner with slots such as ``{route}``, which the bidder fills and escapes.

    :mod:`models.templates` lists the slots of each goal.

    Attributes:
        creative_set: shown to segments that name this set; ``any`` to all.
        sizes: (width, height) pairs in which it renders.
        click_url: the landing page, https; slots allowed.
        is_private: shows what others at a shared device should not see; withheld where it is not
            certain enough who is there.
    """

    id: CreativeId
    campaign: CampaignId
    creative_set: str = "any"
    sizes: tuple[tuple[int, int], ...]
    html: str
    click_url: str
    is_private: bool = False

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"creative {self.id}: "
        if not self.sizes or any(min(size) <= 0 for size in self.sizes):
            raise InvalidFieldError(
                where + "sizes", self.sizes, "a list of [width, height], both above 0"
            )
        if not self.click_url.startswith("https://"):
            raise InvalidFieldError(where + "click_url", self.click_url, "an https address")
        if "http://" in self.html.lower():
            raise InvalidFieldError(where + "html", "http://", "allowed in markup: write https://")
        for macro in EMPTY_MACROS:
            for field, text in (("html", self.html), ("click_url", self.click_url)):
                if macro in text:
                    wanted = "another macro: exchanges make this one empty in our bids"
                    raise InvalidFieldError(where + field, macro, wanted)
        parse_template(self.html, where + "html")
        parse_template(self.click_url, where + "click_url")
        if len(self.id) > 64:
            raise InvalidFieldError(where + "id", self.id, "at most 64 characters (crid)")
