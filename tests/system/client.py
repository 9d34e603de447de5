"""How system tests talk to a stack: as event sources, exchanges and marketers do."""

import asyncio
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kinbid.publish import publish_offers
from kinbid.stack import Stack
from models.catalog_records import Flight, Offer
from models.events import Event, FlightSearch, SignIn, encode
from models.identifiers import Namespace, NodeId, Pepper, scoped
from models.matches import Match, encode_match
from models.topics import Topics
from models.units import DAY_MS, AdvertiserId
from runtime import clock, kafka

T = TypeVar("T")
AIRLINE = AdvertiserId("airline")
SHOP = AdvertiserId("shop")
PATIENCE_SECONDS = 20.0
DEPART_DATE = "2031-05-20"
_numbers = itertools.count(1)


def flight(number: int, *, seats_left: int = 90, route: str = "JFK-LAX") -> Flight:
    """A flight on a day far ahead, so that only the tests have it."""
    origin, _, destination = route.partition("-")
    now_ms = clock.now_ms()
    return Flight(
        id=f"KB{number}/{DEPART_DATE}", advertiser=AIRLINE, origin=origin, destination=destination,
        depart_date=DEPART_DATE, depart_ms=now_ms + 9 * DAY_MS, seats_total=180,
        seats_left=seats_left, fare_micros=199_000_000, updated_ms=now_ms,
    )  # fmt: skip


class Client:
    """One running stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.settings = stack.settings
        self.pepper = Pepper(stack.settings.identity_pepper)
        self._last_ms = 0

    # -- as a source of events -------------------------------------------------------------

    def node(self, namespace: Namespace, value: str) -> NodeId:
        found = self.pepper.node(namespace, value)
        assert found is not None
        return found

    def produce(self, *events: Event) -> None:
        topic = Topics.EVENTS.name(self.settings.owner)
        self.produce_raw(topic, [(e.ids[0].encode(), encode(e)) for e in events])

    def produce_raw(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        async def send() -> None:
            producer = await kafka.producer(self.settings)
            try:
                sent = [await producer.send(topic, key=k, value=value) for k, value in records]
                await asyncio.gather(*sent)
            finally:
                await producer.stop()

        asyncio.run(send())

    def match(self, exchange: str, user_id: str, cookie: str, at_ms: int | None = None) -> NodeId:
        """Tells of a cookie sync, as a bidder does; returns the user id's node."""
        node = self.node(Namespace.EXCHANGE_USER, scoped(exchange, user_id))
        at_ms = at_ms or self.now_ms()
        told = Match(
            node=node, cookie=self.node(Namespace.COOKIE, cookie), matched_ms=at_ms,
            expires_ms=at_ms + 14 * DAY_MS,
        )  # fmt: skip
        topic = Topics.MATCHES.name(self.settings.owner)
        self.produce_raw(topic, [(node.encode(), encode_match(told))])
        return node

    def offer(self, *offers: Offer) -> None:
        asyncio.run(publish_offers(self.settings, offers))

    def now_ms(self) -> int:
        """The present, never the same twice: events of a test have an order."""
        self._last_ms = max(clock.now_ms(), self._last_ms + 1)
        return self._last_ms

    def sign_in(self, device: NodeId, email: NodeId) -> SignIn:
        return SignIn(
            event_id=f"s{next(_numbers)}", ids=(device, email), event_time_ms=self.now_ms(),
            advertiser=AIRLINE,
        )  # fmt: skip

    def search(self, device: NodeId, route: str, *, seconds_ago: int = 0) -> FlightSearch:
        origin, _, destination = route.partition("-")
        return FlightSearch(
            event_id=f"f{next(_numbers)}", ids=(device,),
            event_time_ms=self.now_ms() - seconds_ago * 1000, advertiser=AIRLINE, origin=origin,
            destination=destination, depart_date=DEPART_DATE,
        )  # fmt: skip

    # -- as an exchange --------------------------------------------------------------------

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        url = self.stack.addresses["bidder"] + path
        request = urllib.request.Request(url, data=body, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def bid(
        self, exchange: str = "north", *, live: bool = False, **identity: str
    ) -> dict[str, Any] | None:
        """The bid on a 300x250 slot; ``cookie``, ``ifa`` or ``eid`` say who sees it.

        A look that is not live says ``test: 1``: it is answered alike and holds no place.
        """
        user: dict[str, Any] = {}
        if "cookie" in identity:
            user["buyeruid"] = identity["cookie"]
        if "eid" in identity:
            user["eids"] = [{"source": "id.example", "uids": [{"id": identity["eid"], "atype": 1}]}]
        body = {
            "id": f"r{next(_numbers)}", "at": 1, "tmax": 400, "test": int(not live), "user": user,
            "device": {"ifa": identity["ifa"]} if "ifa" in identity else {},
            "imp": [{"id": "1", "secure": 0, "banner": {"format": [{"w": 300, "h": 250}]}}],
        }  # fmt: skip
        status, answer = self.post(f"/openrtb2/{exchange}/bid", json.dumps(body).encode())
        assert status in {200, 204}, (status, answer)
        return json.loads(answer)["seatbid"][0]["bid"][0] if status == 200 else None

    def campaign(
        self, exchange: str = "north", *, live: bool = False, **identity: str
    ) -> str | None:
        """The campaign that bids, if any does."""
        found = self.bid(exchange, live=live, **identity)
        return found["cid"] if found else None

    def campaigns(self, looks: int, **identity: str) -> set[str | None]:
        """What is seen in so many looks, each over a connection of its own."""
        return {self.campaign("north", live=False, **identity) for _ in range(looks)}

    def notify(self, url: str, price: float) -> int:
        with urllib.request.urlopen(url.replace("${AUCTION_PRICE}", str(price))) as answer:
            return int(answer.status)

    def bill(self, bid: dict[str, Any]) -> None:
        """Wins and bills a bid at its price."""
        assert self.notify(bid["nurl"], bid["price"]) == 204
        assert self.notify(bid["burl"], bid["price"]) == 204

    # -- patience --------------------------------------------------------------------------

    def until(
        self,
        look: Callable[[], T],
        is_right: Callable[[T], bool],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> T:
        """Looks until it is right; fails with what was seen last."""
        deadline = time.monotonic() + patience_seconds
        while True:
            seen = look()
            if is_right(seen):
                return seen
            assert time.monotonic() < deadline, f"still {seen!r}"
            time.sleep(0.02)

    async def see_a_bid(self) -> None:
        """Waits until the catalogue is in every worker: the contextual campaign bids."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        for _ in range(40):
            while await asyncio.to_thread(self.bid) is None:
                assert time.monotonic() < deadline, "no worker bids"
