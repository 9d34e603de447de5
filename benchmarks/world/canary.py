"""The freshness probe: how long until an event shows in a bid."""

import asyncio
from typing import Final

from benchmarks.world.actions import Canary
from benchmarks.world.exchange import bid_path, canary_request, read_bid
from benchmarks.world.feed import Clock, Feed
from benchmarks.world.http_client import HttpClient, HttpError, post_request
from benchmarks.world.markup import read_markup
from benchmarks.world.report import Tally

__all__ = ["POLL_MS", "probe"]

POLL_MS: Final = 4.0
"""A probe asks this often: the grain of its result."""

DEADLINE_MS: Final = 3000.0


async def probe(
    canary: Canary, *, feed: Feed, client: HttpClient, host: str, clock: Clock, tally: Tally
) -> None:
    """Sends the event, then asks for ads until one shows it; its bids take part in no auction.

    Args:
        canary: the event and the device.
        feed: where the event goes.
        client: asks the bidder.
        host: the bidder's ``HOST:PORT``.
        clock: the driver's.
        tally: gets the result.
    """
    tally.probes += 1
    sent_ms = await feed.probe(canary.event)
    poll, due_ms = 0, sent_ms
    while due_ms < sent_ms + DEADLINE_MS:
        seen_ms = await _ask(canary, poll, client, host=host, clock=clock, tally=tally)
        if seen_ms is not None:
            tally.freshness_ms.append(seen_ms - sent_ms)
            return
        poll += 1
        due_ms = max(due_ms + POLL_MS, clock.now_ms())
        await asyncio.sleep((due_ms - clock.now_ms()) / 1000)
    tally.probes_missed += 1


async def _ask(
    canary: Canary, poll: int, client: HttpClient, *, host: str, clock: Clock, tally: Tally
) -> float | None:
    """One request; when its bid shows what was looked at, the Unix ms at which that was seen."""
    request_id, body = canary_request(canary, poll)
    tally.probe_requests += 1
    try:
        response = await client.send(host, post_request(bid_path(canary.exchange), body, host=host))
        bid = read_bid(response.body, request_id) if response.status == 200 else None
    except HttpError as error:
        tally.failures[f"canary {error.kind}"] += 1
        return None
    except ValueError:
        tally.failures["canary undecodable"] += 1
        return None
    if response.status not in {200, 204}:
        tally.failures[f"canary status {response.status}"] += 1
    if bid is None:
        return None
    shown = read_markup(bid.adm)
    is_seen = (shown.trip, shown.item) == (canary.trip, canary.item)
    return clock.at_ms(response.received_ns) if is_seen else None
