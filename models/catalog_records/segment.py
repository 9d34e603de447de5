"""Groups of persons, and the policy for them."""

from models.catalog_records.record import Record, positive
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


class Segment(Record, frozen=True, kw_only=True, tag="segment"):
    """A group of persons and the whole policy for them.

    Attributes:
        id: ``ADVERTISER/NAME``.
        advertiser: whose orders the rule counts.
        min_orders, max_orders: the rule; both inclusive, ``max_orders`` None is no limit.
        target_cpa_micros: what a conversion may cost.
        caps: how often a person may see one campaign; all of them hold.
        spacing_seconds: at least so long between two ads of the advertiser; 0 is no limit.
        cap_adjustments: whose ``caps`` allow more or less.
        silences: after which messages a person sees none of its ads for a while.
        creative_set: which of a campaign's creatives they see.
        mean_value_micros: mean yearly value of its customers; a customer's own, over this mean,
            moves the bid.
    """

    id: SegmentId
    advertiser: AdvertiserId
    min_orders: int = 0
    max_orders: int | None = None
    target_cpa_micros: int
    caps: tuple[Cap, ...]
    spacing_seconds: int = 0
    cap_adjustments: tuple[Adjustment, ...] = ()
    silences: tuple[Silence, ...] = ()
    creative_set: str
    mean_value_micros: int = 100 * MICROS

    def contains(self, order_count: int) -> bool:
        """Whether somebody with so many orders belongs to it."""
        return order_count >= self.min_orders and (
            self.max_orders is None or order_count <= self.max_orders
        )

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
        positive("segment", self.id, "mean_value_micros", self.mean_value_micros)
