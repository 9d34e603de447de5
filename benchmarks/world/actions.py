"""What happens in the world, each at its offset from the start of the live part."""

from typing import TypeAlias

import msgspec

from benchmarks.world.devices import Surface
from models.catalog_records import AdFormat, Offer
from models.events import Event
from models.identifiers import NodeId
from models.units import ExchangeId

__all__ = ["Action", "Canary", "Emit", "Opportunity", "Restock"]


class _Action(msgspec.Struct, frozen=True, kw_only=True, tag_field="action"):
    """What every action has: ``offset_ms`` after the start of the live part."""

    offset_ms: int


class Emit(_Action, frozen=True, kw_only=True, tag="emit"):
    """An event goes to Kafka. Its time is set again when it is sent."""

    event: Event


class Restock(_Action, frozen=True, kw_only=True, tag="restock"):
    """An offer changes; seats or stock 0 is sold out. ``updated_ms`` is set when it is sent."""

    offer: Offer


class Opportunity(_Action, frozen=True, kw_only=True, tag="opportunity"):
    """An ad slot on somebody's screen, offered to one exchange or, by header bidding, to several.

    Attributes:
        request_id: unique; the exchange's name is added where the slot goes to several.
        person: index in the world's people.
        device: index in the person's devices.
        surface: a site (cookie) or an app (advertising id).
        exchanges: who runs an auction for the slot.
        rival_cpm_micros: the best other bid in each of these auctions.
        floor_cpm_micros: the least that the slot sells for.
        format: what it takes.
        sizes: (width, height) pairs that fit, of a banner.
        is_billed: whether the winner's ad is rendered, so that it is billed.
        billing_delay_ms: from winning to the billing notice.
    """

    request_id: str
    person: int
    device: int
    surface: Surface
    exchanges: tuple[ExchangeId, ...]
    rival_cpm_micros: tuple[int, ...]
    floor_cpm_micros: int
    sizes: tuple[tuple[int, int], ...]
    is_billed: bool
    billing_delay_ms: int
    format: AdFormat = "banner"


class Canary(_Action, frozen=True, kw_only=True, tag="canary"):
    """A probe of freshness: a device never seen before looks at something, then asks for ads.

    Attributes:
        event: what it looks at, under ``node``.
        cookie: the raw cookie of the device.
        trip: the trip that its ad will show; None when it looks at a product.
        item: the product; None when it looks at a flight.
    """

    event: Event
    cookie: str
    node: NodeId
    exchange: ExchangeId
    trip: str | None = None
    item: str | None = None


Action: TypeAlias = Emit | Restock | Opportunity | Canary
