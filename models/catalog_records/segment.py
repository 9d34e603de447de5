"""Groups of persons, and the policy for them."""

from typing import Final, Literal

from models.caps import MAX_CAP
from models.catalog_records.record import Record, positive
from models.catalog_records.targeting import Condition
from models.errors import InvalidFieldError
from models.units import MICROS, AdvertiserId, SegmentId

__all__ = ["Segment"]

MAX_WINDOW_SECONDS: Final = 30 * 86_400

Channel = Literal["site", "app", "dooh", "banner", "native", "video", "audio"]
"""Where an ad may be: a kind of inventory (OpenRTB 2.6 section 3.2.1), or a format (3.2.4)."""


class Segment(Record, frozen=True, kw_only=True, tag="segment"):
    """A group of persons and the whole policy for them.

    Attributes:
        id: ``ADVERTISER/NAME``.
        advertiser: whose orders the rule counts.
        min_orders, max_orders: whom it holds; both inclusive, ``max_orders`` None is no limit.
        when: what else must hold of them, all of it.
        target_cpa_micros: what a conversion may cost.
        cap_impressions, cap_window_seconds: the frequency cap per person and campaign.
        creative_set: which of a campaign's creatives they see.
        offers: what they may be shown: routes, product groups or items; empty: anything.
        channels_off: where they see no ads: kinds of inventory, or formats.
        mean_value_micros: mean yearly value of its customers; a customer's own, over this mean,
            moves the bid.
    """

    id: SegmentId
    advertiser: AdvertiserId
    min_orders: int = 0
    max_orders: int | None = None
    when: tuple[Condition, ...] = ()
    target_cpa_micros: int
    cap_impressions: int
    cap_window_seconds: int
    creative_set: str
    offers: tuple[str, ...] = ()
    channels_off: tuple[Channel, ...] = ()
    mean_value_micros: int = 100 * MICROS

    def conditions(self) -> tuple[Condition, ...]:
        """All that must hold of somebody who belongs to it."""
        if not self.min_orders and self.max_orders is None:
            return self.when
        orders = Condition(feature="orders", at_least=self.min_orders, at_most=self.max_orders)
        return (orders, *self.when)

    def check(self) -> None:
        """Raises InvalidFieldError where a value cannot be used."""
        where = f"segment {self.id}: "
        if not self.id.startswith(f"{self.advertiser}/"):
            raise InvalidFieldError("segment id", self.id, f"of the form {self.advertiser}/NAME")
        if self.target_cpa_micros < 0:
            raise InvalidFieldError(where + "target_cpa_micros", self.target_cpa_micros, ">= 0")
        if not 1 <= self.cap_impressions <= MAX_CAP:
            wanted = f"from 1 to {MAX_CAP}"
            raise InvalidFieldError(where + "cap_impressions", self.cap_impressions, wanted)
        if not 1 <= self.cap_window_seconds <= MAX_WINDOW_SECONDS:
            wanted = f"from 1 to {MAX_WINDOW_SECONDS} (30 days)"
            raise InvalidFieldError(where + "cap_window_seconds", self.cap_window_seconds, wanted)
        asked: set[str] = set()
        for condition in self.conditions():
            condition.check(f"segment {self.id}")
            if condition.feature in asked:
                wanted = "asked for once (min_orders and max_orders ask for orders)"
                raise InvalidFieldError(where + "when", condition.feature, wanted)
            asked.add(condition.feature)
        positive("segment", self.id, "mean_value_micros", self.mean_value_micros)
