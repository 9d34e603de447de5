"""Groups of persons, and the policy for them."""

from typing import Literal

from models.catalog_records.record import Record, positive
from models.catalog_records.targeting import Condition
from models.errors import InvalidFieldError
from models.limits import (
    Adjustment,
    Cap,
    Silence,
    check_adjustments,
    check_caps,
    check_seconds,
)
from models.units import MICROS, AdvertiserId, SegmentId

__all__ = ["Segment"]

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
        caps: how often a person may see one campaign; all of them hold.
        spacing_seconds: at least so long between two ads of the advertiser; 0 is no limit.
        cap_adjustments: whose ``caps`` allow more or less.
        silences: after which messages a person sees none of its ads for a while.
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
    caps: tuple[Cap, ...]
    spacing_seconds: int = 0
    cap_adjustments: tuple[Adjustment, ...] = ()
    silences: tuple[Silence, ...] = ()
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
        if not self.caps:
            raise InvalidFieldError(where + "caps", [], "a list of at least one cap")
        check_caps(where + "caps", self.caps)
        if self.spacing_seconds:
            check_seconds(where + "spacing_seconds", self.spacing_seconds)
        check_adjustments(where + "cap_adjustments", self.cap_adjustments)
        for silence in self.silences:
            check_seconds(where + "silences: window_seconds", silence.window_seconds)
        asked: set[str] = set()
        for condition in self.conditions():
            condition.check(f"segment {self.id}")
            if condition.feature in asked:
                wanted = "asked for once (min_orders and max_orders ask for orders)"
                raise InvalidFieldError(where + "when", condition.feature, wanted)
            asked.add(condition.feature)
        positive("segment", self.id, "mean_value_micros", self.mean_value_micros)
