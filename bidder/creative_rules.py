"""Creatives that a slot does not take: by attribute (``battr``) and, of banners, by kind."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from models.catalog_records import Creative

__all__ = ["banner_kind", "creative_fits"]

MARKUP: Final = 2
SCRIPT: Final = 3
FRAME: Final = 4
KEPT: Final = 4_096


def creative_fits(
    creative: Creative, attributes: Sequence[int] | None, kinds: Sequence[int] | None
) -> bool:
    """Whether a slot takes a creative.

    Args:
        creative: what would be shown.
        attributes: those that the slot blocks (``battr``); None blocks none.
        kinds: of banners, those that it blocks (``btype``); None blocks none.
    """
    if attributes and creative.attributes and not set(attributes).isdisjoint(creative.attributes):
        return False
    return not kinds or banner_kind(creative.html) not in kinds


@lru_cache(maxsize=KEPT)
def banner_kind(html: str) -> int:
    """What kind of banner markup makes (AdCOM, Banner ad types of 2.6): frame, script or markup."""
    lowered = html.lower()
    if "<iframe" in lowered:
        return FRAME
    return SCRIPT if "<script" in lowered else MARKUP
