"""The referee: counts what went wrong, from what was emitted and what was shown.

Rule 1: it believes nothing of the system that it judges; all it hears of it is bids and bills.
Rule 2: it has no clock; every call says when, in Unix ms of the driver's clock.
Rule 3: where a fact became known within the last second, the more lenient reading counts.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from benchmarks.world.cap_rules import CapRules
from benchmarks.world.evidence import Evidence
from benchmarks.world.markup import Shown
from benchmarks.world.people import OwnerId
from benchmarks.world.schedule import trip_of
from benchmarks.world.scores import IdentityScore, score_identity
from models.catalog_records import Flight, Offer
from models.events import CartAdd, Event, FlightSearch, Order, ProductView
from models.identifiers import NodeId
from models.limits import Cap
from models.units import SECOND_MS, AdvertiserId, CampaignId

__all__ = ["GRACE_MS", "Ad", "Referee", "Verdict"]

GRACE_MS: Final = 1000
"""How long the system may take to know what has been told to it."""

KEPT_VIOLATIONS: Final = 20


class Ad(msgspec.Struct, frozen=True, kw_only=True):
    """A bid on one slot, as the world sees it.

    Attributes:
        owner: whose device the slot is on, in truth.
        node: the device's identifier that the request carried first.
        campaign: the bid's ``cid``.
        bid_ms: when the request was sent: what was known then counts.
        bid_cpm_micros: the price.
        shown: what the markup shows.
    """

    owner: OwnerId
    node: NodeId
    campaign: CampaignId
    bid_ms: float
    bid_cpm_micros: int
    shown: Shown


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the referee has counted so far.

    Attributes:
        personal_bids: bids whose creative names a trip or an item.
        impressions: billed.
        spend_micros: what they cost; a price is for a thousand.
        conversions: orders that an ad brought about.
        over_cap_impressions: billed beyond the cap among devices that evidence connects.
        over_cap_per_owner: the same among all devices of the true owner, connected or not.
        sold_out_ads: bids for what had been sold out for more than a second.
        wrong_person_bids: personal bids for what the device's owner never looked at.
        violations: the first few of them in words.
    """

    personal_bids: int
    impressions: int
    spend_micros: int
    conversions: int
    over_cap_impressions: int
    over_cap_per_owner: int
    sold_out_ads: int
    wrong_person_bids: int
    violations: tuple[str, ...]


class _Order(msgspec.Struct, frozen=True, gc=False):
    advertiser: AdvertiserId
    order_id: str
    node: NodeId
    produced_ms: float


class _Impression(msgspec.Struct, frozen=True, gc=False):
    node: NodeId
    billed_ms: float


class Referee:
    """Judges one run of a world.

    Evidence of this world is true: an event never names nodes of two owners. So everything that
    can be connected has one owner, and each owner is judged alone.

    Args:
        owners: the truth, from ``World.owners``.
        caps: from ``cap_rules_of``; campaigns that it lacks have no cap.
    """

    def __init__(self, owners: Mapping[NodeId, OwnerId], caps: CapRules) -> None:
        self._owners = owners
        self._caps = caps
        self._evidence = Evidence()
        self._looked: defaultdict[OwnerId, set[str]] = defaultdict(set)
        self._orders: defaultdict[OwnerId, list[_Order]] = defaultdict(list)
        self._seats: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._sold_out_since: dict[str, float] = {}
        self._offered: set[str] = set()
        self._billed: defaultdict[tuple[OwnerId, CampaignId], list[_Impression]] = defaultdict(list)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._violations: list[str] = []

    def on_event(self, event: Event, produced_ms: float) -> None:
        """An event is being sent to Kafka.

        Raises:
            ValueError: it names nobody of this world, or two of them.
        """
        owners = {self._owners.get(node) for node in event.ids}
        owner = owners.pop()
        if owner is None or owners:
            raise ValueError(f"event {event.event_id!r} does not belong to one owner of this world")
        self._evidence.add(event.ids, produced_ms)
        match event:
            case FlightSearch():
                trip = f"{event.origin}-{event.destination}/{event.depart_date}"
                self._looked[owner].add(trip)
            case ProductView() | CartAdd():
                self._looked[owner].add(event.item)
            case Order():
                order = _Order(event.advertiser, event.order_id, event.ids[0], produced_ms)
                self._orders[owner].append(order)
            case _:
                pass

    def on_offer(self, offer: Offer, produced_ms: float) -> None:
        """A flight or product is being sent to Kafka; the latest one counts."""
        if isinstance(offer, Flight):
            thing = trip_of(offer)
            self._seats[thing][offer.id] = offer.seats_left
            left = max(self._seats[thing].values())
        else:
            thing, left = offer.id, offer.stock
        self._offered.add(thing)
        if left:
            self._sold_out_since.pop(thing, None)
        else:
            self._sold_out_since.setdefault(thing, produced_ms)

    def on_bid(self, ad: Ad) -> None:
        """The bidder has bid; whether it wins does not matter here."""
        thing = ad.shown.thing
        if thing is None:
            return
        self._counts["personal_bids"] += 1
        if ad.bid_ms - self._gone_since(thing) > GRACE_MS:
            self._found("sold_out_ads", ad, thing)
        if thing not in self._looked[ad.owner]:
            self._found("wrong_person_bids", ad, thing)

    def _gone_since(self, thing: str) -> float:
        """When it was sold out; never for what is on sale, always for what never was."""
        if thing not in self._offered:
            return float("-inf")
        return self._sold_out_since.get(thing, float("inf"))

    def on_billing(self, ad: Ad, billed_ms: float) -> None:
        """The ad was shown, and its billing notice has been accepted."""
        self._counts["impressions"] += 1
        self._counts["spend_cpm_micros"] += ad.bid_cpm_micros
        earlier = self._billed[ad.owner, ad.campaign]
        caps = self._caps_for(ad)
        if caps:
            before_ms = ad.bid_ms - GRACE_MS
            root = self._evidence.root(ad.node, before_ms)
            connected = [
                impression
                for impression in earlier
                if self._evidence.root(impression.node, before_ms) == root
            ]
            if all(_is_used_up(one, connected, billed_ms) for one in caps):
                self._found("over_cap_impressions", ad, f"cap {caps}")
            if all(_is_used_up(one, earlier, billed_ms) for one in caps):
                self._counts["over_cap_per_owner"] += 1  # no fault where nothing links the devices
        earlier.append(_Impression(ad.node, billed_ms))

    def _caps_for(self, ad: Ad) -> list[tuple[Cap, ...]]:
        """The policies that may hold: several where an order or a link came a second ago."""
        rule = self._caps.get(ad.campaign)
        if rule is None:
            return []
        before_ms = ad.bid_ms - GRACE_MS
        fewest = self._order_count(ad, rule.advertiser, before_ms)
        most = self._order_count(ad, rule.advertiser, float("inf"))
        caps = {rule.caps_for(count) for count in range(fewest, most + 1)}
        return [one for one in caps if one]

    def _order_count(self, ad: Ad, advertiser: AdvertiserId, before_ms: float) -> int:
        root = self._evidence.root(ad.node, before_ms)
        return len(
            {
                order.order_id
                for order in self._orders[ad.owner]
                if order.advertiser == advertiser
                and order.produced_ms < before_ms
                and self._evidence.root(order.node, before_ms) == root
            }
        )

    def on_conversion(self) -> None:
        """Somebody ordered because of an ad; the order itself comes through ``on_event``."""
        self._counts["conversions"] += 1

    def _found(self, counter: str, ad: Ad, detail: str) -> None:
        self._counts[counter] += 1
        if len(self._violations) < KEPT_VIOLATIONS:
            seen_ms = round(ad.bid_ms)
            self._violations.append(
                f"{counter}: {ad.campaign} for {ad.owner} at {seen_ms}: {detail}"
            )

    def verdict(self) -> Verdict:
        """The counts so far."""
        counts = self._counts
        return Verdict(
            personal_bids=counts["personal_bids"],
            impressions=counts["impressions"],
            spend_micros=round(counts["spend_cpm_micros"] / 1000),
            conversions=counts["conversions"],
            over_cap_impressions=counts["over_cap_impressions"],
            over_cap_per_owner=counts["over_cap_per_owner"],
            sold_out_ads=counts["sold_out_ads"],
            wrong_person_bids=counts["wrong_person_bids"],
            violations=tuple(self._violations),
        )

    @property
    def nodes(self) -> list[NodeId]:
        """Every node of the emitted events."""
        return [NodeId(node) for node in self._evidence.nodes]

    def identity_score(self, root_of: Mapping[NodeId, NodeId], now_ms: float) -> IdentityScore:
        """Scores the system's persons over all nodes of the emitted events.

        Args:
            root_of: node to the root that the system put it under; a node that it lacks counts as
                a person of its own.
            now_ms: when the mapping was read; evidence of the last second is not asked for.
        """
        before_ms = now_ms - GRACE_MS
        nodes = self.nodes
        return score_identity(
            {node: root_of.get(node, node) for node in nodes},
            {node: self._owners[node] for node in nodes},
            {node: self._evidence.root(node, before_ms) for node in nodes},
            merges=self._evidence.merges(before_ms),
        )


def _is_used_up(caps: tuple[Cap, ...], earlier: Sequence[_Impression], billed_ms: float) -> bool:
    """Whether one of the caps is."""
    return any(
        sum(one.billed_ms > billed_ms - cap.window_seconds * SECOND_MS for one in earlier)
        >= cap.impressions
        for cap in caps
    )
