"""The rehearsal: it goes through all of the path, and nothing comes out."""

import asyncio

import pytest

from bidder.http1 import HttpCall
from bidder.metrics import Counters
from bidder.path import BidPath
from bidder.warmup import RehearsalRedis, rehearse
from models.catalog import Catalog
from runtime import clock
from tests.unit.bidder.notices.support import server
from tests.unit.bidder.support import SETTINGS, catalog
from tests.unit.bidder.test_http1 import new_connections


def test_the_whole_path_is_gone_through_and_no_request_fails(counters: Counters) -> None:
    async def scenario() -> int:
        what = catalog()
        path = BidPath(SETTINGS, what, counters)
        redis = RehearsalRedis(what, clock.now_ms())
        made = server(path, redis, counters)
        return rehearse(made.handle, redis, what, new_connections())

    count = asyncio.run(scenario())
    assert count == counters.value("bidder_bid_requests") > 100
    for reason in ("late", "internal_error", "overload"):
        assert counters.value("bidder_no_bids", reason) == 0
    for name in ("bids", "persons_known", "persons_refused", "exact_reservations"):
        assert counters.value(f"bidder_{name}"), name
    assert counters.value("bidder_malformed_requests") == 0
    assert counters.value("bidder_unknown_paths") == 0


def test_without_an_exchange_there_is_nothing_to_rehearse() -> None:
    def handle(_: HttpCall) -> None:
        pytest.fail("who should have asked?")

    nothing = Catalog()
    assert rehearse(handle, RehearsalRedis(nothing, 1), nothing, new_connections()) == 0
