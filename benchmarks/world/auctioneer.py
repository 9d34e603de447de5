"""Sells ad slots: asks the bidder, settles, sends notices, and lets people respond to ads."""

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from benchmarks.world.actions import Opportunity
from benchmarks.world.exchange import (
    TMAX_MS,
    Bid,
    bid_path,
    bid_request,
    read_bid,
    settle,
    with_price,
)
from benchmarks.world.feed import Clock, Feed
from benchmarks.world.http_client import (
    HttpClient,
    HttpError,
    Response,
    get_request,
    post_request,
)
from benchmarks.world.markup import read_markup
from benchmarks.world.referee import Ad, Referee
from benchmarks.world.report import Tally
from benchmarks.world.story import World
from models.catalog_records import AdFormat

if TYPE_CHECKING:
    from benchmarks.world.people import OwnerId

__all__ = ["Auctioneer"]

NS_PER_MS: Final = 1_000_000


class Auctioneer:
    """The simulated exchanges and what follows from a won auction.

    Args:
        world: who owns which device, and who responds.
        host: the bidder's ``HOST:PORT``.
        client: sends requests and notices.
        feed: where orders go.
        referee: sees every bid and every billed impression.
        clock: the driver's.
        tally: the driver's counters.
        end_ms: orders that would come later than this are left out, Unix ms.
    """

    def __init__(
        self,
        world: World,
        host: str,
        *,
        client: HttpClient,
        feed: Feed,
        referee: Referee,
        clock: Clock,
        tally: Tally,
        end_ms: float,
    ) -> None:
        self._world = world
        self._host = host
        self._client = client
        self._feed = feed
        self._referee = referee
        self._clock = clock
        self._tally = tally
        self._end_ms = end_ms
        self._personal_ads_seen: Counter[int] = Counter()
        self._ordered: defaultdict[OwnerId, set[str]] = defaultdict(set)

    async def sell(self, slot: Opportunity, due_ns: int) -> None:
        """Runs the auctions of one slot at all its exchanges.

        Args:
            slot: what is for sale.
            due_ns: when the requests were due, by the driver's monotonic clock.
        """
        places = range(len(slot.exchanges))
        if len(places) == 1:
            asked = [await self._ask(slot, 0, due_ns)]
        else:
            asked = await asyncio.gather(*(self._ask(slot, place, due_ns) for place in places))
        auction = settle(slot, tuple(entry[0] if entry else None for entry in asked))
        sold = asked[auction.place] if auction.winner is not None else None
        if sold is not None:
            self._tally.wins += 1
            await self._notify(slot, *sold)

    async def _ask(self, slot: Opportunity, place: int, due_ns: int) -> tuple[Bid, Ad] | None:
        """One exchange's request; the bid, if it came in time."""
        tally, clock = self._tally, self._clock
        device = self._world.people[slot.person].devices[slot.device]
        request_id, body = bid_request(slot, device, place)
        payload = post_request(bid_path(slot.exchanges[place]), body, host=self._host)
        sent_ns = clock.monotonic_ns()
        tally.bid_requests += 1
        response = await self._fetch("bid", self._host, payload)
        if response is None:
            return None
        tally.latencies_ns.append(response.received_ns - due_ns)
        bid = self._read(response, request_id, slot.format)
        if bid is None:
            return None
        tally.bids += 1
        tally.bids_by_format[slot.format] += 1
        ad = Ad(
            owner=self._world.people[slot.person].owner,
            node=device.node_on(slot.surface),
            campaign=bid.cid,
            bid_ms=clock.at_ms(sent_ns),
            bid_cpm_micros=bid.bid_cpm_micros,
            shown=read_markup(bid.adm, slot.format),
        )
        self._referee.on_bid(ad)
        if response.received_ns - sent_ns > TMAX_MS * NS_PER_MS:
            tally.late_answers += 1
            return None
        return bid, ad

    def _read(self, response: Response, request_id: str, wanted: AdFormat) -> Bid | None:
        if response.status == 204:
            return None
        if response.status != 200:
            self._tally.failures[f"bid status {response.status}"] += 1
            return None
        try:
            return read_bid(response.body, request_id, wanted)
        except ValueError:
            self._tally.failures["bid undecodable"] += 1
            return None

    async def _fetch(self, what: str, host: str, payload: bytes) -> Response | None:
        """An answer of any status, or None, counted."""
        try:
            return await self._client.send(host, payload)
        except HttpError as error:
            self._tally.failures[f"{what} {error.kind}"] += 1
            return None

    async def _notify(self, slot: Opportunity, bid: Bid, ad: Ad) -> None:
        """The win notice at once; the billing notice when the ad has been rendered."""
        if bid.nurl:
            await self._notice("win notice", with_price(bid.nurl, bid))
        if not slot.is_billed:
            return
        await asyncio.sleep(slot.billing_delay_ms / 1000)
        if not bid.burl:
            self._tally.failures["bid without burl"] += 1
        elif await self._notice("billing notice", with_price(bid.burl, bid)):
            self._referee.on_billing(ad, self._clock.now_ms())
            await self._respond(slot, ad)

    async def _notice(self, what: str, url: str) -> bool:
        """Whether the notice was accepted."""
        response = await self._fetch(what, *get_request(url))
        if response is None:
            return False
        if not 200 <= response.status < 300:
            self._tally.failures[f"{what} status {response.status}"] += 1
            return False
        return True

    async def _respond(self, slot: Opportunity, ad: Ad) -> None:
        """The person may order what the ad showed; each thing once."""
        person, thing = self._world.people[slot.person], ad.shown.thing
        if thing is None:
            return
        seen = self._personal_ads_seen[slot.person]
        self._personal_ads_seen[slot.person] += 1
        response = self._world.respond(person, thing, seen)
        if response is None or thing in self._ordered[person.owner]:
            return
        if self._clock.now_ms() + response.delay_ms > self._end_ms:
            return
        self._ordered[person.owner].add(thing)
        await asyncio.sleep(response.delay_ms / 1000)
        self._feed.put(response.order)
        self._referee.on_conversion()
        self._tally.events += 1
