"""Writes down what happens as the records that producers send, and when each reaches Kafka.

Lateness is declared, not measured: the web reports at once, apps report some sessions when they
are back on line, the CRM exports at night. So records of one person arrive in another order than
that of their times, and the partition's order is the order of arrival.
"""

import random
from typing import Final

from models.event_base import Channel
from models.events import Call, CrmCard, CrmMerge, CrmSplit, Event, Order, PageView, SignIn
from models.identifiers import Namespace, NodeId, namespace_of
from models.units import DAY_MS, HOUR_MS, MICROS, SECOND_MS, AdvertiserId

__all__ = ["Scribe"]

SHOP: Final = AdvertiserId("shop")
NIGHTLY_EXPORT_MS: Final = 2 * HOUR_MS
"""After midnight, UTC."""

OFFLINE_SHARE: Final = 0.2
"""App records that wait for a connection, six hours on average."""

OFFLINE_MEAN_MS: Final = 6 * HOUR_MS

RETRIED_SHARE: Final = 0.05
"""Web records whose first attempt fails; they come minutes later."""

RETRY_MEAN_MS: Final = 300 * SECOND_MS


class Scribe:
    """Collects the world's records.

    Args:
        seed: of their lateness.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sent: list[tuple[int, Event]] = []

    def page_view(self, at_ms: int, *ids: NodeId, page: str = "/") -> None:
        """A page was seen under one or more identifiers."""
        self._send(
            PageView(
                event_id=self._id(), ids=ids, event_time_ms=at_ms, advertiser=SHOP, page=page,
                channel=_channel(ids[0]),
            )
        )  # fmt: skip

    def sign_in(self, at_ms: int, device: NodeId, account: NodeId) -> None:
        """Somebody signed in on a device."""
        self._send(
            SignIn(
                event_id=self._id(), ids=(device, account), event_time_ms=at_ms, advertiser=SHOP,
                channel=_channel(device),
            )
        )  # fmt: skip

    def order(self, at_ms: int, device: NodeId, *contacts: NodeId) -> None:
        """An order; without contacts, of whoever is signed in."""
        self._send(
            Order(
                event_id=self._id(), ids=(device, *contacts), event_time_ms=at_ms, advertiser=SHOP,
                order_id=f"order-{len(self._sent)}", revenue_micros=100 * MICROS,
                margin_micros=20 * MICROS, channel=_channel(device),
            )
        )  # fmt: skip

    def call(self, at_ms: int, caller: NodeId, session: NodeId) -> None:
        """A call to the number that a web session was shown."""
        self._send(
            Call(
                event_id=self._id(), ids=(caller, session), event_time_ms=at_ms, advertiser=SHOP,
                call_id=f"call-{len(self._sent)}", duration_seconds=120,
            )
        )  # fmt: skip

    def crm_card(self, at_ms: int, crm: NodeId, *contacts: NodeId) -> None:
        """The CRM's card as it is from now on."""
        self._send(CrmCard(event_id=self._id(), ids=(crm, *contacts), event_time_ms=at_ms))

    def crm_merge(self, at_ms: int, survivor: NodeId, other: NodeId) -> None:
        """The CRM takes two cards for one customer's."""
        self._send(CrmMerge(event_id=self._id(), ids=(survivor, other), event_time_ms=at_ms))

    def crm_split(self, at_ms: int, card: NodeId, other: NodeId) -> None:
        """The CRM takes the merge of two cards back."""
        self._send(CrmSplit(event_id=self._id(), ids=(card, other), event_time_ms=at_ms))

    def in_order_of_arrival(self) -> list[Event]:
        """All records as Kafka has them."""
        return [event for _, event in sorted(self._sent, key=lambda sent: sent[0])]

    def _id(self) -> str:
        return f"event-{len(self._sent)}"

    def _send(self, event: Event) -> None:
        self._sent.append((event.event_time_ms + self._lateness_ms(event), event))

    def _lateness_ms(self, event: Event) -> int:
        # Of the record alone: one record more in the world makes no other one earlier or later.
        rng = random.Random(f"{self._seed}/{event.event_time_ms}/{event.ids}")
        if event.channel == "crm":
            return DAY_MS - event.event_time_ms % DAY_MS + NIGHTLY_EXPORT_MS
        if event.channel == "app" and rng.random() < OFFLINE_SHARE:
            return round(rng.expovariate(1 / OFFLINE_MEAN_MS))
        if rng.random() < RETRIED_SHARE:
            return round(rng.expovariate(1 / RETRY_MEAN_MS))
        return rng.randint(0, 2 * SECOND_MS)


def _channel(device: NodeId) -> Channel:
    return "app" if namespace_of(device) is Namespace.IFA else "web"
